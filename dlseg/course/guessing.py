"""`guess(id)`: a question before the cell that answers it. The first answer is kept, and not graded.

The questions are in questions/TOPIC.txt. A block begins with `%% id`; then the question; then the choices, the
right one marked `+` and the others `-`, or `= number ± difference unit`; then, after `>`, why. Numbers in the
reason may be marked as in texts, `{{4.4 = effects(table)[2]}}`: see `dlseg.course.claims`. (`predict` would be
the better name; `dlseg.predict.predict` has it.)
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from dlseg.common.files import write_whole
from dlseg.course.claims import plain
from dlseg.course.parts import texts_in
from dlseg.course.verdict import CARD, COLOURS, INK, SIGNS

FOLDER = Path(__file__).parent / "questions"
FILE = Path("guesses.json")  # in the notebook's folder: question id → the first answer
NUMBER = re.compile(r"= *(-?[\d.]+) *± *([\d.]+) *(.*)")


@dataclass(frozen=True)
class Question:
    """A question with its answer.

    Attributes:
        id: `topic.name`.
        text: the question.
        choices: what to choose from; none where a number is asked for.
        right: the letter of the right choice, or the number.
        within: how far from the number an answer may be and still count as a hit.
        unit: of the number.
        why: a sentence for the end.
        reason: the same with the marks of `dlseg.course.claims`: numbers that cells compute.
    """

    id: str
    text: str
    choices: tuple[str, ...]
    right: str
    within: float = 0.0
    unit: str = ""
    why: str = ""
    reason: str = ""

    def hit(self, answer: str) -> bool:
        """Whether an answer is the right one, or near enough.

        >>> Question("a.b", "How many?", (), "16", within=2.0).hit("17")
        True
        """
        if self.choices:
            return answer == self.right
        try:
            return abs(float(answer) - float(self.right)) <= self.within
        except ValueError:
            return False

    def words(self, answer: str) -> str:
        """An answer as one reads it: the choice's text, or the number with its unit."""
        if not self.choices:
            return f"{answer} {self.unit}".strip()
        place = ascii_lowercase.find(answer) if answer else -1
        return self.choices[place] if 0 <= place < len(self.choices) else answer


def read_questions(text: str) -> list[Question]:
    """The questions of one file.

    Raises:
        ValueError: a block that lacks its question, its choices, one right choice or its reason.

    >>> read_questions("%% a.b\\nHow many?\\n- one\\n+ two\\n> Count them.\\n")[0].right
    'b'
    """
    found = []
    for block in re.split(r"^%% *", text, flags=re.M)[1:]:
        name, *lines = (line.strip() for line in block.strip().splitlines())
        asked = " ".join(line for line in lines if line and line[0] not in "-+=>")
        why = " ".join(line[1:].strip() for line in lines if line.startswith(">"))
        choices = [line for line in lines if line[:2] in ("- ", "+ ")]
        numbers = [match for line in lines if (match := NUMBER.fullmatch(line))]
        right = [ascii_lowercase[i] for i, line in enumerate(choices) if line[0] == "+"]
        if not asked or not why or len(numbers) + len(right) != 1 or (numbers and choices) or len(choices) == 1:
            raise ValueError(
                f"{name}: got {block!r}, expected a question, choices (one with +) or a number, and why"
            )
        texts = tuple(line[2:] for line in choices)
        if numbers:
            value, within, unit = numbers[0].groups()
            found.append(Question(name, asked, (), value, float(within), unit, plain(why), why))
        else:
            found.append(Question(name, asked, texts, right[0], why=plain(why), reason=why))
    return found


@cache
def questions() -> dict[str, Question]:
    """All of the course's questions by id, in the notebooks' order."""
    read = [
        item for path in sorted(FOLDER.glob("*.txt")) for item in read_questions(path.read_text(encoding="utf-8"))
    ]
    return {item.id: item for item in read}


def kept() -> dict[str, str]:
    """The answers given in this folder. A damaged file counts as none."""
    return texts_in(FILE)


