"""Exercises of notebook 06: how to read an ablation (table 1), and where the CRF does harm (figure 7)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

SIGNS = "a label is right or wrong"
MEANS = "means of a few numbers"


def changed(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixel by pixel: 1 where a wrong label became right, -1 where a right one became wrong, else 0."""
    answer = np.zeros(truth.shape, dtype=np.int64)
    for y in range(truth.shape[0]):
        for x in range(truth.shape[1]):
            if truth[y, x] != 255:
                answer[y, x] = int(after[y, x] == truth[y, x]) - int(before[y, x] == truth[y, x])
    return answer


def effects(table: np.ndarray) -> np.ndarray:
    """For each axis: the mean gain of switching it on, over all settings of the others."""
    gains = []
    for axis in range(table.ndim):
        off, on = np.take(table, 0, axis), np.take(table, 1, axis)
        gains.append(np.mean([b - a for a, b in zip(off.ravel(), on.ravel(), strict=True)]))
    return np.array(gains)


def _labelled(*, void: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        classes, shape = int(rng.integers(3, 9)), tuple(rng.integers(9, 20, 2))
        truth = rng.integers(classes, size=shape)
        before, after = (np.where(rng.random(shape) < 0.5, truth, rng.integers(classes, size=shape)) for _ in "ab")
        if void:
            hidden = rng.random(shape) < 0.3
            before, after = (np.where(hidden & (rng.random(shape) < 0.3), 255, m) for m in (before, after))
            truth = np.where(hidden, 255, truth)
        return before, after, truth

    return draw


def _table(factors: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        return (rng.uniform(55, 70, (2,) * factors),)

    return draw


EXERCISES = [
    Exercise(
        id="capstone.effects",
        function="effects",
        reference=effects,
        title="What does each part bring?",
        difficulty="medium",
        tests=(
            Test("three parts", 2, _table(3), numeric(MEANS)),
            Test("other numbers of parts", 2, _table(4), numeric(MEANS), hidden=True),
        ),
        hints=(
            "Compare like with like: for one part, every setting of the others gives one difference, with minus "
            "without.",
            "table has one axis of length 2 per part: index 0 without it, 1 with it. The answer is (number of "
            "parts,).",
            "for each axis: mean of table where that index is 1  -  mean where it is 0",
        ),
    ),
    Exercise(
        id="capstone.changed",
        function="changed",
        reference=changed,
        title="What the CRF mends and what it breaks",
        difficulty="easy",
        tests=(
            Test("every pixel counts", 2, _labelled(void=False), exact(SIGNS)),
            Test("void does not", 2, _labelled(void=True), exact(SIGNS)),
        ),
        hints=(
            "Two questions for each pixel: was it right before, is it right after? What do the four pairs of "
            "answers give?",
            "(H, W) three times → (H, W), whole numbers −1, 0 and 1. Wrong before and wrong after is 0, also where "
            "the two labels differ.",
            "right before = before is truth;  right after = after is truth\n"
            "(1 if right after, else 0) - (1 if right before, else 0)\n"
            "0 where truth is 255",
        ),
    ),
]
