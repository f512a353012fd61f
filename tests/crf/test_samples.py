"""Real images and real scores: pydensecrf's answers, the golden picture, the exact CRF on crops."""

import numpy as np
import pytest
from PIL import Image

from dlseg.crf import CRFParams, DenseCRF

SETTINGS = [CRFParams(4, 67, 3, 3, 3), CRFParams(10, 80, 13, 3, 3), CRFParams(4, 121, 5, 3, 3)]
REASON = 'pydensecrf is not installed: kernel="pydensecrf" is not tested'


@pytest.mark.slow
@pytest.mark.parametrize("which", range(20))
def test_pydensecrfs_answers(voc, alike, which):
    """Setting and normalisation take turns; benchmarks/crf.py runs all of them on all images."""
    pytest.importorskip("pydensecrf", reason=REASON)
    _, image, probs = voc[which]
    p = SETTINGS[which % 3]
    p = CRFParams(p.w1, p.sigma_alpha, p.sigma_beta, 3, 3, 10, ("after", "symmetric")[which % 2])
    agreement, difference = alike(
        DenseCRF(image, probs=probs, kernel="pydensecrf").infer(p), DenseCRF(image, probs=probs).infer(p)
    )
    assert agreement >= 0.999
    assert difference <= 1e-4


@pytest.mark.parametrize("kernel", ["lattice", "pydensecrf"])
def test_the_golden_picture(samples, kernel):
    """The example that comes with pydensecrf: two labels drawn by hand, black where unknown, 5 iterations."""
    if kernel == "pydensecrf":
        pytest.importorskip("pydensecrf", reason=REASON)
    image, drawn, golden = (
        np.asarray(Image.open(samples / "densecrf" / f"{name}.png").convert("RGB")).astype(int)
        for name in ("im1", "anno1", "out1")
    )
    colours = np.unique(golden.reshape(-1, 3), axis=0)
    labels, expected = np.full(drawn.shape[:2], 255), np.zeros(drawn.shape[:2], int)
    for label, colour in enumerate(colours):
        labels[(drawn == colour).all(axis=2)] = label
        expected[(golden == colour).all(axis=2)] = label
    q = DenseCRF(image, labels=labels, kernel=kernel).infer(CRFParams(10, 80, 13, 3, 3, 5, "symmetric"))
    assert np.mean(q.argmax(axis=0) == expected) >= 0.999


@pytest.mark.parametrize("which", [0, 7, 14])
@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_near_the_exact_crf_on_crops(voc, alike, which, normalization):
    _, image, probs = voc[which]
    top, left = (size // 2 - 24 for size in image.shape[:2])
    crop = np.s_[top : top + 48, left : left + 64]
    p = CRFParams(4, 67, 5, 3, 3, 10, normalization)
    agreement, difference = alike(
        DenseCRF(image[crop], probs=probs[:, *crop], kernel="exact").infer(p),
        DenseCRF(image[crop], probs=probs[:, *crop]).infer(p),
    )
    assert agreement >= 0.99
    assert difference <= 5e-3
