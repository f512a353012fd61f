"""Exercises of notebook 04: measuring and training (section 5)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import numeric

FEW = "a handful of floating-point operations, in any order"


def mean_iou(confusion: np.ndarray) -> float:
    """Mean over classes of true positives / (truth + prediction - true positives); absent: 0."""
    scores = []
    for c in range(len(confusion)):
        union = confusion[c, :].sum() + confusion[:, c].sum() - confusion[c, c]
        scores.append(confusion[c, c] / union if union else 0.0)
    return float(np.mean(scores))


def poly_rate(base: float, step: int, steps: int, power: float) -> float:
    """base (1 - step / steps) to the given power."""
    return base * (1 - step / steps) ** power


def _confusion(*, absent: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        classes = int(rng.integers(3, 22))
        confusion = rng.integers(0, 50, (classes, classes)) + np.diag(rng.integers(50, 900, classes))
        if absent:
            gone = int(rng.integers(classes))
            confusion[gone, :] = confusion[:, gone] = 0
        return (confusion,)

    return draw


def _schedule(rng: np.random.Generator) -> tuple[float, int, int, float]:
    steps = int(rng.integers(100, 9000))
    return float(rng.uniform(1e-4, 1e-1)), int(rng.integers(1, steps)), steps, float(rng.uniform(0.5, 1.5))


def _ends(rng: np.random.Generator) -> tuple[float, int, int, float]:
    base, _, steps, power = _schedule(rng)
    return base, int(rng.choice([0, steps])), steps, power


EXERCISES = [
    Exercise(
        id="training.mean_iou", function="mean_iou", reference=mean_iou, title="Mean intersection over union",
        tests=(
            Test("all classes present", 3, _confusion(absent=False), numeric(FEW, 1e-6, 1e-9)),
            Test("a class is absent", 2, _confusion(absent=True), numeric(FEW, 1e-6, 1e-9), hidden=True),
        ),
    ),
    Exercise(
        id="training.poly_rate", function="poly_rate", reference=poly_rate, title="The poly schedule",
        tests=(
            Test("in the middle", 3, _schedule, numeric(FEW, 1e-6, 1e-12), runs=3),
            Test("first and last step", 2, _ends, numeric(FEW, 1e-6, 1e-12), runs=4),
        ),
    ),
]
