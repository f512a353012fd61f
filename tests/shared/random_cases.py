"""Random CRF problems of every kind: from unaries that say nothing to ones that leave nothing open."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from dlseg.crf import CRFParams

IMAGES = ("flat", "halves", "striped", "textured", "regions", "noise")
FAINT = ("even", "tilt", "near-even", "seeds", "weak")
UNARIES = (*FAINT, "soft", "labels", "noise", "blobs", "certain", "half certain")
NORMALIZATIONS = ("after", "symmetric", "before", "none")


class Case(NamedTuple):
    """One problem: image (H, W, 3) uint8, probs (C, H, W) float32, and how to solve it."""

    name: str
    image: np.ndarray
    probs: np.ndarray
    params: CRFParams
    relax: float


def draw_case(seed: int) -> Case:
    """The case with this seed; consecutive seeds walk through all kinds of image and unary."""
    rng = np.random.default_rng(seed)
    kind_of_image, kind_of_unary = IMAGES[seed % len(IMAGES)], UNARIES[seed % len(UNARIES)]
    height, width = (int(n) for n in rng.integers(12, 72, 2))
    classes = int(rng.choice([2, 3, 5, 8, 9, 21, 40], p=[0.25, 0.1, 0.15, 0.1, 0.1, 0.25, 0.05]))
    image, regions = _image(kind_of_image, rng, height, width)
    probs = _unary(kind_of_unary, rng, classes, regions)
    normalization = NORMALIZATIONS[seed // 7 % 4]
    alpha, beta, gamma = rng.uniform(3, 90), rng.uniform(3, 40), rng.uniform(0.7, 6)
    w1, w2 = rng.uniform(0, 12), rng.uniform(0, 6)
    if normalization == "none":  # row sums as large as the kernels' reach: weights that leave them near the others'
        w1, w2 = w1 / min(alpha**2, height * width) / 2, w2 / (6 * gamma**2)
    iterations = int(rng.choice([1, 2, 5, 10, 20, 100], p=[0.1, 0.1, 0.2, 0.4, 0.15, 0.05]))
    relax = float(rng.choice([1.0, 0.5, 0.1, 0.001], p=[0.7, 0.15, 0.1, 0.05]))
    params = CRFParams(w1, alpha, beta, w2, gamma, iterations, normalization)
    name = (
        f"{seed}: {kind_of_unary} on {kind_of_image}, {classes} labels, {height}x{width}, {params}, relax {relax}"
    )
    return Case(name, image, probs, params, relax)


def _image(kind: str, rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) uint8, and a division of it into a few regions (H, W)."""
    ys, xs = np.mgrid[:height, :width]
    regions = np.zeros((height, width), int)
    if kind == "halves":
        regions = (2 * xs >= width).astype(int)
    elif kind == "striped":
        regions = xs // int(rng.integers(1, 9)) % 2
    elif kind != "flat":
        for label in range(1, int(rng.integers(2, 6))):
            y, x, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.15, 0.4) * min(height, width)
            regions[(ys - y) ** 2 + (xs - x) ** 2 < r * r] = label
    colours = rng.uniform(0, 255, (regions.max() + 1, 3))
    image = colours[regions]
    if kind == "textured":
        image = image + 400 * gaussian_filter(rng.normal(0, 1, (height, width, 3)), (2, 2, 0))
    elif kind == "regions":
        image = image + rng.normal(0, rng.uniform(0, 12), (height, width, 3))
    elif kind == "noise":
        image = rng.uniform(0, 255, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), regions


def _unary(kind: str, rng: np.random.Generator, classes: int, regions: np.ndarray) -> np.ndarray:
    """Probabilities (C, H, W) float32."""
    shape = (classes, *regions.shape)
    guess, labels = rng.permutation(classes)[regions % classes], np.arange(classes)[:, None, None]
    logits = _faint(kind, rng, shape) if kind in FAINT else _clear(kind, rng, shape, guess, labels)
    e = np.exp(logits - logits.max(axis=0))
    return (e / e.sum(axis=0)).astype(np.float32)


def _faint(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Logits that decide little or nothing."""
    logits = np.zeros(shape)
    if kind == "tilt":
        logits[rng.integers(shape[0])] = 10.0 ** rng.uniform(-5, -1)
    elif kind == "near-even":
        logits = 10.0 ** rng.uniform(-4, -0.5) * rng.normal(0, 1, shape)
    elif kind == "weak":
        logits = rng.uniform(0.2, 1) * rng.normal(0, 1, shape)
    elif kind == "seeds":
        for _ in range(int(rng.integers(1, 4))):
            y, x = (int(rng.integers(0, n)) for n in shape[1:])
            size = int(rng.integers(1, 4))
            logits[rng.integers(shape[0]), y : y + size, x : x + size] = rng.uniform(2, 8)
    return logits


def _clear(
    kind: str, rng: np.random.Generator, shape: tuple[int, ...], guess: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Logits that decide most pixels; guess: a label for each, labels: all labels, (C, 1, 1)."""
    if kind == "soft":
        return 24 * gaussian_filter(rng.normal(0, 1, shape), (0, 4, 4))
    if kind == "labels":
        wrong = _wrong(rng, guess, shape[0])
        return np.log(0.3 / (shape[0] - 1) / 0.7) * (labels != wrong)
    if kind == "noise":
        return 2 * rng.normal(0, 1, shape)
    if kind == "blobs":
        return 6 * (labels == guess) + gaussian_filter(rng.normal(0, 6, shape), (0, 2, 2))
    logits = 11.0 * (labels == guess)
    if kind == "half certain":
        logits[:, :, shape[2] // 3 :] = 10.0 ** rng.uniform(-5, -2) * rng.normal(0, 1, (shape[0], 1, 1))
    return logits


def _wrong(rng: np.random.Generator, guess: np.ndarray, classes: int) -> np.ndarray:
    return np.where(rng.random(guess.shape) < rng.uniform(0, 0.5), rng.integers(0, classes, guess.shape), guess)


class Difference(NamedTuple):
    """between: the mean total variation distance, mean |dQ| * C / 2. labels: of the pixels surely decided, how
    many have another label (margin of the expected answer above 1e-3), as a share of all pixels."""

    between: float
    labels: float


def difference(got: np.ndarray, expected: np.ndarray) -> Difference:
    """How far marginals (C, H, W) are from the expected ones."""
    top = np.partition(expected, -2, axis=0)
    sure = top[-1] - top[-2] > 1e-3
    wrong = sure & (got.argmax(axis=0) != expected.argmax(axis=0))
    between = np.abs(got.astype(np.float64) - expected).mean() * len(expected) / 2
    return Difference(float(between), float(wrong.mean()))
