"""pydensecrf through the common interface: the exact kernel's answers up to its lattice, traps fenced."""

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF

REASON = 'pydensecrf is not installed: kernel="pydensecrf" is not tested'
densecrf = pytest.importorskip("pydensecrf.densecrf", reason=REASON)
utils = pytest.importorskip("pydensecrf.utils", reason=REASON)


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    ys, xs = np.mgrid[:40, :48]
    truth = ((ys - 20) ** 2 + (xs - 24) ** 2 < 150).astype(int) + (xs > 40)
    colours = np.array([[60, 60, 60], [180, 90, 60], [60, 90, 190]])
    image = (colours[truth] + rng.normal(0, 8, (40, 48, 3))).clip(0, 255)
    noisy = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 3, truth.shape), truth)
    probs = np.where(np.arange(3)[:, None, None] == noisy, 0.6, 0.2)
    return image.astype(np.uint8), probs


@pytest.mark.parametrize("normalization", ["after", "symmetric", "before"])
@pytest.mark.parametrize("matrix", [None, 1 - np.eye(3)])
def test_agrees_with_exact(scene, normalization, matrix):
    image, probs = scene
    p = CRFParams(4, 12, 15, 3, 3, 5, normalization)
    peer = list(DenseCRF(image, probs=probs, kernel="pydensecrf", compatibility=matrix).steps(p))
    exact = list(DenseCRF(image, probs=probs, kernel="exact", compatibility=matrix).steps(p))
    assert np.mean(peer[-1].q.argmax(0) == exact[-1].q.argmax(0)) >= 0.99
    assert np.mean(np.abs(peer[-1].q - exact[-1].q)) <= 5e-3
    # the lattice approximates, but pairs counted twice, or Potts' constant left out, would double these
    np.testing.assert_allclose([s.free_energy for s in peer], [s.free_energy for s in exact], rtol=0.05)


def test_infer_equals_its_own_inference(scene):
    image, probs = scene
    p = CRFParams(4, 12, 15, 3, 3, 5, "symmetric")
    d = densecrf.DenseCRF2D(48, 40, 3)
    d.setUnaryEnergy(utils.unary_from_softmax(probs.astype(np.float32)))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=12, srgb=15, rgbim=image, compat=4)
    expected = np.array(d.inference(5)).reshape(3, 40, 48)
    got = DenseCRF(image, probs=probs, kernel="pydensecrf").infer(p)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_there_is_no_true_none(scene):
    with pytest.raises(ValueError, match="normalization"):
        DenseCRF(scene[0], probs=scene[1], kernel="pydensecrf").infer(CRFParams(normalization="none"))
