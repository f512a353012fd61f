"""Small pictures with an answer: coloured blobs, noise, and a unary that is often wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.crf import CRFParams, DenseCRF


def draw(seed, height=40, width=48, classes=3, noise=8.0, wrong=0.3):
    """Image uint8 (H, W, 3), truth (H, W), probabilities float32 (C, H, W)."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:height, :width]
    truth = np.zeros((height, width), int)
    for label in range(1, classes):
        y, x, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.15, 0.35) * min(height, width)
        truth[(ys - y) ** 2 + (xs - x) ** 2 < r * r] = label
    corners = np.array([[r, g, b] for r in (40, 215) for g in (40, 215) for b in (40, 215)], float)
    colours = corners[rng.permutation(8)[:classes]] + rng.uniform(-30, 30, (classes, 3))
    image = (colours[truth] + rng.normal(0, noise, (height, width, 3))).clip(0, 255).astype(np.uint8)
    guess = np.where(rng.random(truth.shape) < wrong, rng.integers(0, classes, truth.shape), truth)
    probs = np.where(np.arange(classes)[:, None, None] == guess, 0.6, 0.4 / (classes - 1))
    return image, truth, probs.astype(np.float32)


def compare(a, b):
    """Share of pixels with the same label, and the mean absolute difference of marginals."""
    return np.mean(a.argmax(0) == b.argmax(0)), np.mean(np.abs(a - b))


@pytest.fixture(scope="session")
def scene():
    """The function that draws one."""
    return draw


@pytest.fixture(scope="session")
def alike():
    """The function that compares two results."""
    return compare


def compare_with_exact(image, probs, rng, noise, normalization):
    """With parameters drawn at random, the lattice's marginals are near the exact CRF's."""
    p = CRFParams(
        rng.uniform(3, 10),
        rng.uniform(20, 120),
        rng.uniform(max(5, 1.5 * noise), 20),
        rng.uniform(0, 3),
        rng.uniform(1, 3),
        10,
        normalization,
    )
    agreement, difference = compare(
        DenseCRF(image, probs=probs, kernel="exact").infer(p), DenseCRF(image, probs=probs, threads=1).infer(p)
    )
    assert agreement >= 0.99
    assert difference <= 5e-3


@pytest.fixture(scope="session")
def near_the_exact_crf():
    """The function that holds the lattice to the exact kernel."""
    return compare_with_exact


@pytest.fixture(scope="session")
def voc(samples):
    """The real images that have scores: [(name, image uint8 (H, W, 3), probabilities float32 (21, H, W)), …]."""

    def load(path):
        with Image.open(samples / "voc" / "JPEGImages" / f"{path.stem}.jpg") as picture:
            image = np.asarray(picture.convert("RGB"))
        logits = torch.from_numpy(np.load(path)["logits"].astype(np.float32))
        large = torch.nn.functional.interpolate(logits[None], image.shape[:2], mode="bilinear", align_corners=False)
        return path.stem, image, large[0].softmax(0).numpy()

    return [load(path) for path in sorted((samples / "voc" / "scores").glob("*.npz"))]
