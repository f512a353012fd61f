"""What a student meets: `check` tells right, wrong, raised, not attempted apart; `hint` is a ladder; `standing`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlseg.course import check, hint, standing
from dlseg.course.catalogue import catalogue
from dlseg.course.selfcheck import DONE

NAME = "atrous.insert_holes"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's folder; nothing checked before."""
    monkeypatch.chdir(tmp_path)
    DONE.clear()
    return tmp_path


def stub(weight: torch.Tensor, rate: int) -> torch.Tensor:
    raise NotImplementedError


def unchanged(weight: torch.Tensor, rate: int) -> torch.Tensor:
    return weight


def broken(weight: torch.Tensor, rate: int) -> torch.Tensor:
    return weight[rate, 99]


CASES: dict[str, tuple[Callable[..., Any], str, float, str]] = {
    "right": (catalogue()[NAME].reference, "passed", 2, "all open tests right: 2 of 4 points; 2 more for hidden"),
    "wrong": (unchanged, "failed", 0, "the result has shape (3, 1, 3, 3), expected (3, 1, 5, 5)"),
    "raised": (broken, "raised", 0, "your code raised IndexError: index 99 is out of bounds"),
    "not attempted": (stub, "missing", 0, "not attempted yet (4 points)"),
}


@pytest.mark.parametrize("name", CASES)
def test_four_ends_are_told_apart(name: str) -> None:
    function, status, points, words = CASES[name]
    verdict = check(NAME, function)
    assert (verdict.status, verdict.points) == (status, points)
    assert words in str(verdict) and words.replace(">", "&gt;") in verdict.html()
    assert ('hint("atrous.insert_holes")' in str(verdict)) == (status != "passed")


def test_the_notebooks_own_function_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "insert_holes is not defined here: run its cell first" in str(check(NAME))
    monkeypatch.setattr("__main__.insert_holes", 7, raising=False)
    assert "insert_holes is 7, no function" in str(check(NAME))
    monkeypatch.setattr("__main__.insert_holes", unchanged)
    assert check(NAME).status == "failed"


def test_as_text_a_verdict_is_its_points() -> None:
    """nbgrader reads the plain text of a cell's result; more than a number would be full marks."""
    bundle = check(NAME, lambda weight, rate: catalogue()[NAME].reference(weight, 2))._repr_mimebundle_()
    assert float(bundle["text/plain"]) == 1 and "<img" in bundle["text/html"]
    assert check(NAME, stub)._repr_mimebundle_()["text/plain"] == "0"
    whole = check(NAME, catalogue()[NAME].reference, hidden=True)
    assert whole._repr_mimebundle_()["text/plain"] == "4" and "all open tests right: 4 of 4" in str(whole)


def test_what_is_shown_of_a_wrong_answer() -> None:
    def shifted(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
        return np.roll(np.correlate(x, w, "valid"), 1)

    page = check("atrous.conv1d", shifted).html()
    for said in ("expected", "at [0]", "to see it again", "case(", "data:image/png;base64,", "the reference"):
        assert said in page


def test_a_hostile_result_is_still_a_verdict() -> None:
    text = np.array(["a"])
    for result in (object(), {1: 2}, {"a": object()}, float("nan"), "text", iter([]), text, [[1, 2], [3]]):
        verdict = check(NAME, lambda weight, rate, result=result: result)
        assert verdict.status == "failed" and "Traceback" not in str(verdict)


def test_inputs_are_drawn_anew_for_each_call_and_own_changes_stay_own() -> None:
    def spoils(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
        result = catalogue()["atrous.conv1d"].reference(x, w, rate)
        x[:] = 0
        return np.asarray(result)

    assert check("atrous.conv1d", spoils).status == "passed"


def test_an_unknown_exercise_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no exercise is called 'atrous.insert_hole'; is it one of atrous"):
        check("atrous.insert_hole")


def test_the_ladder(own_folder: Path) -> None:
    found = catalogue()[NAME]
    texts = [str(hint(NAME)) for _ in range(4)]
    assert [text.split(":")[0] for text in texts] == [
        "Hint 1 of 4, an idea",
        "Hint 2 of 4, the shape of it",
        "Hint 3 of 4, pseudo-code",
        "Hint 4 of 4, a worked solution",
    ]
    assert found.hints[0] in texts[0] and "def insert_holes" in texts[3] and "One more" not in texts[3]
    assert json.loads((own_folder / "hints.json").read_text()) == {NAME: 4}
    assert hint(NAME).rung == 4 and hint(NAME, 1).text == found.hints[0]
    assert "data:image/webp" in hint(NAME, 2)._repr_html_() and "<pre" in hint(NAME, 3)._repr_html_()


def test_a_rung_that_is_not_reached_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rung: got 3; the next hint of atrous.insert_holes is number 1"):
        hint(NAME, 3)


def test_hints_cost_nothing_unless_the_teacher_says_so(own_folder: Path) -> None:
    right = catalogue()[NAME].reference
    hint(NAME), hint(NAME)
    assert check(NAME, right, hidden=True).points == 4
    (own_folder / "course.json").write_text('{"hint_prices": [0, 0.5, 1, 2]}')
    assert check(NAME, right, hidden=True).points == 3.5
    assert "(after 0.5 for hints)" in str(check(NAME, right, hidden=True))
    assert "costs 1 points" in str(hint(NAME))
    assert check(NAME, stub).points == 0, "never less than nothing"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("course.json", '{"hint_prices": [1, 2]}', r"hint_prices: got \[1, 2\], expected 4 numbers from 0 on"),
        ("course.json", '{"hint_prices": [1, 2, -3, 0]}', r"hint_prices: got \[.*\], expected 4 numbers from 0 on"),
        ("hints.json", "{", "hints.json is not JSON"),
        ("hints.json", "[1]", "hints.json must hold a JSON object"),
    ],
)
def test_damaged_files_are_named(own_folder: Path, file: str, text: str, words: str) -> None:
    (own_folder / file).write_text(text)
    with pytest.raises(ValueError, match=words):
        hint(NAME)


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_ladder_leads_up_and_gives_nothing_away_early(name: str) -> None:
    rungs = [hint(name) for _ in range(4)]
    body = [line.strip() for line in rungs[3].text.splitlines()[2:] if len(line.replace(" ", "")) > 24]
    early = "\n".join(rung.text for rung in rungs[:3])
    assert len({rung.text for rung in rungs}) == 4 and not [line for line in body if line in early]


def test_standing() -> None:
    assert "not checked yet" in str(standing("atrous")) and "0 of 22 points" in str(standing("atrous"))
    check(NAME, catalogue()[NAME].reference, hidden=True)
    hint("atrous.conv1d")
    text = str(standing("atrous"))
    assert "right            4 of 4, hints 0 of 4" in text and "hints 1 of 4" in text and "4 of 22 points" in text
    assert "4 of 22" in standing("atrous")._repr_html_()
    assert "4 of 100 points" in str(standing()) and len(standing().rows) == len(catalogue())
    with pytest.raises(ValueError, match="topic: no exercise's id begins with 'holes'"):
        standing("holes")