def keep(question: Question, answer: str) -> str:
    """Note an answer, if it is the first; the one that counts.

    Raises:
        ValueError: no choice of the question's, or no number.
    """
    letters = ascii_lowercase[: len(question.choices)]
    if question.choices and answer not in tuple(letters):
        raise ValueError(f"answer: got {answer!r}, expected one of {', '.join(letters)}")
    if not question.choices and not re.fullmatch(r"-?\d+(\.\d+)?", answer):
        raise ValueError(f"answer: got {answer!r}, expected a number")
    answers = kept()
    if question.id not in answers:
        write_whole(FILE, json.dumps({**answers, question.id: answer}, indent=1) + "\n")
    return answers.get(question.id, answer)


def guess(question: str, answer: str | int | float | None = None) -> Guess:
    """Ask a question: answer it by a button, or by `answer`, then run the next cell. Nothing here is graded.

    Args:
        question: its id, such as "pooling.legs".
        answer: a choice's letter, or a number.

    Returns:
        The question, as a notebook shows it.

    Raises:
        ValueError: a question that does not exist, or an answer that is none.

    >>> guess("pooling.legs")
    Of the chair, which part is lost first when scores lie 32 pixels apart?
      a  the seat
      b  the legs
      c  none: the chair only becomes smaller
    """
    if question not in questions():
        raise ValueError(f"question: got {question!r}, expected one of {', '.join(questions())}")
    found = questions()[question]
    if answer is not None:
        keep(found, answer if isinstance(answer, str) else f"{answer:g}")
    return Guess(found)


