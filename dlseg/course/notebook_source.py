"""A notebook's solved source: its cells, which of them are exercises, and what a student's copy leaves out.

In a source (py:percent) an exercise is two cells marked `exercise="topic.name"`: its specification in Markdown, and
code with the answer between `### BEGIN SOLUTION` and `### END SOLUTION`. The cell that checks it is added here.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlseg.course.catalogue import EXERCISES, catalogue
from dlseg.course.claims import plain, probed
from dlseg.course.glossary import with_words
from dlseg.course.guessing import questions
from dlseg.grading.exercise import Exercise, Points
from dlseg.grading.rules import RULES
from dlseg.grading.submission import text_id

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
SOLUTION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION[ \t]*\n?", re.DOTALL | re.MULTILINE
)
HIDDEN = re.compile(r"\n### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.DOTALL)
MARKERS = re.compile(r"###\s*(BEGIN|END)\s+(SOLUTION|HIDDEN TESTS)")
CHECK = "{call})\n### BEGIN HIDDEN TESTS\n{call}, hidden=True)\n### END HIDDEN TESTS"

CELL_SECONDS = 900  # a cell may train a small network on a slow machine


class CourseError(ValueError):
    """A course folder that cannot be built; says what was expected where."""


def sources(folder: Path) -> list[Path]:
    """The course's sources, in order.

    Raises:
        CourseError: `folder` has no `source/` with py:percent files in it.
    """
    found = sorted((folder / "source").glob("[!_]*.py"))
    if not found:
        raise CourseError(
            f"folder: no sources {folder / 'source'}/*.py; run this where the notebooks folder is, or name it"
        )
    return found


def execute(notebook: Any, *, allow_errors: bool = False) -> None:
    """Run a notebook in place, in a folder that is thrown away.

    Args:
        notebook: what `solved` or `student` gave; its outputs are written into it.
        allow_errors: go on after a cell that raised.

    Raises:
        CellExecutionError: of nbclient, the first error of a cell.
    """
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as place:
        resources = {"metadata": {"path": place}}
        NotebookClient(notebook, timeout=CELL_SECONDS, resources=resources, allow_errors=allow_errors).execute()


def topic(source: Path) -> str:
    """What the ids of a notebook's exercises begin with: `atrous` for 02_atrous.py."""
    return re.sub(r"^\d+_", "", source.stem)


def solved(source: Path, exercises: Path = EXERCISES) -> Any:
    """The whole notebook with answers, markers and nbgrader's metadata; no outputs, stable cell ids.

    Raises:
        CourseError: a cell is marked with an exercise that does not exist, or has no solution in it.
    """
    notebook = with_words(_solved(source, exercises, plain), source.stem.partition("_")[0])
    _nbformat().validate(notebook)
    return notebook


def solved_with_claims(source: Path, exercises: Path = EXERCISES) -> Any:
    """The solved notebook, with cells that compute the numbers its texts state; see `dlseg.course.claims`."""
    return probed(_solved(source, exercises, str), {item.id: item.reason for item in questions().values()})


def _solved(source: Path, exercises: Path, shown: Callable[[str], str]) -> Any:
    jupytext, nbformat = _jupytext(), _nbformat()
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    cells, number = [], 0
    for cell in notebook.cells:
        name = cell.metadata.pop("exercise", None)
        manual = cell.metadata.pop("manual", None)
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = shown(cell.source)
        if manual is not None:
            cell.id = str(manual["id"])
            cell.metadata["nbgrader"] = _grading(cell.id, points=manual["points"], solution=True)
        elif name is not None and cell.cell_type == "markdown":
            number += 1
            cell.source = _headed(_known(name, source, exercises), number, cell.source)
        elif name is not None:
            cells += _exercise(_known(name, source, exercises), cell, source)
    notebook.cells = cells
    _name_cells(notebook.cells)
    nbformat.validate(notebook)
    return notebook


def student(source: Path, exercises: Path = EXERCISES) -> Any:
    """The notebook that students get: stubs instead of answers, no hidden tests."""
    notebook = solved(source, exercises)
    for cell in notebook.cells:
        cell.source = emptied(cell.source)
    return notebook


def emptied(text: str) -> str:
    """A cell's text without its solutions and hidden tests."""
    return HIDDEN.sub("", SOLUTION.sub(r"\1raise NotImplementedError  # your code goes here\n", text)).rstrip("\n")


def solutions(text: str) -> list[str]:
    """The solutions that stand in a cell."""
    return [match.group(2) for match in SOLUTION.finditer(text + "\n")]


def text_of(notebook: Any) -> str:
    """A notebook as its file's text; always the same bytes."""
    text: str = _nbformat().writes(notebook, version=_nbformat().NO_CONVERT)
    return text.rstrip("\n") + "\n"


def _known(name: str, source: Path, exercises: Path) -> Exercise:
    known = catalogue(exercises)
    if name not in known:
        raise CourseError(f"{source.name}: exercise {name!r} is in no file of {exercises}")
    return known[name]


def _headed(found: Exercise, number: int, text: str) -> str:
    return (
        f"### Exercise {number} · {found.title}\n*{found.max_points:g} points · {found.difficulty} · stuck? "
        f'`hint("{found.id}")` in a cell of your own*\n\n{text}'
        + "".join(f"\n\n**Rule.** {RULES[rule].sentence}" for rule in found.rules)
    )


def _exercise(found: Exercise, cell: Any, source: Path) -> list[Any]:
    """Mark an answer's cell; returns the locked cell that checks it."""
    if not solutions(cell.source):
        raise CourseError(f"{source.name}: the cell of {found.id} has no ### BEGIN SOLUTION … ### END SOLUTION")
    cell.metadata["nbgrader"] = _grading(found.slug, solution=True)
    cell.id = found.slug
    check = _nbformat().v4.new_code_cell(CHECK.format(call=f'check("{found.id}"'))
    check.metadata["nbgrader"] = _grading(f"{found.slug}-check", points=found.max_points)
    check.id = f"{found.slug}-check"
    return [check]


def _grading(name: str, *, points: Points | None = None, solution: bool = False) -> dict[str, Any]:
    """nbgrader's metadata of a cell, version 3: an answer, or (with points) a test; both: marked by hand."""
    grading = {
        "schema_version": 3,
        "grade_id": name,
        "grade": points is not None,
        "solution": solution,
        "locked": not solution,
        "task": False,
    }
    return grading if points is None else {**grading, "points": points}


def _name_cells(cells: list[Any]) -> None:
    """A cell's id follows from its text, so an edit elsewhere leaves it alone; a second equal cell is numbered."""
    taken = {cell.id for cell in cells if "nbgrader" in cell.metadata}
    for cell in cells:
        if "nbgrader" not in cell.metadata:
            stem = text_id(cell.cell_type, cell.source)
            number = 1
            while (name := stem if number == 1 else f"{stem}-{number}") in taken:
                number += 1
            cell.id = name
            taken.add(name)


def _nbformat() -> Any:
    import nbformat

    return nbformat


def _jupytext() -> Any:
    try:
        import jupytext
    except ImportError as error:
        raise CourseError("jupytext is not installed; only authors need it: pip install jupytext") from error
    return jupytext
