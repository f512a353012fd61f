"""Questions before the cells that answer them: kept once, never told early, counted at the end."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlseg.course import guess, guesses
from dlseg.course.catalogue import find
from dlseg.course.guessing import FILE, Guess, Question, keep, questions, read_questions
from dlseg.course.notebook_source import sources, topic

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_question_is_asked_once_where_it_belongs_and_every_lesson_counts_its_own() -> None:
    asked: list[str] = []
    for path in sources(NOTEBOOKS)[1:]:
        text = path.read_text(encoding="utf-8")
        here = re.findall(r'^guess\("([^"]+)"\)$', text, re.M)
        assert len(here) >= 4 and all(name.startswith(f"{topic(path)}.") for name in here), path
        assert text.count(f'guesses("{topic(path)}")') == 1
        asked += here
    assert asked == list(questions())


def test_a_worked_example_stands_before_each_exercise_that_is_not_easy() -> None:
    for path in sources(NOTEBOOKS)[1:]:
        parts = re.split(r'^# %% \[markdown\] exercise="([^"]+)"$', path.read_text(encoding="utf-8"), flags=re.M)
        for before, name in zip(parts[::2], parts[1::2], strict=False):
            assert find(name).difficulty == "easy" or "# **By hand.** " in before, name


def test_a_question_does_not_give_its_answer_away_until_it_was_answered() -> None:
    for question in questions().values():
        asked = guess(question.id)
        assert question.why not in repr(asked) + asked.html()
        assert question.why not in repr(guesses(question.id.partition(".")[0]))
        assert question.choices or question.words(question.right) not in repr(asked)


def test_the_first_answer_is_kept_and_counts() -> None:
    assert "Your guess: the seat. Run the next cell" in repr(guess("pooling.legs", "a"))
    assert "Your guess: the seat." in guess("pooling.legs", "b").html()
    guess("pooling.size", 7)
    assert json.loads(FILE.read_text(encoding="utf-8")) == {"pooling.legs": "a", "pooling.size": "7"}
    found = guesses("pooling")
    assert (found.hits, found.given) == (1, 2)
    text = repr(found)
    assert "✗ Of the chair" in text and "✓ How many places" in text and "1 of 2 guesses right; 5 questions" in text
    page = found._repr_html_()
    assert "the legs" in page and "Never graded" in page and "FCN" not in page


def test_the_right_answers_are_hits_and_other_choices_are_not() -> None:
    for question in questions().values():
        assert question.hit(question.right)
        others = [letter for letter in "abc"[: len(question.choices)] if letter != question.right]
        assert len(others) == 2 * bool(question.choices) and not any(map(question.hit, others))
        assert not question.hit("z") and not question.hit("")


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("pooling.leg", None, "question: got 'pooling.leg', expected one of pooling.legs"),
        ("pooling.legs", "d", "answer: got 'd', expected one of a, b, c"),
        ("pooling.legs", "ab", "answer: got 'ab', expected one of a, b, c"),
        ("pooling.legs", "", "answer: got '', expected one of a, b, c"),
        ("pooling.size", "seven", "answer: got 'seven', expected a number"),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_kept(name: str, answer: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        guess(name, answer)
    assert not FILE.exists()


@pytest.mark.parametrize("damaged", ["", "[1]", '{"pooling.legs": 3}', "{"])
def test_a_damaged_file_counts_as_no_answer_and_is_mended(damaged: str) -> None:
    FILE.write_text(damaged, encoding="utf-8")
    assert guesses("pooling").given == 0
    guess("pooling.legs", "b")
    assert guesses("pooling").hits == 1


def shown_by(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Guess, list[dict[str, Any]]]:
    """A question as a cell shows it, and the outputs of that cell; an update adds to them."""
    outputs: list[dict[str, Any]] = []
    publisher = SimpleNamespace(publish=lambda data, **_: outputs.append(data))
    monkeypatch.setattr("dlseg.widgets.display.shell", lambda: SimpleNamespace(display_pub=publisher))
    shown = guess(name)
    shown._ipython_display_()
    return shown, outputs


def test_the_text_below_the_buttons_follows_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, outputs = shown_by("pooling.legs", monkeypatch)
    shown.box.children[2].children[0].click()
    assert "Your guess: the legs" in outputs[-1]["text/html"] and len(outputs) == 3


def test_the_buttons_keep_the_answer_and_then_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, (live, text) = shown_by("pooling.legs", monkeypatch)
    assert "application/vnd.jupyter.widget-view+json" in live and live["text/html"] == ""
    assert "Guess first" in text["text/html"] and "Your guess" not in text["text/html"]
    buttons = [row.children[0] for row in shown.box.children[1:-1]]
    assert [button.description for button in buttons] == ["a", "b", "c"]
    assert [button.tooltip for button in buttons] == list(shown.question.choices)
    buttons[1].click()
    assert "Your guess: the legs" in shown.box.children[-1].value and all(button.disabled for button in buttons)
    buttons[0].click()
    assert json.loads(FILE.read_text(encoding="utf-8")) == {"pooling.legs": "b"}


def test_a_number_is_typed_and_what_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, _ = shown_by("pooling.size", monkeypatch)
    field, _, button = shown.box.children[1].children
    field.value = "seven"
    button.click()
    assert "got 'seven', expected a number" in shown.box.children[-1].value.replace("&#x27;", "'")
    field.value = " 8 "
    button.click()
    assert "Your guess: 8 places" in shown.box.children[-1].value and field.disabled


def test_a_folder_that_cannot_be_written_is_said_beside_the_buttons(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("dlseg.course.guessing.write_whole", refuse)
    shown, _ = shown_by("pooling.legs", monkeypatch)
    shown.box.children[1].children[0].click()
    assert "cannot be written (read-only): your guess is not kept" in shown.box.children[-1].value


@pytest.mark.parametrize(
    "text",
    [
        "%% a.b\n- one\n+ two\n> why",
        "%% a.b\nHow?\n- one\n- two\n> why",
        "%% a.b\nHow?\n+ one\n+ two\n> why",
        "%% a.b\nHow?\n+ one\n> why",
        "%% a.b\nHow?\n- one\n+ two",
        "%% a.b\nHow?\n= 3 ± 1\n+ two\n> why",
        "%% a.b\nHow?\n= three\n> why",
    ],
)
def test_a_question_that_lacks_a_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.b: got .*expected a question"):
        read_questions(text)


def test_a_text_in_a_question_is_no_markup() -> None:
    asked = Question("a.b", "Is 1 < 2 & <b>?", ("<i>", "b"), "a", why="x")
    keep(asked, "a")
    from dlseg.course.guessing import Guess

    assert "<i>" not in Guess(asked).html() and "&lt;i&gt;" in Guess(asked).html()
