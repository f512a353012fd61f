"""Exercises of notebook 01: stride and size arithmetic of pooling."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact

WHOLE = "sizes are whole numbers"


def output_size(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """How many windows fit; with ceil_mode (Caffe) a last one may hang over, if it starts inside."""
    count = 0
    start = -padding
    while start + kernel <= size + padding:
        count, start = count + 1, start + stride
    covered = start - stride + kernel >= size + padding
    return count + (ceil_mode and not covered and start < size)


def _windows(ceil_mode: bool, *, padded: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[int, int, int, int, bool]:
        kernel = int(rng.integers(2, 5))
        padding = int(rng.integers(1, kernel // 2 + 1)) if padded else 0
        return int(rng.integers(20, 330)), kernel, int(rng.integers(2, kernel + 1)), padding, ceil_mode

    return draw


EXERCISES = [
    Exercise(
        id="pooling.output_size", function="output_size", reference=output_size, title="How many windows fit",
        tests=(
            Test("no padding", 2, _windows(False, padded=False), exact(WHOLE), runs=6),
            Test("with padding", 1, _windows(False, padded=True), exact(WHOLE), runs=6),
            Test("Caffe rounds up", 2, _windows(True, padded=True), exact(WHOLE), runs=8, hidden=True),
        ),
    ),
]
