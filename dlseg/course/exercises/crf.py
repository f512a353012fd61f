"""Exercises of notebook 05: the fully connected CRF and the band it is measured in (sections 4 and 5)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

STEP = "sums over 60 pixels in single or double precision, then a softmax"
GAUSS = "two exponentials and a sum, in single or double precision"
PAIRS = "a sum over a few hundred pairs in any order"
YES_NO = "a pixel is in the band or not"
MEANS = "means of a few numbers"


def kernel(positions: np.ndarray, colours: np.ndarray, params: tuple[float, ...]) -> np.ndarray:
    """Pair by pair: w1 exp(-|dp|² / 2σα² - |dI|² / 2σβ²) + w2 exp(-|dp|² / 2σγ²)."""
    w1, sigma_alpha, sigma_beta, w2, sigma_gamma = params
    k = np.empty((len(positions), len(positions)))
    for i in range(len(positions)):
        for j in range(len(positions)):
            place = ((positions[i] - positions[j]) ** 2).sum()
            colour = ((colours[i] - colours[j]) ** 2).sum()
            k[i, j] = w1 * np.exp(-place / (2 * sigma_alpha**2) - colour / (2 * sigma_beta**2)) + w2 * np.exp(
                -place / (2 * sigma_gamma**2)
            )
    return k


def energy(labels: np.ndarray, unary: np.ndarray, kernel: np.ndarray) -> float:
    """What every pixel's own label costs, and what every pair with unlike labels costs, each pair once."""
    total = 0.0
    for i in range(len(labels)):
        total += unary[labels[i], i]
        for j in range(i):
            total += kernel[i, j] if labels[i] != labels[j] else 0.0
    return float(total)


