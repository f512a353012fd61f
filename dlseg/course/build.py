"""From one solved source, `source/NAME.py` (py:percent), to the student's notebook and the teacher's folder."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from dlseg.common.files import write_whole
from dlseg.course import notebook_source
from dlseg.course.catalogue import EXERCISES, RUNGS, of_notebook, reference_text
from dlseg.course.hints import rung_of
from dlseg.course.notebook_source import sources
from dlseg.grading.exercise import Exercise
from dlseg.grading.platforms import classroom_workflow, gradescope_zip
from dlseg.grading.reports.layout import page


def student_notebook(path: Path, exercises: Path = EXERCISES) -> str:
    """The text of the student's notebook that the source at `path` stands for."""
    return notebook_source.text_of(notebook_source.student(path, exercises))


def solved_notebook(path: Path, exercises: Path = EXERCISES) -> str:
    """The text of the solved notebook, with nbgrader's markers: what a teacher keeps and releases from."""
    return notebook_source.text_of(notebook_source.solved(path, exercises))


def build(folder: Path, exercises: Path = EXERCISES) -> list[Path]:
    """Write every student notebook of `folder`, each whole or not at all; returns the ones that changed."""
    changed = []
    for path in sources(folder):
        text, target = student_notebook(path, exercises), folder / f"{path.stem}.ipynb"
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write_whole(target, text)
            changed.append(target)
    return changed


def build_teacher(folder: Path, out: Path, exercises: Path = EXERCISES) -> list[Path]:
    """Write what only teachers may see into `out`; returns the files.

    `solved/` holds the solved notebooks (nbgrader's source versions), `solutions/` a page per notebook with
    every hint, picture and worked solution, `gradescope/` an autograder zip and `classroom/` a workflow for each.

    Raises:
        CourseError: `out` is, or lies in, the students' folder.
    """
    if folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise notebook_source.CourseError(
            f"out: {out} is in the students' folder {folder}; choose a folder elsewhere"
        )
    return [path for item in sources(folder) for path in _teachers_files(item, out, exercises)]


def _teachers_files(path: Path, out: Path, exercises: Path) -> Iterator[Path]:
    solved = out / "solved" / f"{path.stem}.ipynb"
    solved.parent.mkdir(parents=True, exist_ok=True)
    write_whole(solved, solved_notebook(path, exercises))
    yield solved
    topic = notebook_source.topic(path)
    if not (found := of_notebook(topic, exercises)):
        return
    for name in ("solutions", "gradescope", "classroom"):
        (out / name).mkdir(exist_ok=True)
    target = out / "solutions" / f"{path.stem}.html"
    write_whole(target, solution_page(path.stem, found, _answers(path, exercises)))
    yield target
    target = out / "gradescope" / f"{path.stem}.zip"
    gradescope_zip(target, exercises / f"{topic}.py")
    yield target
    target = out / "classroom" / f"{path.stem}.yml"
    classroom_workflow(target, f"notebooks/{path.stem}.ipynb", f"dlseg/course/exercises/{topic}.py")
    yield target


def _answers(path: Path, exercises: Path) -> dict[str, str]:
    """Exercise slug → the text of its answer's cell in the source."""
    return {
        cell.id: cell.source
        for cell in notebook_source.solved(path, exercises).cells
        if notebook_source.solutions(cell.source)
    }


def solution_page(name: str, found: list[Exercise], answers: dict[str, str]) -> str:
    """A page of every exercise: points, tests with their tolerance, the hints with their picture, two answers."""
    return page(
        f"{name}: solutions",
        f"<h1>{escape(name)}: solutions</h1>" + "".join(_solution(e, answers.get(e.slug, "")) for e in found),
    )


def _solution(found: Exercise, answer: str) -> str:
    tests = "".join(
        f"<tr><td>{escape(t.name)}{' (hidden)' if t.hidden else ''}<td>{t.tolerance.tier}: "
        f"{escape(t.tolerance.because)}<td class='number'>{t.points:g}</tr>"
        for t in found.tests
    )
    rungs = [rung_of(found, number) for number in range(1, len(RUNGS))]
    hints = "".join(
        f"<h3>Hint {r.rung}: {RUNGS[r.rung - 1]}</h3><pre>{escape(r.text)}</pre>"
        + (f"<img alt='a right result' src='{r.picture}'>" if r.picture else "")
        for r in rungs
    )
    return (
        f"<section class='good'><h2>{escape(found.title)} <span class='quiet'>{escape(found.id)}, "
        f"{found.max_points:g} points, {found.difficulty}</span></h2><table>{tests}</table>{hints}"
        f"<h3>Worked solution, as the last hint shows it</h3><pre>{escape(reference_text(found))}</pre>"
        f"<h3>The solved notebook's answer</h3><pre>{escape(answer)}</pre></section>"
    )
