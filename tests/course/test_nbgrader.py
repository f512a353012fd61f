"""nbgrader itself takes the solved notebook: it makes an assignment of it, and gives full marks and none."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dlseg.course.build import solved_notebook

pytestmark = pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed")
NAME = "02_atrous"
SCORES = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({s.student_id: [s.score, s.max_score, s.needs_manual_grade]
                      for s in book.assignment_submissions("atrous")}))
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """A course of nbgrader's: one assignment released, two submissions graded."""
    root = tmp_path_factory.mktemp("nbgrader")
    source = root / "source" / "atrous" / f"{NAME}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_text(solved_notebook(repo / "notebooks" / "source" / f"{NAME}.py"))
    nbgrader(root, "generate_assignment", "atrous")
    released = root / "release" / "atrous" / f"{NAME}.ipynb"
    for student, handed_in in (("solves", source), ("leaves", released)):
        place = root / "submitted" / student / "atrous"
        place.mkdir(parents=True)
        shutil.copy(handed_in, place)
    nbgrader(root, "autograde", "atrous", "--ExecutePreprocessor.timeout=300")
    return root


def nbgrader(root: Path, *words: str) -> str:
    """One command in the course's folder, with homes of its own and this checkout's dlseg."""
    own = ("HOME", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")
    homes = {name: str(root / "home") for name in own}
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by name
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, **homes, "PYTHONPATH": here, "PATH": path},
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_released_notebook_holds_no_answers(course: Path) -> None:
    notebook = nbformat.read(course / "release" / "atrous" / f"{NAME}.ipynb", as_version=4)
    text = "".join(cell.source for cell in notebook.cells)
    assert "BEGIN" not in text and "hidden=True" not in text and text.count("raise NotImplementedError") == 5
    marked = [cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert sum(cell.get("points", 0) for cell in marked) == 24, "22, and 2 for the report"


def test_full_marks_and_none(course: Path) -> None:
    said = subprocess.run([sys.executable, "-c", SCORES], cwd=course, capture_output=True, text=True, check=True)
    scores = json.loads(said.stdout)
    print(scores)
    assert scores == {"solves": [22.0, 24.0, True], "leaves": [0.0, 24.0, False]}, "a person reads a report"
