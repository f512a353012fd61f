"""`hint(id)`: a ladder from an idea to the worked solution. What was asked is written down beside the notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from dlseg.common.files import write_whole
from dlseg.course.catalogue import RUNGS, find, reference_text
from dlseg.course.shown import AtOnce, at_once
from dlseg.figures import figure_html
from dlseg.grading.exercise import Exercise, Points
from dlseg.grading.frames import FrameError
from dlseg.grading.reports.pictures import single

RECORD = "hints.json"  # in the notebook's folder: exercise id → the highest rung asked for
RULES = "course.json"  # a teacher's: {"hint_prices": [p1, p2, p3, p4]}, points that each rung costs


@dataclass(frozen=True)
class Hint(AtOnce):
    """One rung of one exercise's ladder, as a notebook shows it."""

    exercise: Exercise
    rung: int
    text: str
    picture: str = ""
    price: Points = 0

    def __str__(self) -> str:
        price = f" (costs {self.price:g} points)" if self.price else ""
        more = f"\nOne more: hint({self.exercise.id!r})" if self.rung < len(RUNGS) else ""
        return f"Hint {self.rung} of {len(RUNGS)}, {RUNGS[self.rung - 1]}{price}:\n{self.text}{more}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The hint as a page shows it."""
        body = (
            f"<pre style='margin:.3em 0'>{escape(self.text)}</pre>"
            if self.rung > 2
            else f"<p style='margin:.3em 0'>{escape(self.text)}</p>"
        )
        price = f", costs {self.price:g} points" if self.price else ""
        call = f'hint("{self.exercise.id}")'
        more = f"<div><small>one more: <code>{call}</code></small></div>" if self.rung < len(RUNGS) else ""
        title = f"Hint {self.rung} of {len(RUNGS)}: {RUNGS[self.rung - 1]}"
        return (
            f"<div style='border-left:.4em solid #8a5a00;padding:.2em .8em'><b>{title}</b>{price}"
            f"{body}{self.picture}{more}</div>"
        )


def hint(exercise: str, rung: int | None = None) -> Hint:
    """The next hint for an exercise: 1 an idea, 2 shapes and a picture, 3 pseudo-code, 4 a worked solution.

    Every new hint is written to `hints.json` beside the notebook; what it costs is the teacher's choice
    (`course.json`), nothing if they made none.

    Args:
        exercise: the exercise's id.
        rung: the number of a hint that you asked for before, to see it again; default: the next one.

    Returns:
        The hint; a notebook shows it at once.

    Raises:
        ValueError: an exercise that does not exist, or a hint that is not yet reached.
    """
    found = find(exercise)
    asked = record().get(found.id, 0)
    wanted = min(asked + 1, len(RUNGS)) if rung is None else rung
    if wanted not in range(1, min(asked + 1, len(RUNGS)) + 1):
        raise ValueError(
            f"rung: got {rung}; the next hint of {found.id} is number {min(asked + 1, len(RUNGS))}: "
            f"hint({found.id!r})"
        )
    if wanted > asked:
        write_whole(Path(RECORD), json.dumps({**record(), found.id: wanted}, indent=1, sort_keys=True) + "\n")
    return at_once(rung_of(found, wanted))


def rung_of(found: Exercise, number: int) -> Hint:
    """Rung `number` (from 1) of an exercise's ladder; nothing is written down."""
    text = reference_text(found) if number == len(RUNGS) else found.hints[number - 1]
    return Hint(found, number, text, _example(found) if number == 2 else "", prices()[number - 1])


def _example(found: Exercise) -> str:
    """A picture of the right result of the first open test, as HTML; '' where it has none."""
    test = next((t for t in found.tests if not t.hidden), found.tests[0])
    try:
        figure = single(found.answer(test, test.draw(0, found.id, 0)))
    except FrameError:
        return ""
    return "" if figure is None else figure_html(figure, "what a right result looks like")


def record() -> dict[str, int]:
    """Exercise id → the highest rung asked for, as written down beside the notebook."""
    return {str(key): int(value) for key, value in _object(RECORD).items()}


def prices() -> tuple[Points, ...]:
    """Points that each rung costs: the teacher's, else nothing. ValueError where course.json is wrong."""
    asked = _object(RULES).get("hint_prices", [0] * len(RUNGS))
    if (
        not isinstance(asked, list)
        or len(asked) != len(RUNGS)
        or not all(isinstance(p, int | float) and p >= 0 for p in asked)
    ):
        raise ValueError(f"{RULES}: hint_prices: got {asked!r}, expected {len(RUNGS)} numbers from 0 on")
    return tuple(asked)


def price_paid(exercise: str) -> Points:
    """Points that the hints asked for so far cost in all."""
    return sum(prices()[: record().get(exercise, 0)])


def _object(name: str) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{name} is not JSON ({error}); mend it or remove it") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} must hold a JSON object; got {value!r}")
    return value
