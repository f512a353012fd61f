"""No answer without a thought earns a point: in every exercise of the course, and in teachers' own."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlseg.course.catalogue import catalogue
from dlseg.grading import draws
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import difference, exact, plain_values

SEEDS = 200
IDS = list(catalogue())


def random_answers(expected: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Numbers of several kinds in the right structure and shape."""
    kinds: dict[str, Callable[[tuple[int, ...]], Any]] = {
        "normal": rng.standard_normal,
        "uniform": rng.random,
        "small whole": lambda shape: rng.integers(0, 10, shape),
        "whole": lambda shape: rng.integers(0, 300, shape),
        "yes or no": lambda shape: rng.random(shape) < 0.5,
    }

    def like(value: Any, draw: Callable[[tuple[int, ...]], Any]) -> Any:
        if isinstance(value, list):
            return [like(item, draw) for item in value]
        return draw(np.shape(value))

    return {f"random {name}": like(expected, draw) for name, draw in kinds.items()}


@pytest.mark.parametrize("name", IDS)
def test_no_answer_without_a_thought_earns_a_point(name: str) -> None:
    """As the grader draws: all runs of a test must agree, so an answer earns it if it is right in each."""
    found, earned = catalogue()[name], set()
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, 1])
        for test in found.tests:
            cases = draws.draw_cases(found, test, seed)
            alive: set[str] | None = None
            for case in cases:
                given = draws.answers(case.arguments, case.expected, cases[0].expected)
                given |= random_answers(case.expected, rng)
                right = {n for n in given if difference(given[n], case.expected, test.tolerance) is None}
                alive = right if alive is None else alive & right
                if not alive:
                    break
            earned |= {(test.name, answer) for answer in alive or ()}
    assert earned == set()


def weak(
    draw: Callable[[np.random.Generator], tuple[Any, ...]], answer: Callable[..., Any], runs: int = 2
) -> Exercise:
    return Exercise("weak.one", "one", answer, (Test("t", 3, draw, exact("whole numbers"), runs=runs),))


def test_a_draw_that_gives_points_away_is_drawn_again() -> None:
    """A reference that often equals its input: the grader's runs hold one where it does not."""
    found = weak(lambda rng: (int(rng.integers(1, 10)),), lambda n: max(n, 8))
    for seed in range(SEEDS):
        cases = draws.draw_cases(found, found.tests[0], seed)
        assert any(case.expected != case.arguments[0] for case in cases), seed
        assert any(case.expected != 8 for case in cases), seed
        again = draws.draw_cases(found, found.tests[0], seed)
        assert again == cases, "the same seed draws the same runs"


@pytest.mark.parametrize(
    ("answer", "word"),
    [(lambda n: n, "argument 0"), (lambda n: 1, "1"), (lambda n: [0, 0], "zeros in the right shape")],
)
def test_a_test_that_cannot_tell_is_named(answer: Callable[[int], Any], word: str) -> None:
    (sentence,) = draws.weak_tests(weak(lambda rng: (int(rng.integers(50, 99)),), answer))
    assert sentence.startswith("weak.one/t: pays 3 points for ") and word in sentence


def test_a_sound_test_is_not_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draws.weak_tests(weak(lambda rng: (rng.integers(9, size=5),), lambda x: x + 1)) == []


def test_plain_values_keep_numbers() -> None:
    assert plain_values({"a": (1, [2])}) == {"a": [1, [2]]}
