"""Exercises of notebook 05: one mean-field step with the exact kernel (section 4.1)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import numeric

STEP = "sums over 60 pixels in single or double precision, then a softmax"


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


def _pixels(labels: int, scale: float) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pixels = 60
        features = rng.standard_normal((pixels, 3))
        kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(-1))
        np.fill_diagonal(kernel, 0.0)
        unary = scale * rng.standard_normal((labels, pixels))
        weight = np.exp(unary.min(0) - unary)
        return weight / weight.sum(0), unary, kernel

    return draw


EXERCISES = [
    Exercise(
        id="crf.mean_field_step", function="mean_field_step", reference=mean_field_step,
        title="One mean-field step",
        tests=(
            Test("two labels", 2, _pixels(2, 1.0), numeric(STEP)),
            Test("many labels", 2, _pixels(8, 1.0), numeric(STEP)),
            Test("large energies", 1, _pixels(4, 300.0), numeric(STEP), hidden=True),
        ),
    ),
]
