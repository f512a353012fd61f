"""Inputs of a test, drawn so that no answer without a thought (the input, zeros, a constant, nothing) is right."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlseg.common.seeds import seed_all
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import difference, plain_values

CONSTANTS: dict[str, Any] = {
    "None": None,
    "NaN": float("nan"),
    "0": 0,
    "1": 1,
    "-1": -1,
    "0.5": 0.5,
    "True": True,
    "False": False,
    "an empty list": [],
    "an empty text": "",
}
FILLS: dict[str, Any] = {"zeros": 0, "ones": 1, "minus ones": -1, "halves": 0.5, "NaN everywhere": float("nan")}
TRIES = 100  # how often a run is drawn anew before the exercise is taken as it is


@dataclass(frozen=True)
class Case:
    """One call of a test: its arguments, the seed set before it, and what the reference gives, as arrays."""

    arguments: tuple[Any, ...]
    seed: int
    expected: Any


def answers(arguments: tuple[Any, ...], expected: Any, first: Any) -> dict[str, Any]:
    """What functions without a thought would give for one call.

    Args:
        arguments: the call's arguments.
        expected: what the reference gives for them, tensors as arrays.
        first: what the reference gave in the test's first run: a function that always returns it is a constant.

    Returns:
        The answer by its name; the names are the same for every run of a test.
    """
    found = dict(CONSTANTS) | {"what the first run expects": first}
    fills = dict(FILLS)
    for place, value in enumerate(plain_values(argument) for argument in arguments):
        found[f"argument {place}"] = value
        if isinstance(value, int | float):
            fills[f"argument {place} everywhere"] = value
        if isinstance(value, np.ndarray):
            found |= {
                f"{word} like argument {place}": np.full_like(value, 1 if word == "ones" else 0)
                for word in ("zeros", "ones")
            }
            found[f"argument {place} transposed"] = value.T
        if isinstance(value, list) and value:
            found[f"the first of argument {place}"] = value[0]
    found["all arguments"] = [plain_values(argument) for argument in arguments]
    return found | {f"{word} in the right shape": filled(expected, value) for word, value in fills.items()}


def filled(expected: Any, value: Any) -> Any:
    """The structure and shapes of `expected` with `value` for every number.

    >>> filled([(1, 2), 3], 0)
    [[0, 0], 0]
    """
    if isinstance(expected, dict):
        return {key: filled(item, value) for key, item in expected.items()}
    if isinstance(expected, list | tuple):
        return [filled(item, value) for item in expected]
    if not isinstance(expected, np.ndarray):
        return bool(value) if isinstance(expected, bool) else value
    kind = np.result_type(value) if expected.dtype.kind in "iu" and value % 1 else expected.dtype
    return np.full(expected.shape, value, kind)


def survivors(test: Test, cases: list[Case]) -> list[str]:
    """The answers without a thought that are right in every run of a test.

    Args:
        test: whose tolerance decides.
        cases: the test's runs.
    """
    alive: set[str] | None = None
    for case in cases:
        given = answers(case.arguments, case.expected, cases[0].expected)
        if len(cases) == 1:  # one run cannot show whether the result is always the same
            del given["what the first run expects"]
        names = set(given) if alive is None else alive & set(given)
        alive = {name for name in names if difference(given[name], case.expected, test.tolerance) is None}
        if not alive:
            break
    return sorted(alive or ())


def draw_cases(exercise: Exercise, test: Test, seed: int) -> list[Case]:
    """The runs of a test, drawn so that no answer without a thought is right in all of them.

    Args:
        exercise: which the test belongs to.
        test: the test.
        seed: of the inputs; the same seed draws the same runs.

    Returns:
        `test.runs` cases. Where such an answer survives TRIES draws, the test cannot tell it from a right one
        (`dlseg course check` lists such tests) and is taken as it is.
    """

    def case(place: int, again: int) -> Case:
        arguments = test.draw(seed, exercise.id, place + again * test.runs)
        call_seed = (seed + place) % 2**31
        seed_all(call_seed)
        return Case(arguments, call_seed, plain_values(exercise.answer(test, copy.deepcopy(arguments))))

    first = cases = [case(place, 0) for place in range(test.runs)]
    for again in range(1, TRIES + 1):
        if not survivors(test, cases):
            return cases
        place = (again - 1) % test.runs
        cases = [*cases[:place], case(place, again), *cases[place + 1 :]]
    return first if survivors(test, cases) else cases


def weak_tests(exercise: Exercise, seeds: Iterable[int] = range(3)) -> list[str]:
    """What is wrong with an exercise's tests: one sentence for each that pays for an answer without a thought.

    Args:
        exercise: whose tests are looked at.
        seeds: of the inputs that are tried.

    Returns:
        The sentences; none where the tests are sound.

    >>> from dlseg.grading.tolerance import exact
    >>> test = Test("t", 2, lambda rng: (int(rng.integers(50, 99)),), exact("whole numbers"))
    >>> weak_tests(Exercise("demo.same", "same", lambda n: n, (test,)))
    ['demo.same/t: pays 2 points for argument 0, argument 0 everywhere in the right shape']
    """
    found = []
    for test in exercise.tests:
        names = {name for seed in seeds for name in survivors(test, draw_cases(exercise, test, seed))}
        if names and test.points:
            answer = ", ".join(sorted(names)[:3])
            found.append(f"{exercise.id}/{test.name}: pays {test.points:g} points for {answer}")
    return found
