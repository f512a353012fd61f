"""Every student notebook runs from top to bottom without a browser: no error, no stderr, stills for widgets."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SECONDS = 300  # a cell that hangs ends here; what a notebook may take is said in its own time budget


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook after a run in a folder of its own, in a process of its own, with no proxy to the outside."""
    folder = tmp_path_factory.mktemp("run")
    source = folder / request.param.name
    source.write_bytes(request.param.read_bytes())
    closed = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "all_proxy")}
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", f"--timeout={SECONDS}", "--allow-errors", "--output=ran",
         str(source)], env={**os.environ, **closed}, capture_output=True, text=True, check=False)
    print(f"{request.param.name}: {time.perf_counter() - start:.1f} s")
    assert run.returncode == 0, run.stderr
    return nbformat.read(folder / "ran.ipynb", as_version=4)


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
            if output.output_type == kind]


def test_no_error(executed: nbformat.NotebookNode) -> None:
    assert [f"{output.ename}: {output.evalue}" for output in outputs(executed, "error")] == []


def test_nothing_on_stderr(executed: nbformat.NotebookNode) -> None:
    assert [output.text for output in outputs(executed, "stream") if output.name == "stderr"] == []


def test_every_cell_ran(executed: nbformat.NotebookNode) -> None:
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_every_widget_leaves_a_still(executed: nbformat.NotebookNode) -> None:
    """A page that cannot run widgets shows the picture that comes with each."""
    shown = [output.data for output in outputs(executed, "display_data") + outputs(executed, "execute_result")]
    widgets = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert all("image/png" in data for data in widgets)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_name_no_place(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lengths = sorted(len(cell["source"]) for cell in cells)
    assert lengths[len(lengths) // 2] <= 12
    text = "".join(line for cell in cells for line in cell["source"])
    assert not re.search(r"""["'](/|~|[A-Z]:\\)|https?://|sys\.path|\.\./""", text), "a path or an address"
