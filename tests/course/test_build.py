"""Source to student notebook: deterministic and valid; `check` fails on every way a notebook can be wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import nbformat
import pytest
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.course import lint
from dlseg.course.build import build, build_teacher, solved_notebook, student_notebook
from dlseg.course.catalogue import of_notebook
from dlseg.course.lint import check
from dlseg.course.notebook_source import CourseError, solved, sources, topic
from dlseg.grading import submission

EXERCISES = '''
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact


def double(x: int) -> int:
    """Twice x."""
    return sum([x, x])


EXERCISES = [Exercise(
    id="first.double", function="double", reference=double, title="Twice", difficulty="easy",
    tests=(Test("small", 2, lambda rng: (int(rng.integers(9)),), exact("whole")),
           Test("large", 1, lambda rng: (int(rng.integers(900)),), exact("whole"), hidden=True)),
    hints=("Add it.", "One number.", "x + x"))]
'''
SOURCE = '''# ---
# jupyter:
#   kernelspec:
#     display_name: whatever the author had
#     name: my-own-kernel
# ---

# %% [markdown]
# # A title
# Prose with $w_1$ and [a link](01_second.ipynb).

# %%
import numpy as np
from dlseg.course import check
x = 1
x

# %%
x = 1
x

# %% [markdown] exercise="first.double"
# Double a number.

# %% exercise="first.double"
def double(x: int) -> int:
    """Twice x."""
    ### BEGIN SOLUTION
    twice_as_much_as_before = x * 2
    return twice_as_much_as_before
    ### END SOLUTION

# %% [markdown] manual={"id": "defence", "points": 10}
# *Yours.*
'''
# nbgrader's metadata, version 3: what its own schema demands of a cell
NBGRADER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "grade", "locked", "solution"],
    "properties": {
        "schema_version": {"const": 3},
        "grade": {"type": "boolean"},
        "solution": {"type": "boolean"},
        "locked": {"type": "boolean"},
        "task": {"type": "boolean"},
        "points": {"type": "number", "minimum": 0},
        "grade_id": {"type": "string", "pattern": "^[a-zA-Z0-9_\\-]+$"},
        "checksum": {"type": "string"},
        "cell_type": {"enum": ["code", "markdown"]},
    },
}


@pytest.fixture
def exercises(tmp_path: Path) -> Path:
    folder = tmp_path / "exercises"
    folder.mkdir()
    (folder / "first.py").write_text(EXERCISES)
    return folder


@pytest.fixture
def course(tmp_path: Path, exercises: Path) -> Path:
    folder = tmp_path / "notebooks"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "00_first.py").write_text(SOURCE)
    (folder / "source" / "01_second.py").write_text("# %%\nprint('two')\n")
    build(folder, exercises)
    return folder


def own(course: Path) -> Path:
    """The exercises of the course that is tested."""
    return course.parent / "exercises"


def cells_of(path: Path) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return list(notebook.cells)


def test_cells_kernel_and_ids(course: Path) -> None:
    notebook = nbformat.read(course / "00_first.ipynb", as_version=4)
    assert [cell.cell_type[0] for cell in notebook.cells] == list("mccmccm")
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert all(not c.outputs and c.execution_count is None for c in notebook.cells if c.cell_type == "code")


def test_an_exercise_becomes_heading_stub_and_check(course: Path) -> None:
    *_, words, stub, test, manual = cells_of(course / "00_first.ipynb")
    assert words.source.startswith('### Exercise 1 · Twice\n*3 points · easy · stuck? `hint("first.double")`')
    assert stub.source == (
        'def double(x: int) -> int:\n    """Twice x."""\n    raise NotImplementedError  # your code goes here'
    )
    assert test.source == 'check("first.double")'
    assert [c.id for c in (stub, test, manual)] == ["first-double", "first-double-check", "defence"]
    assert test.metadata.nbgrader.points == 3 and manual.metadata.nbgrader.points == 10
    found = submission.read(course / "00_first.ipynb")
    assert [c.claims for c in found.cells] == ["", "", "first-double", "first-double-check"]


def test_nbgrader_accepts_the_metadata(course: Path) -> None:
    cells = [
        *cells_of(course / "00_first.ipynb"),
        *nbformat.reads(solved_notebook(course / "source" / "00_first.py", own(course)), as_version=4).cells,
    ]
    marked = [dict(cell.metadata.nbgrader) for cell in cells if "nbgrader" in cell.metadata]
    assert len(marked) == 6
    for metadata in marked:
        jsonschema.validate(metadata, NBGRADER)
        assert ("points" in metadata) == metadata["grade"] and metadata["locked"] != metadata["solution"]


def test_solved_notebooks_keep_answers_and_hidden_tests(course: Path) -> None:
    text = solved_notebook(course / "source" / "00_first.py", own(course))
    assert "twice_as_much_as_before" in text and "### BEGIN SOLUTION" in text and "hidden=True" in text
    assert "twice_as_much" not in (course / "00_first.ipynb").read_text()
    assert "HIDDEN" not in (course / "00_first.ipynb").read_text()


def test_building_twice_writes_nothing_the_second_time(course: Path) -> None:
    before = {path: path.read_bytes() for path in course.glob("*.ipynb")}
    stamps = {path: path.stat().st_mtime_ns for path in before}
    assert build(course, own(course)) == []
    assert {path: path.stat().st_mtime_ns for path in course.glob("*.ipynb")} == stamps
    for path in before:
        path.unlink()
    assert sorted(build(course, own(course))) == sorted(before)
    assert {path: path.read_bytes() for path in course.glob("*.ipynb")} == before


def test_an_edit_changes_the_id_of_the_edited_cell_only(course: Path) -> None:
    source = course / "source" / "00_first.py"
    before = [cell["id"] for cell in json.loads(student_notebook(source, own(course)))["cells"]]
    source.write_text(SOURCE.replace("# A title", "# Another title"))
    after = [cell["id"] for cell in json.loads(student_notebook(source, own(course)))["cells"]]
    assert before[1:] == after[1:] and before[0] != after[0]


def test_the_teachers_folder(course: Path, tmp_path: Path) -> None:
    out = tmp_path / "teacher"
    written = build_teacher(course, out, own(course))
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in written}
    assert set(files) == {
        "solved/00_first.ipynb",
        "solutions/00_first.html",
        "gradescope/00_first.zip",
        "classroom/00_first.yml",
        "solved/01_second.ipynb",
    }
    page = files["solutions/00_first.html"].decode()
    for said in ("Add it.", "x + x", "return sum([x, x])", "twice_as_much", "numeric: whole", "(hidden)"):
        assert said in page
    assert b"notebooks/00_first.ipynb" in files["classroom/00_first.yml"]
    assert {path: Path(out / path).read_bytes() for path in files} == files
    build_teacher(course, out, own(course))
    assert {path: Path(out / path).read_bytes() for path in files} == files, "always the same bytes"
    with pytest.raises(CourseError, match="in the students' folder"):
        build_teacher(course, course / "teacher", own(course))


def with_cells(change: Callable[[list], object]) -> Callable[[Path], object]:
    def mutate(path: Path) -> None:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        change(notebook["cells"])
        path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")

    return mutate


MUTANTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "stale: a cell edited by hand": (with_cells(lambda c: c[1].update(source=["x = 2"])), "is not what"),
    "stale: a cell removed": (with_cells(lambda c: c.pop()), "is not what"),
    "stale: other metadata": (with_cells(lambda c: c[1]["metadata"].update(tags=["mine"])), "is not what"),
    "an output": (
        with_cells(lambda c: c[1].update(outputs=[{"output_type": "stream", "name": "stdout", "text": ["1"]}])),
        "cell 2 holds an output",
    ),
    "a run number": (with_cells(lambda c: c[2].update(execution_count=4)), "cell 3 holds an output or"),
    "a solution left in": (
        with_cells(lambda c: c[4].update(source=["def double(x):\n", "    return twice_as_much_as_before\n"])),
        "cell 5 gives a solution away",
    ),
    "a mark left in": (with_cells(lambda c: c[4].update(source=["### END SOLUTION"])), "cell 5 shows a mark"),
    "a dead link": (
        with_cells(lambda c: c[0].update(source=["[gone](99_gone.ipynb)"])),
        "cell 1 links to 99_gone.ipynb, which does not exist",
    ),
    "a dead module": (
        with_cells(lambda c: c[1].update(source=["import dlseg.nowhere"])),
        "cell 2 imports dlseg.nowhere, which does not exist",
    ),
    "a dead name": (
        with_cells(lambda c: c[1].update(source=["from dlseg.crf import nothing"])),
        "cell 2 imports nothing from dlseg.crf",
    ),
    "not Python": (with_cells(lambda c: c[1].update(source=["x = ("])), "cell 2 is not Python"),
    "missing": (Path.unlink, "is missing"),
    "empty": (lambda path: path.write_text(""), "is no notebook"),
    "cut short": (lambda path: path.write_text(path.read_text()[:90]), "is no notebook"),
    "not a notebook": (lambda path: path.write_text("[]"), "is no notebook"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_check_fails_on_a_mutant_and_build_heals_it(course: Path, name: str) -> None:
    mutate, message = MUTANTS[name]
    assert check(course, own(course)) == []
    mutate(course / "00_first.ipynb")
    faults = check(course, own(course))
    assert any(message in fault.message for fault in faults)
    assert all(fault.notebook.name == "00_first.ipynb" for fault in faults)
    result = CliRunner().invoke(main, ["course", "check", str(course), "--exercises", str(own(course))])
    assert result.exit_code == 1 and message in result.output
    build(course, own(course))
    assert check(course, own(course)) == []


# a source that is itself wrong makes a notebook that agrees with it and is still a fault
WRONG_SOURCES = {
    "the answer in the text": (
        ("Double a number.", "`twice_as_much_as_before = x * 2`, then return it."),
        "gives a solution away",
    ),
    "an end too few": (("    ### END SOLUTION\n", ""), "has no ### BEGIN SOLUTION"),
    "a second end": (("    ### END SOLUTION\n", "    ### END SOLUTION\n    ### END SOLUTION\n"), "shows a mark"),
    "a dead link": (("01_second.ipynb", "02_third.ipynb"), "links to 02_third.ipynb"),
    "an exercise that is not there": (
        ('"first.double"\ndef', '"first.triple"\ndef'),
        "'first.triple' is in no file",
    ),
    "an exercise left out": (('# %% exercise="first.double"\ndef', "# %%\ndef"), "has 0 cells for exercise"),
}


@pytest.mark.parametrize("name", WRONG_SOURCES)
def test_a_wrong_source_is_a_fault(course: Path, name: str) -> None:
    (old, new), message = WRONG_SOURCES[name]
    assert old in SOURCE
    (course / "source" / "00_first.py").write_text(SOURCE.replace(old, new))
    try:
        build(course, own(course))
        said = [fault.message for fault in check(course, own(course))]
    except CourseError as error:
        said = [str(error)]
    assert any(message in line for line in said), said


WEAK = {
    "no points": (
        ('Test("small", 2,', 'Test("small", 0,'),
        ('Test("large", 1,', 'Test("large", 0,'),
        "worth no points",
    ),
    "no hints": (('"One number.", ', ""), ("", ""), "has 2 hints"),
    "an empty hint": (('"Add it."', '""'), ("", ""), "has 3 hints, expected an idea"),
    "no open test": (('exact("whole")),\n', 'exact("whole"), hidden=True),\n'), ("", ""), "has no open test"),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_exercise_is_a_fault(course: Path, tmp_path: Path, name: str) -> None:
    first, second, message = WEAK[name]
    text = EXERCISES
    for old, new in (first, second):
        assert old in text
        text = text.replace(old, new, 1)
    weak = tmp_path / "weak"
    weak.mkdir()
    (weak / "first.py").write_text(text)
    build(course, weak)
    assert any(message in fault.message for fault in check(course, weak))


TWO = SOURCE.replace(
    "# %% [markdown] manual=",
    """# %% [markdown] exercise="first.triple"
