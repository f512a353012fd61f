"""A submission as cells of text: from notebooks (nbformat 3 and 4), percent scripts and plain Python.

Nothing here runs or parses a student's Python: that happens in the sandbox.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".ipynb", ".py")
MAX_BYTES = 20 << 20
MAX_CELLS = 2000
MAX_SOURCE = 2 << 20
PERCENT = re.compile(r"^# %%.*$", re.MULTILINE)


class SubmissionError(ValueError):
    """The file cannot be read as a submission; the message says why in the student's words."""


@dataclass(frozen=True)
class Cell:
    """One code cell: its place among all cells (from 1), text, cell id and the exercise it claims to be."""

    number: int
    source: str
    id: str = ""
    claims: str = ""

    @property
    def handed_out(self) -> bool:
        """Whether it came with the notebook and was not changed: its id still follows from its text."""
        return self.id.partition("-")[0] == text_id("code", self.source)


def text_id(kind: str, source: str) -> str:
    """The id that a handed-out cell gets: an edit elsewhere leaves it alone, an edit of its text gives it away.

    >>> text_id("code", "x = 1")
    '89811aa6'
    """
    return hashlib.sha256(f"{kind}\n{source}".encode(errors="replace")).hexdigest()[:8]


@dataclass(frozen=True)
class Submission:
    """A file's name (its stem) and its code cells."""

    name: str
    path: Path
    cells: tuple[Cell, ...]

    @property
    def is_notebook(self) -> bool:
        """Whether `__name__` is `"__main__"` in its cells."""
        return self.path.suffix.lower() == ".ipynb"


def read(path: Path) -> Submission:
    """The cells of a `.ipynb` or `.py` file. Raises SubmissionError with a reason a student understands."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SubmissionError(f"{path.name}: expected a notebook (.ipynb) or a Python file (.py)")
    try:
        if path.is_symlink() or not path.is_file():
            raise SubmissionError(f"{path.name}: expected an ordinary file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SubmissionError(
                f"{path.name}: {size / 2**20:.0f} MB, more than {MAX_BYTES >> 20} MB: "
                "clear the outputs before handing in"
            )
        content = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path.name}: cannot be read as text ({type(error).__name__})") from error
    return parse(path, content)


def parse(path: Path, content: bytes) -> Submission:
    """The cells in the bytes of a file that was called `path`. Raises SubmissionError as `read` does."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SubmissionError(f"{path.name}: expected a notebook (.ipynb) or a Python file (.py)")
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{path.name}: cannot be read as text ({type(error).__name__})") from error
    cells = tuple(_notebook_cells(path.name, text) if suffix == ".ipynb" else _script_cells(text))
    if len(cells) > MAX_CELLS or sum(len(cell.source) for cell in cells) > MAX_SOURCE:
        raise SubmissionError(f"{path.name}: more than {MAX_CELLS} cells or {MAX_SOURCE >> 20} MB of code")
    return Submission(path.stem, path, cells)


def _script_cells(text: str) -> Iterator[Cell]:
    starts = [0, *(match.start() for match in PERCENT.finditer(text))]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True), 1):
        head = text[start:end].partition("\n")[0]
        if "[markdown]" not in head:
            # blank lines stand for what came before, so that line numbers are the file's own
            yield Cell(number, "\n" * text.count("\n", 0, start) + text[start:end])


def _notebook_cells(name: str, text: str) -> Iterator[Cell]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"{name}: not a notebook: {error}"[:200]) from error
    for number, cell in enumerate(_raw_cells(name, notebook), 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", cell.get("input", ""))  # nbformat 3 called it input
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        if isinstance(source, str):
            yield Cell(number, source, _text(cell.get("id")), _claim(cell.get("metadata")))


def _raw_cells(name: str, notebook: Any) -> list[Any]:
    if isinstance(notebook, dict):
        sheets = notebook.get("worksheets")
        if isinstance(notebook.get("cells"), list):
            return list(notebook["cells"])
        if isinstance(sheets, list):
            inner = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
            return [cell for cells in inner if isinstance(cells, list) for cell in cells]
    raise SubmissionError(f"{name}: not a notebook: it has no list of cells")


def _claim(metadata: Any) -> str:
    """The exercise's slug in a cell's metadata: ours, or nbgrader's grade_id."""
    if not isinstance(metadata, dict):
        return ""
    ours, theirs = metadata.get("dlseg"), metadata.get("nbgrader")
    if isinstance(ours, dict) and _text(ours.get("exercise")):
        return _text(ours["exercise"]).replace(".", "-")
    return _text(theirs.get("grade_id")) if isinstance(theirs, dict) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