class Guess:
    """A question as a notebook shows it: with buttons where there are widgets, else as text."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.box: Any = None
        self._display = ""  # the text's name among the notebook's outputs

    def __repr__(self) -> str:
        return "\n".join([self.question.text, *(f"  {a}  {text}" for a, text in self._lettered()), *self._noted()])

    def _lettered(self) -> list[tuple[str, str]]:
        return list(zip(ascii_lowercase, self.question.choices, strict=False))

    def _noted(self) -> list[str]:
        answer = kept().get(self.question.id)
        return [] if answer is None else [f"Your guess: {self.question.words(answer)}. Run the next cell and see."]

    def html(self) -> str:
        """The question as a page shows it that has no widgets."""
        choices = "".join(f"<li>{escape(text)}</li>" for _, text in self._lettered())
        noted = "".join(f"<div><b>{escape(line)}</b></div>" for line in self._noted())
        listed = f"<ol type='a' style='margin:.3em 0'>{choices}</ol>" if choices else ""
        asked = f"<b>Guess first:</b> {escape(self.question.text)}"
        return f"<div class='dlseg-asked' style='{EDGE}'>{asked}{listed}{noted}</div>"

    def _ipython_display_(self) -> None:
        from dlseg.widgets.display import VIEW, shell

        self.box, self._display = self._widget(), uuid.uuid4().hex
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        # the empty page is what viewers without widgets take instead of the buttons: the text follows
        shell().display_pub.publish({"text/plain": repr(self), "text/html": "", VIEW: view})
        self._publish(update=False)

    def _publish(self, *, update: bool) -> None:
        """The question as text: what is left of it where the buttons have no kernel, or are not shown at all."""
        from dlseg.widgets.display import shell

        if self._display:
            bundle = {"text/plain": "", "text/html": f"<style>{STYLE}</style>{self.html()}"}
            transient = {"display_id": self._display}
            shell().display_pub.publish(bundle, transient=transient, update=update)

    def _widget(self) -> Any:
        import ipywidgets

        asked = ipywidgets.HTML(f"<b>Guess first:</b> {escape(self.question.text)}")
        note = ipywidgets.HTML()
        given: list[Any] = []

        def settle(answer: str) -> None:
            try:
                keep(self.question, answer)
            except ValueError as error:
                note.value = escape(str(error))
                return
            except OSError as error:
                note.value = f"{escape(str(FILE))} cannot be written ({escape(str(error))}): your guess is not kept"
                return
            show()
            self._publish(update=True)

        def show() -> None:
            note.value = "".join(f"<b>{escape(line)}</b>" for line in self._noted())
            for item in given if note.value else ():
                item.disabled = True

        rows: list[Any] = []
        for letter, text in self._lettered():
            button = ipywidgets.Button(description=letter, tooltip=text, layout={"width": "3em"})
            button.on_click(lambda _, letter=letter: settle(letter))
            given.append(button)
            rows.append(ipywidgets.HBox([button, ipywidgets.HTML(escape(text))]))
        if not rows:
            field = ipywidgets.Text(placeholder="a number", layout={"width": "8em"})
            button = ipywidgets.Button(description="keep", tooltip="keep this guess", layout={"width": "5em"})
            button.on_click(lambda _: settle(field.value.strip()))
            given += [field, button]
            rows = [ipywidgets.HBox([field, ipywidgets.HTML(escape(self.question.unit)), button])]
        show()
        layout = {"border_left": ".4em solid #8a5a00", "padding": ".2em .8em"}
        box = ipywidgets.VBox([asked, *rows, note], layout=layout)
        box.add_class("dlseg-question")
        return box


EDGE = "border-left:.4em solid #8a5a00;padding:.2em .8em"
LIVE = ".dlseg-question:not(.jupyter-widgets-disconnected)"
# the text is hidden below buttons that live, and what is left of others above the text
STYLE = (
    f".jp-OutputArea-child:has({LIVE}) + .jp-OutputArea-child:has(.dlseg-asked),"
    f".jp-OutputArea-child:not(:has({LIVE})):has(+ .jp-OutputArea-child .dlseg-asked) {{ display: none; }}"
)


@dataclass(frozen=True)
class Guesses:
    """The questions of one notebook with the answers given: how often was the first thought right?"""

    rows: tuple[tuple[Question, str | None], ...]

    @property
    def hits(self) -> int:
        """How many answers were right."""
        return sum(q.hit(answer) for q, answer in self.rows if answer is not None)

    @property
    def given(self) -> int:
        """How many questions were answered."""
        return sum(answer is not None for _, answer in self.rows)

    def heading(self) -> str:
        """The count in a line."""
        return f"{self.hits} of {self.given} guesses right; {len(self.rows) - self.given} questions not answered"

    def __repr__(self) -> str:
        lines = [
            f"{_sign(q, a)} {q.text}\n    {q.words(q.right)}" + (f"; you: {q.words(a)}. {q.why}" if a else "")
            for q, a in self.rows
            if a is not None
        ]
        return "\n".join([*lines, self.heading()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr style='{CARD}'><td style='color:{_colour(q, a)}'>{_sign(q, a)}</td>"
            f"<td style='color:{INK};text-align:left'>{escape(q.text)}</td>"
            f"<td style='color:{INK};text-align:left'>{escape(q.words(a))}</td>"
            f"<td style='color:{INK};text-align:left'>{escape(q.words(q.right))}</td>"
            f"<td style='color:{INK};text-align:left'>{escape(q.why)}</td></tr>"
            for q, a in self.rows
            if a is not None
        )
        head = "<tr><th></th><th>question</th><th>you</th><th>right</th><th>why</th></tr>"
        return f"<table>{head if rows else ''}{rows}</table><small>{self.heading()}. Never graded.</small>"


def guesses(topic: str) -> Guesses:
    """The questions of one notebook, with your answers; those without one keep their secret.

    Args:
        topic: the notebook's, such as "pooling".

    Returns:
        A table of the answers, and how many were right.

    Raises:
        ValueError: a topic without questions.

    >>> guesses("pooling").given
    0
    """
    found = [q for q in questions().values() if q.id.partition(".")[0] == topic]
    if not found:
        raise ValueError(f"topic: no question's id begins with {topic!r}")
    answers = kept()
    return Guesses(tuple((q, answers.get(q.id)) for q in found))


def _sign(question: Question, answer: str | None) -> str:
    return SIGNS["passed" if answer is not None and question.hit(answer) else "failed"]


def _colour(question: Question, answer: str | None) -> str:
    return COLOURS["passed" if answer is not None and question.hit(answer) else "failed"]
