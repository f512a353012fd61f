"""Three small exercises: one for each hostile function to attack, two that must not suffer from it."""

import numpy as np

from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact

WHOLE = "whole numbers"


def _numbers(rng: np.random.Generator) -> tuple[np.ndarray]:
    return (rng.integers(-1000, 1000, 16),)


def make(name: str, answer, seconds: float = 10.0) -> Exercise:  # type: ignore[no-untyped-def]
    tests = tuple(Test(word, 1, _numbers, exact(WHOLE), runs=1) for word in ("first", "second"))
    return Exercise(id=f"hostile.{name}", function=name, reference=answer, tests=tests, seconds=seconds)


EXERCISES = [
    make("before", lambda x: x + 1),
    make("victim", lambda x: x * x - 7, seconds=1.0),
    make("after", lambda x: x - 1),
]
