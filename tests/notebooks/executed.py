"""Notebooks that have run: each once in a run of the suite, read by every test that needs one.

With a browser, JupyterLab runs those that students get (tests/browser), and the same is asked of what it leaves;
without one they run headless, as the solved ones always do.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from itertools import zip_longest
from pathlib import Path

import nbformat
import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str | None:
    """The Chromium that the tests use: $CHROMIUM or the first on the PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def jupyterlab_runs_them() -> bool:
    """Whether the browser tests will run the students' notebooks."""
    return bool(browser()) and importlib.util.find_spec("playwright") is not None


def kept(factory: pytest.TempPathFactory, stem: str) -> Path:
    """Where this run of the suite, in all its processes, keeps the student's notebook `stem` after it ran."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "executed"
    folder.mkdir(exist_ok=True)
    return folder / f"{stem}.ipynb"


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == kind
    ]


def check_that_all_ran(notebook: nbformat.NotebookNode) -> None:
    """No error, nothing on stderr, no cell left out."""
    assert [f"{output.ename}: {output.evalue}" for output in outputs(notebook, "error")] == []
    assert [output.text for output in outputs(notebook, "stream") if output.name == "stderr"] == []
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "every cell ran"


def check_stills(notebook: nbformat.NotebookNode) -> None:
    """A page that cannot run widgets shows an explorer's still (below it) and a question's text, below too."""
    for cell in notebook.cells:
        pages = [output.get("data", {}) for output in cell.get("outputs", ())]
        for data, below in zip_longest(pages, pages[1:], fillvalue={}):
            if "application/vnd.jupyter.widget-view+json" in data:
                asked = "Guess first" in below.get("text/html", "")
                assert asked or '<div class="dlseg-still"><div class="dlseg-figure">' in below.get(
                    "text/html", ""
                ), cell.source


def check_verdicts(notebook: nbformat.NotebookNode, kind: str) -> None:
    """Only an exercise says "not attempted yet", and only where it is: not in a solved notebook, nor elsewhere."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            page = "".join(str(o.get("data", {}).get("text/html", "")) for o in cell.outputs)
            mine = cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-check")
            if mine:
                assert ("not attempted yet" in page) == (kind == "student"), cell.source
                assert ("all open tests right" in page) == (kind == "solved"), cell.source
            else:
                assert "not attempted yet" not in page
