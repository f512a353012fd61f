"""`check` names the likely cause of a wrong answer, tells no other, and gives the call that failed as code."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlseg.course
from dlseg.course import case, check
from dlseg.course.catalogue import catalogue
from dlseg.course.verdict import COLOURS, INK, PAPER
from dlseg.course.wrong_answers import wrong_answers
from dlseg.grading.draws import filled
from dlseg.grading.reports.pictures import _most_different
from dlseg.grading.tolerance import plain_values

IDS = list(catalogue())


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", IDS)
def test_each_typical_mistake_has_its_own_sentence(name: str) -> None:
    found = catalogue()[name]
    explained = [wrong for wrong in wrong_answers()[name] if wrong.cause]
    assert len({wrong.cause for wrong in explained}) == len(explained) >= 3
    for wrong in explained:
        verdict = check(name, wrong.function(found.function))
        if verdict.status == "passed":  # only the hidden tests tell it from a right answer
            verdict = check(name, wrong.function(found.function), hidden=True)
        assert verdict.cause == wrong.cause, wrong.what
        assert f"Perhaps this: {wrong.cause}" in str(verdict) and "Perhaps this:</b>" in verdict.html()


@pytest.mark.parametrize("name", IDS)
def test_no_sentence_for_a_right_answer_or_another_mistake(name: str) -> None:
    found = catalogue()[name]

    def strange(*arguments: Any) -> Any:
        raise LookupError("no typical mistake")

    assert check(name, found.reference, hidden=True).cause == ""
    assert check(name, strange).cause == ""


@pytest.mark.parametrize("name", IDS)
def test_a_failing_call_can_be_pasted_and_gives_the_same(name: str) -> None:
    found = catalogue()[name]
    seen: list[tuple[Any, ...]] = []

    def records(*arguments: Any) -> None:
        seen.append(arguments)

    verdict = check(name, records)
    failed = [outcome for outcome in verdict.outcomes if outcome.status == "failed"]
    assert failed
    for outcome in failed:
        seen.clear()
        exec(outcome.arguments, {found.function: records, "case": case})
        (pasted,) = seen
        number = int(run[1]) if (run := re.search(r", (\d+)\)\)$", outcome.arguments)) else 0
        for own, expected in zip(pasted, case(name, outcome.test.name, number), strict=True):
            np.testing.assert_equal(plain_values(own), plain_values(expected))


THOUGHTLESS: dict[str, Callable[[tuple[Any, ...], Any], Any]] = {
    "zeros": lambda given, right: filled(right, 0),
    "ones": lambda given, right: filled(right, 1),
    "NaN": lambda given, right: filled(right, float("nan")),
    "the input": lambda given, right: given[0],
    "None": lambda given, right: None,
    "random": lambda given, right: _random(right, np.random.default_rng(3)),
}


def _random(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, list):
        return [_random(item, rng) for item in value]
    return rng.standard_normal(np.shape(value))


@pytest.mark.parametrize("name", IDS)
def test_an_answer_without_a_thought_earns_nothing_in_check(name: str) -> None:
    found = catalogue()[name]
    for kind, answer in THOUGHTLESS.items():

        def thoughtless(*given: Any, answer: Callable[[tuple[Any, ...], Any], Any] = answer) -> Any:
            return answer(given, plain_values(found.reference(*copy.deepcopy(given))))

        assert check(name, thoughtless, hidden=True).points == 0, kind


def test_a_case_that_does_not_exist() -> None:
    assert dlseg.course.case is case
    with pytest.raises(ValueError, match=r"test: got 'rate 9', expected one of 'rates 1 and 2', '3×3 at rate 2'"):
        case("atrous.insert_holes", "rate 9", 0)
    with pytest.raises(ValueError, match="run: got 7, expected a whole number from 0 to 1"):
        case("atrous.insert_holes", "3×3 at rate 2", 7)


def test_the_picture_shows_the_map_that_differs_most() -> None:
    reference = np.zeros((3, 2, 4, 4))
    own = reference.copy()
    own[2, 1, 0, 3], own[0, 1, 1, 1] = 5, 1
    left, right = _most_different(own, reference)
    assert left.shape == (4, 4) and left[0, 3] == 5 and not right.any()


def _luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*COLOURS.values(), INK])
def test_a_verdict_can_be_read_in_every_theme(colour: str) -> None:
    """On paper of its own, at 4.5 to 1 or more; no cell of it takes a colour from the page."""
    assert (_luminance(PAPER) + 0.05) / (_luminance(colour) + 0.05) >= 4.5
    page = check("atrous.insert_holes", lambda weight, rate: weight).html()
    assert all("color:" in cell for cell in re.findall(r"<td[^>]*>", page)) and f"background:{PAPER}" in page