# Triple it.

# %% exercise="first.triple"
def triple(x: int) -> int:
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION

# %% [markdown] manual=""",
)


@pytest.mark.parametrize("swapped", [False, True])
def test_exercises_stand_in_the_order_of_their_file(course: Path, tmp_path: Path, swapped: bool) -> None:
    """`standing` lists them in the file's order, a student meets them in the notebook's."""
    head, _, own = EXERCISES.partition("EXERCISES = [")
    first = own.rstrip().removesuffix("]")
    second = first
    for old, new in (("first.double", "first.triple"), ("double", "triple")):
        second = second.replace(old, new)
    triple = "def triple(x: int) -> int:\n    return x + x + x\n\n\n"
    order = (second, first) if swapped else (first, second)
    folder = tmp_path / "ordered"
    folder.mkdir()
    (folder / "first.py").write_text(head + triple + "EXERCISES = [" + ",\n".join(order) + "]\n")
    (course / "source" / "00_first.py").write_text(TWO)
    build(course, folder)
    said = [fault.message for fault in check(course, folder) if "order" in fault.message]
    assert bool(said) == swapped, said


@pytest.mark.parametrize("left", [0, 2])
def test_an_exercise_of_the_course_without_a_table_of_mistakes_is_a_fault(
    repo: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    table = dict(lint.wrong_answers())
    table["crf.energy"] = [wrong for wrong in table["crf.energy"] if wrong.cause][:left]
    monkeypatch.setattr(lint, "wrong_answers", lambda: table)
    said = [fault.message for fault in check(repo / "notebooks")]
    assert said == [f"exercise crf.energy has {left} typical mistakes that check explains, expected 3"]


def test_the_guides_and_the_course_agree_on_points(repo: Path) -> None:
    tables = (repo / "docs" / "teacher-guide.md").read_text(encoding="utf-8")
    manual = exercises = 0
    for source in sources(repo / "notebooks")[1:]:
        found = of_notebook(topic(source))
        marked = [c.metadata.nbgrader for c in solved(source).cells if "nbgrader" in c.metadata]
        by_hand = [m.points for m in marked if m.grade and m.solution]
        row = next(line for line in tables.splitlines() if line.startswith(f"| {source.stem[:2]} "))
        assert re.findall(r"\d+", row.split("|")[2])[: 1 + len(by_hand)] == [str(len(found)), *map(str, by_hand)], (
            row
        )
        assert row.split("|")[3].strip() == f"{sum(e.max_points for e in found):g}"
        manual, exercises = manual + sum(by_hand), exercises + len(found)
    guide = (repo / "docs" / "student-guide.md").read_text(encoding="utf-8")
    assert f"100 points in {exercises} exercises, and {manual} more" in guide and manual >= 10
    assert f"{exercises} exercises for 100 points" in (repo / "README.md").read_text(encoding="utf-8")


def test_an_edited_source_makes_its_notebook_stale(course: Path) -> None:
    (course / "source" / "01_second.py").write_text("# %%\nprint('three')\n")
    (fault,) = check(course, own(course))
    assert fault.notebook.name == "01_second.ipynb" and "is not what" in fault.message


def test_a_notebook_without_a_source_is_a_fault(course: Path) -> None:
    (course / "00_first.ipynb").write_text((course / "00_first.ipynb").read_text())
    (course / "02_stray.ipynb").write_text("{}")
    assert [str(fault) for fault in check(course, own(course))] == [
        f"{course / '02_stray.ipynb'}: has no source {course / 'source' / '02_stray'}.py"
    ]


def test_the_commands(course: Path, tmp_path: Path) -> None:
    (course / "01_second.ipynb").unlink()
    run, options = CliRunner(), ["--exercises", str(own(course))]
    result = run.invoke(main, ["course", "build", str(course), *options])
    assert (result.exit_code, result.output) == (0, f"wrote {course / '01_second.ipynb'}\n")
    assert "nothing to do" in run.invoke(main, ["course", "build", str(course), *options]).output
    assert run.invoke(main, ["course", "check", str(course), "--exercises", str(own(course))]).exit_code == 0
    result = run.invoke(main, ["course", "check", str(tmp_path / "nowhere")])
    assert result.exit_code == 1 and "folder: no sources" in result.output


def test_a_folder_without_sources_is_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="folder: no sources"):
        check(tmp_path)


def test_the_courses_own_notebooks(repo: Path) -> None:
    folder = repo / "notebooks"
    assert [str(fault) for fault in check(folder)] == []
    assert sum(path.stat().st_size for path in folder.glob("*.ipynb")) < 1_000_000
