"""Exercises of notebook 02: the hole algorithm (section 3.1)."""

from __future__ import annotations

import numpy as np
import torch

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

COPIES = "values are copied or zero, never computed"
SUMS = "the same few products, added in any order, in single or double precision"


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


def _filters(size: int, *rates: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        shape = (int(rng.integers(1, 5)), int(rng.integers(1, 4)), size, size)
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), int(rng.choice(rates))

    return draw


def _signal(taps: int, *rates: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
        length = int(rng.integers(24, 40))
        return rng.standard_normal(length), rng.standard_normal(taps), int(rng.choice(rates))

    return draw


EXERCISES = [
    Exercise(
        id="atrous.insert_holes", function="insert_holes", reference=insert_holes, title="Open a filter",
        tests=(
            Test("rate 1 changes nothing", 1, _filters(3, 1), exact(COPIES)),
            Test("3×3 at rate 2", 2, _filters(3, 2), exact(COPIES)),
            Test("other sizes and rates", 2, _filters(5, 3, 4, 5), exact(COPIES), hidden=True),
        ),
    ),
    Exercise(
        id="atrous.conv1d", function="atrous_conv1d", reference=atrous_conv1d,
        title="Atrous convolution in 1-D",
        tests=(
            Test("rate 1 is ordinary correlation", 1, _signal(3, 1), numeric(SUMS)),
            Test("rate 2", 2, _signal(3, 2), numeric(SUMS)),
            Test("five taps, larger rates", 2, _signal(5, 3, 4), numeric(SUMS), hidden=True),
        ),
    ),
]
