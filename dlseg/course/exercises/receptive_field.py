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


def fc_to_conv(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Flattening goes channel by channel, row by row: so the weights are laid back."""
    side = round((weight.shape[1] / channels) ** 0.5)
    conv = torch.empty(weight.shape[0], channels, side, side)
    for c in range(channels):
        for y in range(side):
            for x in range(side):
                conv[:, c, y, x] = weight[:, (c * side + y) * side + x]
    return conv


def decimate(weight: torch.Tensor, taps: int, outputs: int) -> torch.Tensor:
    """Keep every step-th tap along both axes from the first on, and every step-th output."""
    kernel = weight.shape[2]
    step, every = (kernel - 1) // (taps - 1), weight.shape[0] // outputs
    kept = torch.empty(outputs, weight.shape[1], taps, taps)
    for o in range(outputs):
        for y in range(taps):
            for x in range(taps):
                kept[o, :, y, x] = weight[o * every, :, y * step, x * step]
    return kept


def fc6_cost(kernel: int, inputs: int, outputs: int, positions: int) -> tuple[int, int]:
    """(parameters, multiplications): a weight per tap, input and output, one bias per output."""
    weights = sum(inputs * outputs for _ in range(kernel) for _ in range(kernel))
    return weights + outputs, weights * positions


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


def _matrix(rng: np.random.Generator) -> tuple[torch.Tensor, int]:
    channels, side = int(rng.integers(2, 6)), int(rng.choice([2, 3, 7]))
    shape = (int(rng.integers(2, 7)), channels * side * side)
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), channels


def _filters(kernel: int, *taps: int, fewer: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, int, int]:
        shape = (8, int(rng.integers(2, 5)), kernel, kernel)
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), int(rng.choice(taps)), 8 // fewer

    return draw


def _fc6(rng: np.random.Generator) -> tuple[int, int, int, int]:
    return int(rng.choice([3, 4, 7])), 512, int(rng.choice([1024, 4096])), int(rng.choice([1, 39, 41])) ** 2


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
        id="receptive_field.fc_to_conv",
        function="fc_to_conv",
        reference=fc_to_conv,
        title="A fully connected layer is a convolution",
        difficulty="easy",
        tests=(
            Test("small maps", 2, _matrix, exact(COPIES), runs=3),
            Test("other sizes", 2, _matrix, exact(COPIES), runs=3, hidden=True),
        ),
        hints=(
            "No number changes. The layer was fed a map (C, k, k) that had been flattened: which of its weights "
            "met "
            "channel c, row y, column x?",
            "(O, C·k·k) becomes (O, C, k, k); k is the square root of what is left after dividing by the channels.",
            "k = square root of (number of columns / channels)\n"
            "give the same numbers the shape (O, channels, k, k): flattening ran along rows last, so does reshape",
        ),
    ),
    Exercise(
        id="receptive_field.decimate",
        function="decimate",
        reference=decimate,
        title="Throw taps away",
        difficulty="medium",
        tests=(
            Test("7×7 to 4×4", 2, _filters(7, 4, fewer=1), exact(COPIES)),
            Test("7×7 to 3×3, fewer outputs", 2, _filters(7, 3, fewer=4), exact(COPIES)),
            Test("other kernels", 1, _filters(9, 3, 5, fewer=2), exact(COPIES), hidden=True),
        ),
        hints=(
            "Simple decimation: keep every second (or third) tap along each axis, beginning with the first, and "
            "drop "
            "the rest. Nothing is averaged.",
            "(O, I, k, k) becomes (outputs, I, taps, taps). From 7 to 4 the step is 2 and taps 0, 2, 4, 6 stay; "
            "from 7 "
            "to 3 it is 3 and 0, 3, 6 stay. Of the O filters every (O // outputs)-th stays.",
            "step = (k - 1) // (taps - 1)\nevery = O // outputs\nslices with these steps along axes 0, 2 and 3",
        ),
    ),
    Exercise(
        id="receptive_field.fc6_cost",
        function="fc6_cost",
        reference=fc6_cost,
        title="What fc6 costs",
        difficulty="easy",
        tests=(Test("the paper's variants", 2, _fc6, exact(WHOLE), runs=4),),
        hints=(
            "How many weights does one output channel have? It looks at a square of taps in every input channel, "
            "and adds one bias.",
            "Two whole numbers: parameters (weights and biases), and multiplications (the weights once for every "
            "position of the map).",
            "weights = kernel² × inputs × outputs\n"
            "parameters = weights + outputs\n"
            "multiplications = weights × positions",
        ),
    ),
]
