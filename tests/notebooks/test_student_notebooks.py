"""Every notebook, handed out and solved, runs from top to bottom without a browser: no error, no stderr, stills."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from dlseg.course.build import solved_notebook, student_notebook
from dlseg.course.notebook_source import sources

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sources(FOLDER)
NOTEBOOKS = [FOLDER / f"{path.stem}.ipynb" for path in SOURCES]
SECONDS = 900  # a cell that hangs ends here; on two quiet cores a whole notebook takes a minute, 04 up to three
pytestmark = pytest.mark.timeout(1800)


class Ran(NamedTuple):
    """A notebook after its run, and how long that took."""

    notebook: nbformat.NotebookNode
    kind: str
    seconds: float


@pytest.fixture(
    scope="module",
    params=[(kind, path) for path in SOURCES for kind in ("student", "solved")],
    ids=lambda pair: f"{pair[1].stem}-{pair[0]}",
)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The notebook after a run in a folder of its own, in a process of its own, with no proxy to the outside."""
    kind, path = request.param
    folder = tmp_path_factory.mktemp("run")
    source = folder / f"{path.stem}.ipynb"
    source.write_text((student_notebook if kind == "student" else solved_notebook)(path))
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
    assert {item.name for item in folder.iterdir()} == {source.name, "ran.ipynb"}, "nothing is left behind"
    return Ran(nbformat.read(folder / "ran.ipynb", as_version=4), kind, seconds)


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == kind
    ]


def test_no_error_and_nothing_on_stderr(executed: Ran) -> None:
    notebook = executed.notebook
    assert [f"{output.ename}: {output.evalue}" for output in outputs(notebook, "error")] == []
    assert [output.text for output in outputs(notebook, "stream") if output.name == "stderr"] == []
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "every cell ran"


def test_every_widget_leaves_a_still(executed: Ran) -> None:
    """A page that cannot run widgets shows the picture that comes with each."""
    notebook = executed.notebook
    shown = [output.data for output in outputs(notebook, "display_data") + outputs(notebook, "execute_result")]
    widgets = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert all("image/png" in data for data in widgets)


def test_only_the_exercises_say_not_attempted(executed: Ran) -> None:
    for cell in executed.notebook.cells:
        if cell.cell_type == "code":
            page = "".join(str(o.get("data", {}).get("text/html", "")) for o in cell.outputs)
            mine = cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-check")
            if mine:
                assert ("not attempted yet" in page) == (executed.kind == "student"), cell.source
                assert ("all open tests right" in page) == (executed.kind == "solved"), cell.source
            else:
                assert "not attempted yet" not in page


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
