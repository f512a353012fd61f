"""Every notebook, handed out and solved, runs from top to bottom without a browser: no error, no stderr, stills.

Where there is a browser, tests/browser asks the same of the handed out ones, which JupyterLab runs there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from executed import check_stills, check_that_all_ran, check_verdicts, jupyterlab_runs_them, kept

from dlseg.course.build import student_notebook
from dlseg.course.catalogue import of_notebook
from dlseg.course.claims import wrong_claims
from dlseg.course.notebook_source import solved_with_claims, sources, text_of, topic

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sources(FOLDER)
NOTEBOOKS = [FOLDER / f"{path.stem}.ipynb" for path in SOURCES]
SECONDS = 900  # a cell that hangs ends here; on two quiet cores a whole notebook takes a minute, 04 up to three
KINDS = ("solved",) if jupyterlab_runs_them() else ("student", "solved")
pytestmark = pytest.mark.timeout(1800)


class Ran(NamedTuple):
    """A notebook after its run, and how long that took."""

    notebook: nbformat.NotebookNode
    kind: str
    seconds: float


@pytest.fixture(
    scope="module",
    params=[(kind, path) for path in SOURCES for kind in KINDS],
    ids=lambda pair: f"{pair[1].stem}-{pair[0]}",
)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The notebook after a run in a folder of its own, in a process of its own, with no proxy to the outside."""
    kind, path = request.param
    folder = tmp_path_factory.mktemp("run")
    source = folder / f"{path.stem}.ipynb"
    # a solved one also computes the numbers that its texts state
    source.write_text(student_notebook(path) if kind == "student" else text_of(solved_with_claims(path)))
    closed = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "all_proxy")}
    threads = {"OMP_NUM_THREADS": os.environ.get("DLSEG_TEST_THREADS", "1")}
    start = time.perf_counter()
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "jupyter",
            "execute",
            f"--timeout={SECONDS}",
            "--allow-errors",
            "--output=ran",
            str(source),
        ],
        env={**os.environ, **closed, **threads},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{path.stem}, {kind}: {seconds:.1f} s", end=" ")
    assert run.returncode == 0, run.stderr
    left = {item.name for item in folder.iterdir()} - {source.name, "ran.ipynb"}
    # answers that `check` found right are kept for later notebooks; nothing else is left behind
    assert left == ({"parts.json"} if kind == "solved" and of_notebook(topic(path)) else set())
    if kind == "student":
        shutil.copy(folder / "ran.ipynb", kept(tmp_path_factory, path.stem))
    return Ran(nbformat.read(folder / "ran.ipynb", as_version=4), kind, seconds)


def test_no_error_and_nothing_on_stderr(executed: Ran) -> None:
    check_that_all_ran(executed.notebook)


def test_every_widget_leaves_a_still(executed: Ran) -> None:
    check_stills(executed.notebook)


def test_only_the_exercises_say_not_attempted(executed: Ran) -> None:
    check_verdicts(executed.notebook, executed.kind)


def test_the_texts_numbers_are_those_of_the_cells(executed: Ran) -> None:
    assert list(wrong_claims(executed.notebook)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_name_no_place(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    lengths = sorted(len(cell["source"]) for cell in cells)
    assert lengths[len(lengths) // 2] <= 12 and lengths[-1] <= 20
    text = "".join(line for cell in cells for line in cell["source"])
    assert not re.search(r"""["'](/|~|[A-Z]:\\)|https?://|sys\.path|\.\./""", text), "a path or an address"


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_a_lesson_has_all_its_parts(path: Path) -> None:
    """Opening, paper and release side by side, an explorer, what to remember, the standing, the way on."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    words = "".join(line for c in cells for line in c["source"] if c["cell_type"] == "markdown")
    code = "".join(line for c in cells for line in c["source"] if c["cell_type"] == "code")
    for part in ("**Paper says / release does.**", "## Remember", "section"):
        assert part.lower() in words.lower(), part
    assert re.search(r"\*\*(Next:|The end\.)\*\*", words) and "standing(" in code
    assert "from dlseg.widgets import" in code and ("seed" in code or "random" not in code)
