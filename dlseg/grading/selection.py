"""Which cell answers an exercise, and what is run before its functions are called.

All that the student wrote or changed is run, in order; of cells that came with the notebook what that needs.
Moved, copied, renamed and deleted cells are told apart.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
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

    def defines(self, name: str) -> bool:
        """Whether a statement of this cell defines a function of that name."""
        return any(name in statement["defines"] for statement in self.statements)

    def is_stub(self, name: str) -> bool:
        """Whether the last definition of `name` here is the empty one that was handed out."""
        binding = [s for s in self.statements if name in s["binds"]]
        return bool(binding) and name in binding[-1]["stubs"]


@dataclass(frozen=True)
class Selected:
    """The cell that answers, with a note; or the status and reason why there is none."""

    home: ReadCell | None = None
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
    return Selected(chosen, note=note)


def _choose(exercise: Exercise, candidates: list[ReadCell]) -> ReadCell | None:
    """The one that defines the function: an attempted one before a stub, the original id before a copy."""
    good = [c for c in candidates if c.defines(exercise.function)]
    good = good or [c for c in candidates if c.binds(exercise.function)]
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


@dataclass(frozen=True)
class Part:
    """What is run of a cell: all (None), or some statements; `lenient`: an error costs its statement alone."""

    cell: Cell
    statements: list[int] | None = None
    lenient: bool = False

    def request(self, home: int) -> dict[str, Any]:
        """The part as the worker gets it."""
        return {
            "number": self.cell.number,
            "source": self.cell.source,
            "statements": self.statements,
            "lenient": self.lenient,
            "home": self.cell.number == home,
        }


def everything(home: ReadCell, cells: list[ReadCell], careful: set[int]) -> list[Part]:
    """All that the student wrote or changed, in order, and what that needs of the other cells.

    Args:
        home: the cell that answers the exercise.
        cells: all cells as read.
        careful: numbers of cells that took too long or ended the worker: only what others need of them is run.
    """
    readable = [c for c in cells if not c.error]
    own = [c for c in readable if c is home or not (c.cell.handed_out or c.cell.number in careful)]
    names = {name for c in own for s in c.statements for name in s["uses"]}
    picked = _used_of([c for c in readable if c not in own], names)
    attempted = {name for c in own for s in c.statements for name in s["binds"] if name not in s["stubs"]}
    parts = []
    for c in readable:
        if c not in own:
            parts += [Part(c.cell, sorted(picked[c.cell.number]), lenient=True)] if c.cell.number in picked else []
        elif any(name in attempted for s in c.statements for name in s["stubs"]):
            kept = [i for i, s in enumerate(c.statements) if not set(s["stubs"]) & attempted]
            parts.append(Part(c.cell, kept))
        else:
            parts.append(Part(c.cell))
    return parts


def _used_of(cells: list[ReadCell], names: set[str]) -> dict[int, set[int]]:
    """Cell number → the statements that give or change one of `names`, or a name that such a statement uses."""
    picked: dict[int, set[int]] = {}
    waiting, seen = [*names, "*"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for c in cells:
            for index, statement in enumerate(c.statements):
                if name in statement["binds"] or (name in statement["mutates"] and statement["kind"] != "import"):
                    picked.setdefault(c.cell.number, set()).add(index)
                    waiting += statement["uses"]
    return picked


def by_names(names: tuple[str, ...], home: ReadCell, cells: list[ReadCell]) -> list[Part]:
    """Only statements that bind one of `names`, or a name that such a statement uses: where running all failed."""
    picked = needed(names, home, cells)[0]
    return [Part(c.cell, sorted(picked[c.cell.number]), lenient=True) for c in cells if c.cell.number in picked]


def overwritten(names: tuple[str, ...], home: ReadCell, cells: list[ReadCell]) -> bool:
    """Whether a later cell gives another meaning to a name that the answer uses."""
    used = needed(names, home, cells)[1] - set(names)
    later = [c for c in cells if c.cell.number > home.cell.number and not c.cell.handed_out]
    return any(used & {*s["binds"], *s["mutates"]} for c in later for s in c.statements if s["kind"] != "import")


def unbound(cells: list[ReadCell]) -> set[str]:
    """Names that cells use and none binds, where a star import may bring them."""
    statements = [s for c in cells for s in c.statements]
    bound = {name for s in statements for name in s["binds"]}
    used = {name for s in statements for name in s["uses"]}
    return {name for name in used - bound if not hasattr(builtins, name)} if "*" in bound else set()


def needed(names: tuple[str, ...], home: ReadCell, cells: list[ReadCell]) -> tuple[dict[int, set[int]], set[str]]:
    """Cell number → statements that bind one of `names`, or a name such a statement uses; and all the names."""
    order = _nearest_first(home, cells)
    picked: dict[int, set[int]] = {}
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for cell, index in _binders(name, order):
            picked.setdefault(cell.cell.number, set()).add(index)
            waiting += cell.statements[index]["uses"]
    return picked, seen


def broken_rules(exercise: Exercise, home: ReadCell, cells: list[ReadCell]) -> list[tuple[str, str]]:
    """The exercise's rules that its answer breaks, each with the code that does.

    Looked at are the statements that give or change a name that the answer uses, in whatever cell: a helper may be
    defined anew after it.
    """
    if not exercise.rules:
        return []
    picked, names = needed(exercise.functions, home, cells)
    later = [c for c in cells if not c.cell.handed_out and c.cell.number > home.cell.number]
    while True:
        changed = {
            (c.cell.number, i): s["uses"]
            for c in later
            for i, s in enumerate(c.statements)
            if (names - set(exercise.functions)) & {*s["binds"], *s["mutates"]}
        }
        more, found = needed(tuple({name for uses in changed.values() for name in uses} - names), home, cells)
        for number, index in [*changed, *((n, i) for n, indices in more.items() for i in indices)]:
            picked.setdefault(number, set()).add(index)
        if found <= names:
            break
        names |= found
    breaks = [s["breaks"] for c in cells for i, s in enumerate(c.statements) if i in picked.get(c.cell.number, ())]
    return [(rule, found[rule]) for rule in exercise.rules for found in breaks if rule in found]


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