def trimap_band(truth: np.ndarray, width: int) -> np.ndarray:
    """Pixels that are not void (255) but have a void pixel at most `width` rows and columns away."""
    band = np.zeros(truth.shape, dtype=bool)
    for y in range(truth.shape[0]):
        for x in range(truth.shape[1]):
            around = truth[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
            band[y, x] = truth[y, x] != 255 and bool((around == 255).any())
    return band


def mean_field_step(q: np.ndarray, unary: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Potts mean field: every other label's message is a cost; then a softmax over the labels, (L, N)."""
    labels, pixels = q.shape
    new = np.empty((labels, pixels))
    for i in range(pixels):
        message = np.array([sum(kernel[i, j] * row[j] for j in range(pixels)) for row in q])
        energy = unary[:, i] + message.sum() - message
        weight = np.exp(-(energy - energy.min()))
        new[:, i] = weight / weight.sum()
    return new


def choose(train: np.ndarray, val: np.ndarray) -> tuple[int, float, float]:
    """The setting with the best mean on the training images; its gain over setting 0 on them, and on the others."""
    best = 0
    for setting in range(len(train)):
        if np.mean(train[setting]) > np.mean(train[best]):
            best = setting
    return best, float(np.mean(train[best] - train[0])), float(np.mean(val[best] - val[0]))


def _pixels(labels: int, scale: float, self_tie: float = 0.0) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pixels = 60
        features = rng.standard_normal((pixels, 3))
        kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(-1))
        np.fill_diagonal(kernel, self_tie)
        unary = scale * rng.standard_normal((labels, pixels))
        weight = np.exp(unary.min(0) - unary)
        return weight / weight.sum(0), unary, kernel

    return draw


def _scene(*, near: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        side = 5 if near else 6
        positions = np.argwhere(np.ones((side, side))).astype(float)
        colours = rng.integers(0, 256, (len(positions), 3)).astype(float)
        small, usual = ((1, 8), (1, 4), (20, 90), (1, 5), (0.5, 3)), ((3, 5), (50, 120), (3, 60), (2, 3), (2, 4))
        ranges = small if near else usual
        return positions, colours, tuple(float(rng.uniform(*ends)) for ends in ranges)

    return draw


def _labelling(classes: int, pixels: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels, unary = rng.integers(classes, size=pixels), rng.exponential(size=(classes, pixels))
        k = np.exp(-0.5 * (rng.standard_normal((pixels, 1)) - rng.standard_normal((1, pixels))) ** 2)
        return labels, unary, k + k.T

    return draw


def _ringed(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    height, width = rng.integers(18, 30, 2)
    truth = np.zeros((height, width), dtype=np.int64)
    top, left = rng.integers(3, 7, 2)
    truth[top : top + 9, left : left + 8] = 255
    truth[top + 1 : top + 8, left + 1 : left + 7] = int(rng.integers(1, 20))
    return truth, int(rng.integers(1, 4))


def _at_the_edge(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    truth, width = _ringed(rng)
    truth[0, :6] = truth[-1, -1] = 255
    return truth, width


def _measured(images: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Scores of settings (rows) on images; what is best on the training images is not best on the others."""
        settings, others = int(rng.integers(5, 9)), int(rng.integers(6, 12))
        good = np.r_[0.0, rng.uniform(2, 9, settings - 1)]
        train, val = (60 + good[:, None] + 6 * rng.standard_normal((settings, n)) for n in (images, others))
        if images > 1:  # the best single image belongs to another setting, whose mean stays as it is
            other = int(train.mean(1).argsort()[-2])
            lift = float(train.max() - train[other, 0]) + 1
            train[other] += lift * np.r_[1.0, np.full(images - 1, -1 / (images - 1))]
        order = val.mean(1).argsort()
        if train.mean(1).argmax() == order[-1]:
            val[order[-2:]] = val[order[:-3:-1]]
        return train, val

    return draw


EXERCISES = [
    Exercise(
        id="crf.kernel",
        function="kernel",
        reference=kernel,
        title="How strongly two pixels are tied",
        difficulty="medium",
        tests=(
            Test("a small image", 2, _scene(near=True), numeric(GAUSS)),
            Test("the paper's settings", 2, _scene(near=False), numeric(GAUSS)),
        ),
        hints=(
            "Two Gaussians: one of distance and colour together, one of distance alone. A pixel's tie to itself is "
            "w1 + w2.",
            "positions (N, 2), colours (N, 3) → (N, N), symmetric. positions[:, None] − positions[None] is every "
            "difference at once, (N, N, 2).",
            "place  = squared distances, (N, N)\n"
            "colour = squared colour differences, (N, N)\n"
            "w1 exp(-place / 2 σα² - colour / 2 σβ²) + w2 exp(-place / 2 σγ²)",
        ),
    ),
    Exercise(
        id="crf.energy",
        function="energy",
        reference=energy,
        title="The energy of a labelling",
        difficulty="medium",
        tests=(
            Test("two labels", 2, _labelling(2, 12), numeric(PAIRS)),
            Test("more labels and pixels", 3, _labelling(6, 40), numeric(PAIRS), hidden=True),
        ),
        hints=(
            "Two sums. Each pixel pays for its own label; each pair pays its kernel weight if the two labels "
            "differ.",
            "labels (N,), unary (L, N), kernel (N, N) → one number. Pair (i, j) and pair (j, i) are the same pair.",
            "first  = sum over i of unary[labels[i], i]\n"
            "unlike = labels[:, None] != labels[None]           (N, N)\n"
            "second = half the sum of kernel where unlike       (half: each pair once)",
        ),
    ),
    Exercise(
        id="crf.mean_field_step",
        function="mean_field_step",
        reference=mean_field_step,
        title="One mean-field step",
        difficulty="hard",
        tests=(
            Test("two labels", 2, _pixels(2, 1.0), numeric(STEP)),
            Test("many labels, a pixel tied to itself", 2, _pixels(8, 1.0, 3.0), numeric(STEP)),
            Test("large energies", 1, _pixels(4, 300.0), numeric(STEP)),
        ),
        hints=(
            "Every pixel asks all others: how sure are you of each label, and how strongly are we tied? What the "
            "others believe in *other* labels is a cost. Then a softmax of minus the costs.",
            "q and unary (L, N), kernel (N, N) → (L, N), every column adding to 1. message[l, i] = what all "
            "pixels tell "
            "pixel i about label l is one matrix product.",
            "message = q @ kernel                               (L, N)\n"
            "cost = unary + (message summed over labels) - message\n"
            "new = exp(-(cost - least cost of each column))     (or exp underflows)\n"
            "divide every column by its sum",
        ),
    ),
    Exercise(
        id="crf.choose",
        function="choose",
        reference=choose,
        title="Tune on train, report on val",
        difficulty="medium",
        tests=(
            Test("four training images", 2, _measured(4), numeric(MEANS), runs=3),
            Test("one training image", 1, _measured(1), numeric(MEANS), runs=3),
        ),
        hints=(
            "Two tables, two tasks: one chooses, the other reports. Why would the number on the training images "
            "promise too much?",
            "train (S, T) and val (S, V) → (a whole number, a number, a number). Row 0 is without the CRF; a gain "
            "is the mean of a row minus the mean of row 0 of the same table.",
            "best = the row of train with the greatest mean\n"
            "gain on train = mean of train[best] - mean of train[0]\n"
            "gain on val   = mean of val[best]   - mean of val[0]",
        ),
    ),
    Exercise(
        id="crf.trimap_band",
        function="trimap_band",
        reference=trimap_band,
        title="The band near boundaries",
        difficulty="medium",
        tests=(
            Test("an object and its ring", 2, _ringed, exact(YES_NO)),
            Test("void at the image's edge", 2, _at_the_edge, exact(YES_NO)),
        ),
        hints=(
            "Let the void pixels grow by `width` in every direction, diagonals too, then take the void itself "
            "away.",
            "(H, W) whole numbers → (H, W) of True and False.",
            "void = truth == 255\n"
            "grown = void shifted by every (dy, dx) with |dy|, |dx| ≤ width, joined by or\n"
            "        (pad first: nothing may wrap round; scipy.ndimage.binary_dilation grows too)\n"
            "band = grown and not void",
        ),
    ),
]
