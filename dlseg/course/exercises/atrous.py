"""Exercises of notebook 02: the hole algorithm (section 3.1)."""

from __future__ import annotations

import numpy as np
import torch

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

COPIES = "values are copied or zero, never computed"
SUMS = "the same few products, added in any order, in single or double precision"
WHOLE = "rates and strides are whole numbers"
MEANS = "a share, and a root of means in single or double precision"


def insert_holes(weight: torch.Tensor, rate: int) -> torch.Tensor:
    """Tap (y, x) of every filter moves to (rate y, rate x); what lies between is zero."""
    outputs, inputs, height, width = weight.shape
    size = (outputs, inputs, (height - 1) * rate + 1, (width - 1) * rate + 1)
    opened = torch.zeros(size, dtype=weight.dtype)
    for y in range(height):
        for x in range(width):
            opened[:, :, rate * y, rate * x] = weight[:, :, y, x]
    return opened


def atrous_conv1d(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """y[i] = sum over k of x[i + rate k] w[k], wherever all taps lie inside x."""
    reach = (len(w) - 1) * rate
    return np.array([sum(x[i + rate * k] * w[k] for k in range(len(w))) for i in range(len(x) - reach)])


def atrous_conv2d(x: torch.Tensor, weight: torch.Tensor, rate: int) -> torch.Tensor:
    """Tap by tap: each multiplies a shifted piece of the map and adds to all outputs; no padding, stride 1."""
    _, _, kh, kw = weight.shape
    height, width = x.shape[1] - (kh - 1) * rate, x.shape[2] - (kw - 1) * rate
    y = torch.zeros(weight.shape[0], height, width)
    for r in range(kh):
        for c in range(kw):
            piece = x[:, r * rate : r * rate + height, c * rate : c * rate + width]
            y += torch.einsum("oi,ihw->ohw", weight[:, :, r, c], piece)
    return y


def rates(strides: list[int], output_stride: int) -> list[tuple[int, int]]:
    """Layer by layer: keep the stride while the jump may still grow, then open the filters instead."""
    jump, coarse, plan = 1, 1, []
    for stride in strides:
        rate = coarse // jump
        kept = stride if jump * stride <= output_stride else 1
        plan.append((kept, rate))
        coarse, jump = coarse * stride, jump * kept
    return plan


def pool_error(exact: np.ndarray, released: np.ndarray) -> tuple[float, float]:
    """Cut the released map's border; the share of places with another best class, and the relative RMS error."""
    classes, height, width = exact.shape
    other, squares, total = 0, 0.0, 0.0
    mean = exact.mean()
    for r in range(height):
        for c in range(width):
            theirs = released[:, r + 1, c + 1]
            other += int(np.argmax(theirs) != np.argmax(exact[:, r, c]))
            for n in range(classes):
                squares += (theirs[n] - exact[n, r, c]) ** 2
                total += (exact[n, r, c] - mean) ** 2
    return other / (height * width), float((squares / total) ** 0.5)


def _filters(size: int, *options: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        shape = (int(rng.integers(1, 5)), int(rng.integers(1, 4)), size, size)
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), int(rng.choice(options))

    return draw


def _signal(taps: int, *options: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
        length = int(rng.integers(24, 40))
        return rng.standard_normal(length), rng.standard_normal(taps), int(rng.choice(options))

    return draw


def _map(taps: int, *options: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, int]:
        rate, inputs = int(rng.choice(options)), int(rng.integers(2, 5))
        height, width = rng.integers(3, 9, 2) + (taps - 1) * rate
        x = rng.standard_normal((inputs, height, width), dtype=np.float32)
        weight = rng.standard_normal((int(rng.integers(2, 6)), inputs, taps, taps), dtype=np.float32)
        return torch.from_numpy(x), torch.from_numpy(weight), rate

    return draw


def _vgg(rng: np.random.Generator) -> tuple[list[int], int]:
    return [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1], int(rng.choice([8, 16]))


def _strides(*kinds: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[list[int], int]:
        strides = [int(s) for s in rng.choice(kinds, size=12)]
        return strides, 2 ** int(rng.integers(0, strides.count(2) + 1))

    return draw


def _score_maps(noise: float) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        classes, height, width = (int(n) for n in rng.integers((3, 5, 5), (8, 10, 10)))
        shape = (classes, height + 2, width + 2)
        whole = 3 * rng.standard_normal(shape) + rng.uniform(-4, 4)
        return whole[:, 1:-1, 1:-1].copy(), whole + noise * rng.standard_normal(shape) + noise

    return draw


EXERCISES = [
    Exercise(
        id="atrous.conv1d",
        function="atrous_conv1d",
        reference=atrous_conv1d,
        title="Atrous convolution in 1-D",
        difficulty="easy",
        tests=(
            Test("rate 1 is ordinary correlation", 1, _signal(3, 1), numeric(SUMS)),
            Test("rate 2", 1, _signal(3, 2), numeric(SUMS)),
            Test("five taps, larger rates", 2, _signal(5, 3, 4), numeric(SUMS), hidden=True),
        ),
        hints=(
            "Write down y[0] for a filter of three taps at rate 2: which three numbers of x does it read?",
            "y is shorter than x by (len(w) − 1)·rate: its last value must still find its last tap inside x.",
            "n = len(x) - (len(w) - 1) rate\n"
            "y = n zeros\n"
            "for each tap k: add w[k] times the n numbers of x that start at rate k",
        ),
    ),
    Exercise(
        id="atrous.insert_holes",
        function="insert_holes",
        reference=insert_holes,
        title="Open a filter",
        difficulty="easy",
        tests=(
            Test("rates 1 and 2", 1, _filters(3, 1, 2), exact(COPIES)),
            Test("3×3 at rate 2", 1, _filters(3, 2), exact(COPIES)),
            Test("other sizes and rates", 2, _filters(5, 3, 4, 5), exact(COPIES), hidden=True),
        ),
        hints=(
            "Neighbouring taps move `rate` cells apart; everything between them is zero. Begin with zeros.",
            "(O, I, k, k) becomes (O, I, K, K) with K = (k − 1)·rate + 1: no zeros after the last tap.",
            "opened = zeros of shape (O, I, K, K), of weight's own type\n"
            "every rate-th row and column of opened = weight      (a slice with a step)",
        ),
    ),
    Exercise(
        id="atrous.conv2d",
        function="atrous_conv2d",
        reference=atrous_conv2d,
        title="Read the map with steps",
        rules=("no dilation",),
        difficulty="medium",
        tests=(
            Test("rate 1", 1, _map(3, 1), numeric(SUMS)),
            Test("rate 2", 2, _map(3, 2), numeric(SUMS)),
            Test("other kernels and rates", 3, _map(4, 3, 5), numeric(SUMS), hidden=True),
        ),
        hints=(
            "It is your 1-D function in two directions, and summed over the input channels. Go tap by tap: each "
            "tap "
            "sees the whole map, shifted.",
            "(I, H, W) becomes (O, H − (k − 1)·rate, W − (k − 1)·rate). Tap (r, c) sees a piece of that size, "
            "which "
            "starts at row r·rate and column c·rate; its weight is a matrix (O, I).",
            "y = zeros (O, h, w)\n"
            "for each tap (r, c):\n"
            "    piece = x[:, r rate : r rate + h, c rate : c rate + w]          (I, h, w)\n"
            '    y += weight[:, :, r, c] times piece, summed over I              (einsum "oi,ihw->ohw")',
        ),
    ),
    Exercise(
        id="atrous.rates",
        function="rates",
        reference=rates,
        title="Which layer gets which rate?",
        difficulty="medium",
        tests=(
            Test("VGG-16's eleven stages", 2, _vgg, exact(WHOLE)),
            Test("any chain", 1, _strides(1, 1, 2), exact(WHOLE), runs=4),
            Test("larger strides: a later one may fit again", 2, _strides(1, 2, 3, 4), exact(WHOLE), runs=6),
        ),
        hints=(
            "Keep two numbers while you go down the layers: the jump (pixels from cell to cell) that the old "
            "network "
            "had here, and the jump of the new one. How many new cells make one old step?",
            "A list of pairs (stride, rate), one per layer. A layer's own removed stride opens the layers after "
            "it, "
            "not itself.",
            "old = new = 1\n"
            "for each stride:\n"
            "    rate = old // new\n"
            "    keep the stride if new × stride is still ≤ output_stride, else it is 1\n"
            "    note (kept, rate);  old ×= stride;  new ×= kept",
        ),
    ),
    Exercise(
        id="atrous.pool_error",
        function="pool_error",
        reference=pool_error,
        title="How wrong is the released pool5?",
        difficulty="medium",
        tests=(
            Test("a small error", 1, _score_maps(1.0), numeric(MEANS)),
            Test("a large error", 2, _score_maps(4.0), numeric(MEANS)),
        ),
        hints=(
            "Two questions: at how many places does another class win? And how large is the error, compared with "
            "how much the scores vary anyway?",
            "exact (C, h, w), released (C, h + 2, w + 2) → two numbers. Cut one row and one column from each side "
            "first. The class that wins is the argmax along axis 0: an (h, w) map.",
            "cut = released without its border\n"
            "share = mean of (argmax of cut along the classes is not the argmax of exact)\n"
            "error = square root of (mean of (cut - exact)²  /  mean of (exact - mean of exact)²)",
        ),
    ),
]
