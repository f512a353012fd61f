"""`dlseg course check`: everything that keeps committed notebooks from being what their sources say, and sound."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlseg.course.build import student_notebook
from dlseg.course.catalogue import EXERCISES, of_notebook
from dlseg.course.claims import wrong_claims
from dlseg.course.notebook_source import MARKERS, execute, solutions, solved, solved_with_claims, sources, topic
from dlseg.course.text_checks import formulas, leaks_by_structure, measures, merge_marks, shadows
from dlseg.course.wrong_answers import wrong_answers
from dlseg.grading.draws import weak_tests
from dlseg.grading.exercise import Exercise

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
ELSEWHERE = re.compile(r"(https://|attachment:|mailto:)")
TELLING = 24  # characters of a line of code, without spaces: a shorter one may stand elsewhere by chance
HINTS = 3
CAUSES = 3  # typical mistakes of each exercise that `check` explains


@dataclass(frozen=True)
class Fault:
    """What is wrong with one committed notebook, and what to do about it."""

    notebook: Path
    message: str

    def __str__(self) -> str:
        return f"{self.notebook}: {self.message}"


def check(folder: Path, exercises: Path = EXERCISES, *, run: bool = False) -> list[Fault]:
    """Every fault of the notebooks in `folder`: stale, ran, leaking, dead links and imports, weak exercises.

    Args:
        folder: the notebooks, with `source/`.
        exercises: the folder of exercises.
        run: run the solved notebooks too, minutes in all, and compare the numbers that their texts state with what
            the cells compute (`dlseg.course.claims`).
    """
    wanted = {folder / f"{path.stem}.ipynb": path for path in sources(folder)}
    faults = [
        Fault(path, f"has no source {folder / 'source' / path.stem}.py")
        for path in sorted(folder.glob("*.ipynb"))
        if path not in wanted
    ]
    for path, source in wanted.items():
        faults += [Fault(path, message) for message in _faults(path, source, exercises)]
        faults += [Fault(path, message) for message in (claim_faults(source, exercises) if run else ())]
    return faults


def claim_faults(source: Path, exercises: Path = EXERCISES) -> list[str]:
    """Run a solved notebook, in a folder that is thrown away: what its texts claim and its cells contradict."""
    notebook = solved_with_claims(source, exercises)
    execute(notebook, allow_errors=True)
    return list(wrong_claims(notebook))


def _faults(path: Path, source: Path, exercises: Path) -> list[str]:
    import nbformat

    if not path.is_file():
        return ["is missing: run `dlseg course build`"]
    text = path.read_text(encoding="utf-8")
    try:
        cells = nbformat.reads(text, as_version=4).cells
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        return [f"is no notebook ({error}): run `dlseg course build`"]
    ran = [
        f"cell {number} holds an output or a run number: run `dlseg course build`"
        for number, cell in enumerate(cells, 1)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)
    ]
    stale = (
        []
        if ran or text == student_notebook(source, exercises)
        else [f"is not what {source} says: edit the source, then run `dlseg course build`"]
    )
    whole = solved(source, exercises)
    return [
        *ran,
        *stale,
        *_leaks(cells, whole.cells),
        *leaks_by_structure(cells, whole.cells),
        *shadows(cells, [found.function for found in of_notebook(topic(source), exercises)]),
        *measures(cells),
        *formulas(cells),
        *merge_marks(cells),
        *_links(cells, path.parent),
        *_imports(cells),
        *_exercises(whole.cells, of_notebook(topic(source), exercises), exercises),
    ]


def _leaks(cells: list[Any], answers: list[Any]) -> Iterator[str]:
    """Lines of a solution, or the marks around one, in a student's cells."""
    secret = {
        _dense(line): line.strip()
        for cell in answers
        for text in solutions(cell.source)
        for line in text.splitlines()
        if len(_dense(line)) >= TELLING and not line.strip().startswith("#")
    }
    for number, cell in enumerate(cells, 1):
        if MARKERS.search(cell.source):
            yield f"cell {number} shows a mark of solutions or hidden tests: is one of a pair missing?"
        shown = _dense(cell.source)
        for dense, line in secret.items():
            if dense in shown:
                yield f"cell {number} gives a solution away: {line}"


def _dense(text: str) -> str:
    return re.sub(r"\s", "", text)


def _links(cells: list[Any], folder: Path) -> Iterator[str]:
    for number, cell in enumerate(cells, 1):
        if cell.cell_type == "markdown":
            for target in LINK.findall(cell.source):
                if not ELSEWHERE.match(target) and not (folder / target).exists():
                    yield f"cell {number} links to {target}, which does not exist"


def _imports(cells: list[Any]) -> Iterator[str]:
    for number, cell in enumerate(cells, 1):
        if cell.cell_type != "code":
            continue
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError as error:
            yield f"cell {number} is not Python: {error.msg} in line {error.lineno}"
            continue
        for module, name in _imported(nodes):
            if not _exists(module, name):
                yield f"cell {number} imports {f'{name} from ' if name else ''}{module}, which does not exist"


def _imported(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def _exists(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
        return not name or hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}") is not None
    except ImportError:
        return False


def _exercises(cells: list[Any], known: list[Exercise], exercises: Path) -> Iterator[str]:
    asked = [cell.id for cell in cells if solutions(cell.source)]
    for found in known:
        if asked.count(found.slug) != 1:
            yield f"has {asked.count(found.slug)} cells for exercise {found.id}, expected one"
        if not found.max_points > 0:
            yield f"exercise {found.id} is worth no points"
        if len(found.hints) != HINTS or not all(found.hints):
            yield f"exercise {found.id} has {len(found.hints)} hints, expected an idea, shapes and pseudo-code"
        if all(test.hidden for test in found.tests):
            yield f"exercise {found.id} has no open test: a student could check nothing"
        yield from (f"exercise {weak}" for weak in weak_tests(found))
        explained = sum(bool(wrong.cause) for wrong in wrong_answers().get(found.id, []))
        if exercises == EXERCISES and explained < CAUSES:
            yield f"exercise {found.id} has {explained} typical mistakes that check explains, expected {CAUSES}"
    strange = set(asked) - {found.slug for found in known}
    yield from (f"has a cell for {name}, an exercise of another notebook" for name in sorted(strange))
