"""`pytest tests/assignments --submission FILE` grades FILE; without it the grader grades our own answers."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlseg.course import notebook_source
from dlseg.grading import exercise
from dlseg.grading.sandbox.client import Sandbox, open_best

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
EXERCISES = HERE.parents[1] / "dlseg" / "course" / "exercises"
NOTEBOOKS = HERE.parents[1] / "notebooks"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("assignments", "grading")
    group.addoption("--submission", type=Path, help="the notebook or Python file to grade")
    group.addoption("--seed", type=int, help="of the inputs; fresh if not given")
    group.addoption("--assignment", default="", help="e.g. atrous; else as the file's name says, else all")
    group.addoption("--exercises", type=Path, default=EXERCISES, help="folder or file of exercises")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Points, words, time and reasons, whatever was captured before."""
    for line in getattr(config, "graded_summary", []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def solutions() -> dict[str, str]:
    """Exercise id → the answer in the solved notebook."""
    cells = [cell for path in notebook_source.sources(NOTEBOOKS) for cell in notebook_source.solved(path).cells]
    answers = {cell.id: cell.source for cell in cells if notebook_source.solutions(cell.source)}
    return {found.id: answers[found.slug] for found in exercise.load(EXERCISES) if found.slug in answers}


@pytest.fixture(scope="session")
def exercises() -> list[exercise.Exercise]:
    return exercise.load(EXERCISES)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    sandbox = open_best()
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def notebook() -> Callable[..., str]:
    """A notebook's text from [(exercise id or '', source)]; format 4.4 has no cell ids, 3 has worksheets."""

    def make(cells: list[tuple[str, str]], *, major: int = 4, minor: int = 5) -> str:
        from typical import IMPORTS

        raw = []
        for number, (name, text) in enumerate([("", IMPORTS), *cells]):
            cell: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": []}
            cell["input" if major == 3 else "source"] = text.splitlines(keepends=True)
            if name:
                grading = {"grade_id": name.replace(".", "-"), "schema_version": 3, "solution": True}
                cell["metadata"] = {"nbgrader": grading}
            if (major, minor) >= (4, 5):
                cell["id"] = name.replace(".", "-") or f"cell-{number}"
            raw.append(cell)
        body = {"worksheets": [{"cells": raw}]} if major == 3 else {"cells": raw}
        return json.dumps({"nbformat": major, "nbformat_minor": minor, "metadata": {}, **body})

    return make
