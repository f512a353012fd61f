"""Exercises of notebook 03: what a score sees, and what fc6 costs (section 3.2)."""

from __future__ import annotations

import numpy as np
import torch

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact

WHOLE = "fields and counts are whole numbers"
COPIES = "weights are copied, never computed"


def size_and_stride(layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Mark which pixels the last layer's cells 0 and 1 read, layer by layer from the top, and measure."""
    first, last = [0, 1], [0, 1]
    for kernel, stride, rate in reversed(layers):
        first = [cell * stride for cell in first]
        last = [cell * stride + (kernel - 1) * rate for cell in last]
    return last[0] - first[0] + 1, first[1] - first[0]


def smaller_fc6(weight: torch.Tensor, channels: int, taps: int, outputs: int) -> torch.Tensor:
    """Flattening went channel by channel, row by row; of the filters, and of their taps, keep every so-many-th."""
    kernel = round((weight.shape[1] / channels) ** 0.5)
    step, every = (kernel - 1) // (taps - 1), weight.shape[0] // outputs
    kept = torch.empty(outputs, channels, taps, taps)
    for o in range(outputs):
        for c in range(channels):
            for y in range(taps):
                for x in range(taps):
                    kept[o, c, y, x] = weight[o * every, (c * kernel + y * step) * kernel + x * step]
    return kept


def side_for(field: np.ndarray, row: int, column: int, share: float) -> int:
    """The side of the smallest square around a pixel that holds a share of the map's sum: 1, 3, 5, …"""
    reach = 0
    while True:
        inside = field[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        if inside.sum() >= share * field.sum():
            return 2 * reach + 1
        reach += 1


def _chain(*, rates: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[list[tuple[int, int, int]]]:
        options = (1, 2, 4) if rates else (1,)
        return (
            [
                (int(rng.integers(1, 8)), int(rng.choice([1, 1, 2])), int(rng.choice(options)))
                for _ in range(int(rng.integers(3, 9)))
            ],
        )

    return draw


def _vgg(rng: np.random.Generator) -> tuple[list[tuple[int, int, int]]]:
    stages = [layer for count in (2, 2, 3, 3, 3) for layer in [(3, 1, 1)] * count + [(2, 2, 1)]]
    return ([*stages, (int(rng.choice([3, 4, 7])), 1, 1)],)


def _fc6(kernel: int, *taps: int, fewer: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, int, int, int]:
        channels = int(rng.integers(2, 5))
        outputs = int(rng.integers(2, 5))
        filters = outputs * fewer + (fewer > 1)  # one is left over: a slice with a step alone would keep it too
        weight = rng.standard_normal((filters, channels * kernel * kernel), dtype=np.float32)
        return torch.from_numpy(weight), channels, int(rng.choice(taps)), outputs

    return draw


def _field(*, middle: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, int, int, float]:
        height, width = (2 * int(rng.integers(low, low + 4)) + 1 for low in (8, 13))
        row, column = (
            (height // 2, width // 2) if middle else (int(rng.integers(1, 5)), int(rng.integers(2, width)))
        )
        down, right = np.indices((height, width))
        distance = (down - row) ** 2 + (right - column) ** 2
        peak = np.exp(-distance / (2 * float(rng.uniform(2, 4)) ** 2))
        return peak + 0.1 * rng.random((height, width)), row, column, float(rng.choice([0.3, 0.5, 0.7]))

    return draw


EXERCISES = [
    Exercise(
        id="receptive_field.size_and_stride",
        function="size_and_stride",
        reference=size_and_stride,
        title="How far does a score see?",
        difficulty="medium",
        tests=(
            Test("kernels and strides", 2, _chain(rates=False), exact(WHOLE), runs=4),
            Test("with holes", 2, _chain(rates=True), exact(WHOLE), runs=4),
            Test("VGG-16 to fc6", 1, _vgg, exact(WHOLE), hidden=True),
        ),
        hints=(
            "Go up from the image. A pixel sees 1 pixel. A layer's kernel adds the cells between its first and "
            "last "
            "tap. How far apart, in pixels, are two neighbouring cells at that place?",
            "Two whole numbers (size, stride) in pixels. Before any layer they are (1, 1).",
            "size, jump = 1, 1\n"
            "for each (kernel, stride, rate):\n"
            "    size += (kernel - 1) rate jump\n"
            "    jump *= stride",
        ),
    ),
    Exercise(
        id="receptive_field.side_for",
        function="side_for",
        reference=side_for,
        title="How large is the part that counts?",
        difficulty="medium",
        tests=(
            Test("around the middle", 1, _field(middle=True), exact(WHOLE), runs=8),
            Test("near the edge", 2, _field(middle=False), exact(WHOLE), runs=8),
        ),
        hints=(
            "Let a square around the pixel grow by one row and one column on each side. What do you measure after "
            "each step, and when do you stop?",
            "field (H, W) and a pixel → one odd whole number. What reaches over the edge is cut off: "
            "a slice may end after the map, but it may not begin before 0.",
            "reach = 0\n"
            "while the sum of field[row - reach : row + reach + 1, the same for columns] < share × sum of field:\n"
            "    reach += 1                     (begin slices at max(0, …))\n"
            "the side is 2 reach + 1",
        ),
    ),
    Exercise(
        id="receptive_field.smaller_fc6",
        function="smaller_fc6",
        reference=smaller_fc6,
        title="From the classifier's fc6 to a small one",
        difficulty="medium",
        tests=(
            Test("7×7 to 4×4", 1, _fc6(7, 4, fewer=1), exact(COPIES)),
            Test("7×7 to 3×3, fewer filters", 2, _fc6(7, 3, fewer=4), exact(COPIES)),
            Test("other kernels", 1, _fc6(9, 3, 5, fewer=2), exact(COPIES), hidden=True),
        ),
        hints=(
            "No number is computed, only chosen. First give each filter back its shape (which of its weights met "
            "channel c, row y, column x?), then keep every so-many-th tap and filter.",
            "(O, C·k·k) becomes (O, C, k, k), and that (outputs, C, taps, taps). From 7 to 4 taps the step is 2, "
            "and 0, 2, 4, 6 stay; from 7 to 3 it is 3, and 0, 3, 6 stay. Every (O // outputs)-th filter stays.",
            "k = square root of (number of columns / channels)\n"
            "filters = the same numbers in the shape (O, channels, k, k): flattening ran along rows last, so does "
            "reshape\n"
            "step = (k - 1) // (taps - 1);  every = O // outputs\n"
            "slices with these steps along axes 0, 2 and 3; of the filters no more than `outputs`",
        ),
    ),
]
