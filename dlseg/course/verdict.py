"""What `check` and `standing` answer: a page in a notebook, the points as plain text (nbgrader reads those)."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from dlseg.course.catalogue import RUNGS
from dlseg.course.shown import AtOnce
from dlseg.grading.exercise import Exercise, Points, Test
from dlseg.grading.reports.pictures import comparison

WORDS = {"passed": "right", "failed": "wrong", "raised": "raised an error", "missing": "not attempted"}
SIGNS = {"passed": "✓", "failed": "✗", "raised": "!", "missing": "○"}
# a verdict has its own paper and ink, so that it reads alike in light and dark themes
PAPER, INK = "#ffffff", "#222222"
COLOURS = {"passed": "#006b4f", "failed": "#b03a00", "raised": "#8a2a6b", "missing": "#595959"}
CARD = f"background:{PAPER};color:{INK}"


@dataclass(frozen=True)
class Outcome:
    """How one test ended; for a wrong one the call's arguments in words, own result and reference."""

    test: Test
    status: str
    message: str = ""
    arguments: str = ""
    shown: tuple[Any, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Verdict:
    """How an exercise stands. Shown in a notebook it explains itself; as text it is the points."""

    exercise: Exercise
    outcomes: tuple[Outcome, ...]
    paid: Points = 0
    cause: str = ""

    @property
    def status(self) -> str:
        """passed, or of what went wrong the most telling."""
        found = {outcome.status for outcome in self.outcomes}
        return next((s for s in ("raised", "failed", "missing") if s in found), "passed")

    @property
    def points(self) -> Points:
        """Points of the tests that ran and are right, less the price of the hints."""
        earned = sum(o.test.points for o in self.outcomes if o.status == "passed")
        return max(0.0, earned - self.paid)

    @property
    def heading(self) -> str:
        """The verdict in a line."""
        left = self.exercise.max_points - sum(o.test.points for o in self.outcomes)
        if self.status == "missing" and not any(o.status == "passed" for o in self.outcomes):
            return f"not attempted yet ({self.exercise.max_points:g} points)"
        said = "all open tests right" if self.status == "passed" else WORDS[self.status]
        more = f"; {left:g} more for hidden tests, with other inputs" if left else ""
        paid = f" (after {self.paid:g} for hints)" if self.paid else ""
        return f"{said}: {self.points:g} of {self.exercise.max_points:g} points{paid}{more}"

    def __str__(self) -> str:
        lines = [f"{self.exercise.id}: {self.heading}"]
        for o in self.outcomes:
            called = f"\n      to see it again: {o.arguments}" if o.arguments else ""
            lines.append(f"  {SIGNS[o.status]} {o.test.name}" + (f": {o.message}{called}" if o.message else ""))
        likely = [f"  Perhaps this: {self.cause}"] if self.cause else []
        return "\n".join([*lines, *likely, *self._stuck()])

    def _stuck(self) -> list[str]:
        return [] if self.status == "passed" else [f'Stuck? In a cell of your own: hint("{self.exercise.id}")']

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": f"{float(self.points):g}", "text/html": self.html()}

    def html(self) -> str:
        """The verdict as a page shows it: every test, and a picture of the first result that differs."""
        rows = "".join(
            f"<tr style='{CARD}'><td style='color:{COLOURS[o.status]};white-space:nowrap;vertical-align:top;"
            f"text-align:left'>{SIGNS[o.status]} <b>{WORDS[o.status]}</b></td>"
            f"<td style='color:{INK};text-align:left'>{escape(o.test.name)}{_said(o)}</td>"
            f"<td style='color:{INK};vertical-align:top'>{o.test.points:g}</td></tr>"
            for o in self.outcomes
        )
        likely = f"<div><b>Perhaps this:</b> {escape(self.cause)}</div>" if self.cause else ""
        stuck = f"<small>{escape(''.join(self._stuck()))}</small>" if self._stuck() else ""
        return (
            f"<div style='{CARD};border-left:.4em solid {COLOURS[self.status]};padding:.2em .8em'>"
            f"<b>{escape(self.exercise.title)}</b>: {escape(self.heading)}"
            f"<table style='margin:.4em 0'>{rows}</table>{likely}{self._picture()}{stuck}</div>"
        )

    def _picture(self) -> str:
        for outcome in self.outcomes:
            if outcome.shown and (address := comparison(*outcome.shown)):
                return (
                    f"<div>{escape(outcome.test.name)}: your result, the reference, and where they differ</div>"
                    f"<img alt='your result beside the reference' src='{address}'><br>"
                )
        return ""


def _said(outcome: Outcome) -> str:
    code = f"<code style='background:{PAPER};color:{INK}'>{escape(outcome.arguments)}</code>"
    called = f"<br><small>to see it again: {code}</small>" if outcome.arguments else ""
    return f"<br>{escape(outcome.message)}{called}" if outcome.message else ""


@dataclass(frozen=True)
class Standing(AtOnce):
    """One notebook's exercises: each with its last verdict, if there is one, and the hints asked for."""

    rows: tuple[tuple[Exercise, Verdict | None, int], ...]

    @property
    def points(self) -> Points:
        """Points of all open tests that are right."""
        return sum(v.points for _, v, _ in self.rows if v)

    def __str__(self) -> str:
        lines = [
            f"{e.id:32} {WORDS[v.status] if v else 'not checked yet':16} {v.points if v else 0:g} of "
            f"{e.max_points:g}, hints {n} of {len(RUNGS)}"
            for e, v, n in self.rows
        ]
        return "\n".join([*lines, f"{self.points:g} of {sum(e.max_points for e, _, _ in self.rows):g} points"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr style='{CARD}'><td style='color:{INK};text-align:left'>{escape(e.title)}</td>"
            f"<td style='text-align:left;color:{COLOURS[v.status] if v else '#595959'}'>"
            f"{SIGNS[v.status] + ' ' + WORDS[v.status] if v else '○ not checked yet'}</td>"
            f"<td style='color:{INK}'>{v.points if v else 0:g} of {e.max_points:g}</td>"
            f"<td style='color:{INK}'>{n or ''}</td></tr>"
            for e, v, n in self.rows
        )
        total = sum(e.max_points for e, _, _ in self.rows)
        return (
            "<table><tr><th style='text-align:left'>exercise</th><th>last check</th><th>points</th>"
            f"<th>hints</th></tr>{rows}<tr><th style='text-align:left'>together</th><th></th>"
            f"<th>{self.points:g} of {total:g}</th><th></th></tr></table>"
            "<small>Hidden tests count only when you hand in.</small>"
        )
