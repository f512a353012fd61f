"""Which cell answers an exercise, and which statements its functions need.

Moved, copied, renamed and deleted cells are told apart.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import Any

from dlseg.grading.exercise import Exercise
from dlseg.grading.submission import Cell


@dataclass(frozen=True)
class ReadCell:
    """A cell and what parsing it in the sandbox said: statements, or the reason why there are none."""

    cell: Cell
    statements: tuple[dict[str, Any], ...] = ()
    error: str = ""

    def binds(self, name: str) -> bool:
        """Whether a statement of this cell binds `name`."""
        return any(name in statement["binds"] for statement in self.statements)

    def is_stub(self, name: str) -> bool:
        """Whether the last definition of `name` here is the empty one that was handed out."""
        binding = [s for s in self.statements if name in s["binds"]]
        return bool(binding) and name in binding[-1]["stubs"]


@dataclass(frozen=True)
class Selected:
    """The statements to run, cell by cell, with a note; or the status and reason why there are none."""

    parts: list[tuple[Cell, list[int]]] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    note: str = ""


def select(exercise: Exercise, cells: list[ReadCell]) -> Selected:
    """What to run for `exercise`, or `missing`/`raised` with the reason."""
    named = [c for c in cells if exercise.slug in (c.cell.claims, c.cell.id)]
    defining = [c for c in cells if c.binds(exercise.function)]
    chosen = _choose(exercise, named) or _choose(exercise, [c for c in defining if not c.cell.claims])
    if chosen is None:
        return _nothing(exercise, named)
    if chosen.is_stub(exercise.function):
        reason = f"not attempted: {exercise.function} is still the empty stub"
        return Selected(status="missing", reason=reason)
    note = ""
    if len(named) > 1:
        note = f"{len(named)} cells are marked {exercise.id}; cell {chosen.cell.number} was graded"
    elif not named and any(c.cell.claims or c.cell.id for c in cells):
        note = f"the marked cell is gone; {exercise.function} was found in cell {chosen.cell.number}"
    return Selected(needed(exercise.functions, chosen, cells), note=note)


def _choose(exercise: Exercise, candidates: list[ReadCell]) -> ReadCell | None:
    """The one that defines the function: an attempted one before a stub, the original id before a copy."""
    good = [c for c in candidates if c.binds(exercise.function)]
    attempted = [c for c in good if not c.is_stub(exercise.function)] or good
    original = [c for c in attempted if c.cell.id == exercise.slug]
    return original[0] if original else attempted[-1] if attempted else None


def _nothing(exercise: Exercise, named: list[ReadCell]) -> Selected:
    broken = [c for c in named if c.error]
    if broken:
        reason = f"your code raised {broken[0].error}, in cell {broken[0].cell.number}"
        return Selected(status="raised", reason=reason)
    if named:
        others = sorted({n for c in named for s in c.statements if s["kind"] == "other" for n in s["binds"]})
        found = f"it defines {', '.join(others[:5])}" if others else "it defines nothing"
        reason = f"the cell is there but does not define {exercise.function}: {found} (was it renamed?)"
        return Selected(status="missing", reason=reason)
    reason = f"no cell is marked {exercise.id} and none defines {exercise.function} (was it deleted?)"
    return Selected(status="missing", reason=reason)


def needed(names: tuple[str, ...], home: ReadCell, cells: list[ReadCell]) -> list[tuple[Cell, list[int]]]:
    """Every statement that binds one of `names`, or a name that such a statement uses, and so on."""
    order = _nearest_first(home, cells)
    picked: dict[int, set[int]] = {}
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for cell, index in _binders(name, order):
            picked.setdefault(cell.cell.number, set()).add(index)
            waiting += cell.statements[index]["uses"]
    return [(c.cell, sorted(picked[c.cell.number])) for c in cells if c.cell.number in picked]


def _nearest_first(home: ReadCell, cells: list[ReadCell]) -> list[ReadCell]:
    before = [c for c in cells if c.cell.number < home.cell.number]
    after = [c for c in cells if c.cell.number > home.cell.number]
    return [home, *reversed(before), *after]


def _binders(name: str, order: list[ReadCell]) -> list[tuple[ReadCell, int]]:
    """The statements that give `name` its value: those of the nearest cell with it, or star imports."""
    for cell in order:
        if cell.binds(name) and not (cell is not order[0] and cell.is_stub(name)):
            mine = [i for i, s in enumerate(cell.statements) if name in s["binds"]]
            imported = all(cell.statements[i]["kind"] == "import" for i in mine)
            # setting an attribute of what was imported would patch a library: never part of an answer
            changed = [] if imported else [i for i, s in enumerate(cell.statements) if name in s["mutates"]]
            return [(cell, i) for i in sorted({*mine, *changed})]
    stars = [(c, i) for c in order for i, s in enumerate(c.statements) if "*" in s["binds"]]
    return stars if not hasattr(builtins, name) else []
