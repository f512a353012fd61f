"""Numbers that a notebook's text states, held against what its cells compute: a text cannot drift from its cells.

In a source, a number in a text cell is marked `{{8.9 = table[1, 1] - table[0, 0]}}`: the expression is computed
where the text stands, and rounded as the number is. `{{8.9}}` alone must be among the numbers that the cells of its
section print. `{{72 ± 3 = …}}` allows a difference, for what another machine or a live training gives. Students'
copies show the number only. The reason that a question gives at the end may have such marks too; they are computed
after the cell that answers it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

CLAIM = re.compile(
    r"\{\{\s*(?P<text>[-−+]?\d[\d,]*(?:\.\d+)?)\s*(?:±\s*(?P<within>\d+(?:\.\d+)?)\s*)?(?:=\s*(?P<expression>.+?)\s*)?\}\}",
    re.DOTALL,
)
NUMBER = re.compile(r"[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
GUESS = re.compile(r'guess\("([^"]+)"\)')  # a cell that asks a question
PROBE = "claims"  # the tag of a cell that computes what a text claims


@dataclass(frozen=True)
class Claim:
    """A number in a text.

    Attributes:
        text: the number as it is shown.
        within: the difference that is allowed; None: it must round to what is shown.
        expression: Python that computes it where the text stands; "" where the section's cells print it.

    >>> claims("It brings {{8.9 = b - a}} points, of which {{3}} are real.")
    [Claim(text='8.9', within=None, expression='b - a'), Claim(text='3', within=None, expression='')]
    """

    text: str
    within: float | None
    expression: str

    def holds(self, value: float) -> bool:
        """Whether `value`, shown with as many digits, is the number in the text.

        >>> Claim("8.9", None, "").holds(8.87), Claim("9.0", None, "").holds(8.87), Claim("70", 3.0, "").holds(72.9)
        (True, False, True)
        """
        digits = len(self.text.partition(".")[2])
        allowed = 0.5 * 10.0**-digits if self.within is None else self.within
        return math.isfinite(value) and abs(value - number(self.text)) <= allowed * (1 + 1e-9)


def number(text: str) -> float:
    """A number as texts and cells show it: with a minus of print, or commas between thousands.

    >>> number("−1,280.5")
    -1280.5
    """
    return float(text.replace("−", "-").replace(",", ""))


def claims(text: str) -> list[Claim]:
    """The marked numbers of a text cell, in order."""
    found = []
    for match in CLAIM.finditer(text):
        within = None if match["within"] is None else float(match["within"])
        found.append(Claim(match["text"], within, " ".join((match["expression"] or "").split())))
    return found


def plain(text: str) -> str:
    """The text as it is read.

    >>> plain("It brings {{8.9 = b - a}} points.")
    'It brings 8.9 points.'
    """
    return CLAIM.sub(lambda match: match["text"], text)


def probed(notebook: Any, reasons: Mapping[str, str] | None = None) -> Any:
    """A copy of a notebook with marks: its texts plain, and a cell behind each that computes what it claims.

    Args:
        notebook: with its texts as their source has them.
        reasons: a question's id → the reason that it gives, with marks.
    """
    copy = deepcopy(notebook)
    copy.cells = []
    asked: tuple[str, str] | None = None  # a question whose answering cell is still to come, and its reason
    for number_, cell in enumerate(notebook.cells):
        copy.cells.append(deepcopy(cell))
        if cell.cell_type == "markdown":
            copy.cells[-1].source = plain(cell.source)
            copy.cells += _probe(f"claims-{number_}", _opening(copy.cells[-1]), cell.source)
        elif (question := GUESS.match(cell.source)) is not None:
            asked = question[1], (reasons or {}).get(question[1], "")
        elif asked is not None:
            copy.cells += _probe(f"claims-{number_}", f"the question {asked[0]}", asked[1])
            asked = None
    return copy


def _probe(name: str, place: str, text: str) -> list[Any]:
    """The cell that computes what a text claims; none where it claims nothing."""
    import nbformat

    if not (stated := claims(text)):
        return []
    probe = nbformat.v4.new_code_cell(_PROBE.format(asked=[claim.expression for claim in stated]), id=name)
    probe.metadata["tags"] = [PROBE]
    probe.metadata["place"] = place
    probe.metadata["claims"] = [[claim.text, claim.within, claim.expression] for claim in stated]
    return [probe]


_PROBE = """\
def _claimed(asked):
    import json
    values = []
    for one in asked:
        try:
            values.append(float(eval(one, globals())) if one else None)
        except Exception as error:
            values.append(f"{{type(error).__name__}}: {{error}}")
    print(json.dumps(values))
_claimed({asked})
del _claimed"""


def wrong_claims(ran: Any) -> Iterator[str]:
    """What the texts of a notebook that `probed` made claim and its cells do not bear out, after its run."""
    for place, cell in enumerate(ran.cells):
        if PROBE not in cell.metadata.get("tags", ()):
            continue
        values = json.loads(_printed([cell]) or "null")
        if values is None:
            yield f"the cell that computes the claims of {cell.metadata['place']!r} did not run"
            continue
        section = _printed(_section(ran.cells, place))
        shown = [number(match) for match in NUMBER.findall(section)]
        for claim, value in zip((Claim(*parts) for parts in cell.metadata["claims"]), values, strict=True):
            where = f"{cell.metadata['place']!r} claims {claim.text}"
            if isinstance(value, str):
                yield f"{where}; {claim.expression} ended with {value}"
            elif value is not None and not claim.holds(value):
                yield f"{where}; {claim.expression} is {value:g}"
            elif value is None and not any(claim.holds(one) for one in shown):
                yield f"{where}, which no cell of its section prints"


def _section(cells: list[Any], place: int) -> list[Any]:
    """The code cells of the section ("## …") in which cell `place` lies."""
    heads = [
        i for i, cell in enumerate(cells) if cell.cell_type == "markdown" and re.search("^## ", cell.source, re.M)
    ]
    first = max((i for i in heads if i < place), default=0)
    last = min((i for i in heads if i >= place), default=len(cells))
    inside = cells[first:last]
    return [cell for cell in inside if cell.cell_type == "code" and PROBE not in cell.metadata.get("tags", ())]


def _printed(cells: list[Any]) -> str:
    """What cells print and show as text."""
    parts = []
    for cell in cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            parts.append(output.get("text") or data.get("text/markdown") or data.get("text/plain") or "")
    return "\n".join("".join(part) for part in parts)


def _opening(cell: Any) -> str:
    return " ".join(str(cell.source).split())[:60]
