"""Source to student notebook: deterministic and valid; `check` fails on every way a notebook can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.course.build import CourseError, build, check, student_notebook

SOURCE = '''# ---
# jupyter:
#   kernelspec:
#     display_name: whatever the author had
#     name: my-own-kernel
# ---

# %% [markdown]
# # A title
# Prose with $w_1$ and **bold**.

# %%
x = 1
x

# %%
x = 1
x
'''


@pytest.fixture
def course(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "00_first.py").write_text(SOURCE)
    (folder / "source" / "01_second.py").write_text("# %%\nprint('two')\n")
    build(folder)
    return folder


def test_cells_kernel_and_ids(course: Path) -> None:
    notebook = nbformat.read(course / "00_first.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        ("markdown", "# A title\nProse with $w_1$ and **bold**."), ("code", "x = 1\nx"), ("code", "x = 1\nx")]
    assert notebook.metadata == {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python",
                                                "name": "python3"}, "language_info": {"name": "python"}}
    assert len({cell.id for cell in notebook.cells}) == 3
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells[1:])


def test_building_twice_writes_nothing_the_second_time(course: Path) -> None:
    before = {path: path.read_bytes() for path in course.glob("*.ipynb")}
    stamps = {path: path.stat().st_mtime_ns for path in before}
    assert build(course) == []
    assert {path: path.stat().st_mtime_ns for path in course.glob("*.ipynb")} == stamps
    for path in before:
        path.unlink()
    assert sorted(build(course)) == sorted(before)
    assert {path: path.read_bytes() for path in course.glob("*.ipynb")} == before


def test_an_edit_changes_the_id_of_the_edited_cell_only(course: Path) -> None:
    source = course / "source" / "00_first.py"
    before = [cell["id"] for cell in json.loads(student_notebook(source))["cells"]]
    source.write_text(SOURCE.replace("# A title", "# Another title"))
    after = [cell["id"] for cell in json.loads(student_notebook(source))["cells"]]
    assert before[1:] == after[1:] and before[0] != after[0]


def with_cells(change: Callable[[list], object]) -> Callable[[Path], object]:
    def mutate(path: Path) -> None:
        notebook = json.loads(path.read_text())
        change(notebook["cells"])
        path.write_text(json.dumps(notebook, indent=1) + "\n")
    return mutate


MUTANTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "stale: a cell edited by hand": (with_cells(lambda c: c[1].update(source=["x = 2"])), "is not what"),
    "stale: a cell removed": (with_cells(lambda c: c.pop()), "is not what"),
    "stale: other metadata": (with_cells(lambda c: c[1]["metadata"].update(tags=["mine"])), "is not what"),
    "an output": (with_cells(lambda c: c[1].update(outputs=[
        {"output_type": "stream", "name": "stdout", "text": ["1"]}])), "cell 2 holds an output"),
    "a run number": (with_cells(lambda c: c[2].update(execution_count=4)), "cell 3 holds an output or"),
    "missing": (Path.unlink, "is missing"),
    "empty": (lambda path: path.write_text(""), "is no notebook"),
    "cut short": (lambda path: path.write_text(path.read_text()[:90]), "is no notebook"),
    "not a notebook": (lambda path: path.write_text("[]"), "is no notebook"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_check_fails_on_a_mutant_and_build_heals_it(course: Path, name: str) -> None:
    mutate, message = MUTANTS[name]
    assert check(course) == []
    mutate(course / "00_first.ipynb")
    faults = check(course)
    assert faults and all(fault.notebook.name == "00_first.ipynb" and message in fault.message for fault in faults)
    result = CliRunner().invoke(main, ["course", "check", str(course)])
    assert result.exit_code == 1 and message in result.output
    build(course)
    assert check(course) == []


def test_an_edited_source_makes_its_notebook_stale(course: Path) -> None:
    (course / "source" / "01_second.py").write_text("# %%\nprint('three')\n")
    (fault,) = check(course)
    assert fault.notebook.name == "01_second.ipynb" and "is not what" in fault.message


def test_a_notebook_without_a_source_is_a_fault(course: Path) -> None:
    (course / "source" / "01_second.py").unlink()
    assert [str(fault) for fault in check(course)] == [
        f"{course / '01_second.ipynb'}: has no source {course / 'source' / '01_second'}.py"]


def test_the_commands(course: Path, tmp_path: Path) -> None:
    (course / "01_second.ipynb").unlink()
    run = CliRunner()
    result = run.invoke(main, ["course", "build", str(course)])
    assert (result.exit_code, result.output) == (0, f"wrote {course / '01_second.ipynb'}\n")
    assert "nothing to do" in run.invoke(main, ["course", "build", str(course)]).output
    assert run.invoke(main, ["course", "check", str(course)]).exit_code == 0
    result = run.invoke(main, ["course", "check", str(tmp_path / "nowhere")])
    assert result.exit_code == 1 and "folder: no sources" in result.output


def test_a_folder_without_sources_is_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="folder: no sources"):
        check(tmp_path)
