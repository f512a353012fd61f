"""Exercises of notebook 06: joined classifiers (section 4) and how to read an ablation (table 1)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import numeric

SUMS = "the same products, added in any order, in single or double precision"
MEANS = "means of a few numbers"


def joined(weights: list[np.ndarray], features: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(one weight matrix, one feature map) whose product is the sum of all weight @ feature."""
    weight = np.zeros((weights[0].shape[0], 0))
    feature = np.zeros((0, features[0].shape[1]))
    for w, f in zip(weights, features, strict=True):
        weight = np.hstack([weight, w])
        feature = np.vstack([feature, f])
    return weight, feature


def effects(table: np.ndarray) -> np.ndarray:
    """For each axis: the mean gain of switching it on, over all settings of the others."""
    gains = []
    for axis in range(table.ndim):
        off, on = np.take(table, 0, axis), np.take(table, 1, axis)
        gains.append(np.mean([b - a for a, b in zip(off.ravel(), on.ravel(), strict=True)]))
    return np.array(gains)


def _heads(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    classes, positions = int(rng.integers(3, 8)), int(rng.integers(4, 12))
    widths = [int(n) for n in rng.integers(2, 7, size=int(rng.integers(2, 6)))]
    return (
        [rng.standard_normal((classes, n)) for n in widths],
        [rng.standard_normal((n, positions)) for n in widths],
    )


def _table(factors: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        return (rng.uniform(55, 70, (2,) * factors),)

    return draw


EXERCISES = [
    Exercise(
        id="capstone.joined",
        function="joined",
        reference=joined,
        title="Six classifiers are one",
        difficulty="medium",
        tests=(Test("weights and features side by side", 4, _heads, numeric(SUMS), runs=3),),
        hints=(
            "Multiply a row of two blocks with a column of two blocks: what comes out?",
            "weights: matrices (C, n₁), (C, n₂), …; features: maps (n₁, P), (n₂, P), … The answer is a pair of "
            "shapes "
            "(C, n₁ + n₂ + …) and (n₁ + n₂ + …, P), in the order given.",
            "weight = all weights side by side (along columns)\n"
            "feature = all features one below the other (along rows)\n"
            "give both back",
        ),
    ),
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
]
