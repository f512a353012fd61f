"""From one solved source, `source/NAME.py` (py:percent), to the student's notebook `NAME.ipynb`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class CourseError(ValueError):
    """A course folder that cannot be built; says what was expected where."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one committed notebook, and what to do about it."""

    notebook: Path
    message: str

    def __str__(self) -> str:
        return f"{self.notebook}: {self.message}"


def sources(folder: Path) -> list[Path]:
    """The course's sources, in order.

    Raises:
        CourseError: `folder` has no `source/` with py:percent files in it.
    """
    found = sorted((folder / "source").glob("[!_]*.py"))
    if not found:
        raise CourseError(f"folder: no sources {folder / 'source'}/*.py; run this where the notebooks folder is, "
                          "or name it")
    return found


def student_notebook(source: Path) -> str:
    """The text of the notebook that `source` stands for: no outputs, stable cell ids, kernel `python3`."""
    jupytext = _jupytext()
    nbformat = _nbformat()
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken: set[str] = set()
    for cell in notebook.cells:
        cell.id = _cell_id(cell, taken)
        taken.add(cell.id)
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook, version=nbformat.NO_CONVERT)
    return text.rstrip("\n") + "\n"


def build(folder: Path) -> list[Path]:
    """Write every student notebook of `folder`, each whole or not at all; returns the ones that changed."""
    changed = []
    for source in sources(folder):
        text, target = student_notebook(source), folder / f"{source.stem}.ipynb"
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            _write_whole(target, text)
            changed.append(target)
    return changed


def check(folder: Path) -> list[Fault]:
    """Everything that keeps the committed notebooks of `folder` from being what their sources say."""
    wanted = {folder / f"{source.stem}.ipynb": source for source in sources(folder)}
    faults = [Fault(path, f"has no source {folder / 'source' / path.stem}.py")
              for path in sorted(folder.glob("*.ipynb")) if path not in wanted]
    for path, source in wanted.items():
        faults += [Fault(path, message) for message in _faults(path, source)]
    return faults


def _faults(path: Path, source: Path) -> list[str]:
    nbformat = _nbformat()
    if not path.is_file():
        return ["is missing: run `dlseg course build`"]
    text = path.read_text(encoding="utf-8")
    try:
        cells = nbformat.reads(text, as_version=4).cells
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        return [f"is no notebook ({error}): run `dlseg course build`"]
    ran = [number for number, cell in enumerate(cells, 1)
           if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)]
    if ran:
        return [f"cell {number} holds an output or a run number: run `dlseg course build`" for number in ran]
    if text != student_notebook(source):
        return [f"is not what {source} says: edit the source, then run `dlseg course build`"]
    return []


def _cell_id(cell: Any, taken: set[str]) -> str:
    """A cell's id follows from its text, so an edit elsewhere leaves it alone; a second equal cell is numbered."""
    stem = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    number = 1
    while (name := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return name


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".tmp")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


def _nbformat() -> Any:
    import nbformat

    return nbformat


def _jupytext() -> Any:
    try:
        import jupytext
    except ImportError as error:
        raise CourseError("jupytext is not installed; only authors need it: pip install jupytext") from error
    return jupytext
