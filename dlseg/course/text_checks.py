"""What `dlseg course check` reads in cells: leaks by structure, shadowed answers, measures, broken formulas."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from dlseg.course.notebook_source import solutions

STRUCTURE = 16  # nodes of a statement: a smaller one (x = x + 1) may stand elsewhere by chance
CONVENTION = re.compile(r"class|convention|absent|voc|present|\bnan\b", re.I)
MERGE = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?= |$)", re.M)  # what git leaves of a merge that was not finished
DOLLAR = re.compile(r"(?<![$\\])\$(?!\$)")  # begins or ends a formula in a line


def parsed(source: str) -> ast.Module | None:
    """A cell's code, without lines of magics and of the shell; None where it is no Python."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return None


def shape(statement: ast.AST) -> str:
    """A statement without its names: two that differ in names alone have one shape.

    >>> one, other = (ast.parse(text).body[0] for text in ("y = np.dot(a, b)", "out = numpy.dot(first, second)"))
    >>> shape(one) == shape(other)
    True
    """
    numbers: dict[str, int] = {}

    def number(name: str) -> str:
        return f"n{numbers.setdefault(name, len(numbers))}"

    copy = ast.parse(ast.unparse(statement))
    for node in ast.walk(copy):
        if isinstance(node, ast.Name):
            node.id = number(node.id)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = number(node.arg), None
    return ast.dump(copy)


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Every statement that is no definition, of at least `STRUCTURE` nodes."""
    for node in ast.walk(tree):
        whole = isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef)
        if whole and sum(1 for _ in ast.walk(node)) >= STRUCTURE:
            assert isinstance(node, ast.stmt)
            yield node


def leaks_by_structure(cells: list[Any], answers: list[Any]) -> Iterator[str]:
    """Statements of a cell that are a solution's with other names."""
    secret: dict[str, str] = {}
    for cell in answers:
        for text in solutions(cell.source):
            tree = parsed("def f():\n" + textwrap.indent(textwrap.dedent(text), "    "))
            for statement in _statements(tree) if tree else ():
                value = statement.value if isinstance(statement, ast.Return | ast.Assign) else None
                secret[shape(statement)] = ast.unparse(statement)
                if value is not None and sum(1 for _ in ast.walk(value)) >= STRUCTURE:
                    secret[shape(ast.Expr(value))] = ast.unparse(statement)
    for number, cell in enumerate(cells, 1):
        tree = parsed(cell.source) if cell.cell_type == "code" else None
        for statement in _statements(tree) if tree else ():
            candidates: list[ast.AST] = [statement]
            if isinstance(statement, ast.Return | ast.Assign) and statement.value is not None:
                candidates.append(ast.Expr(statement.value))
            for candidate in candidates:
                if (found := secret.get(shape(candidate))) is not None:
                    own = ast.unparse(statement)
                    yield f"cell {number} has the structure of a solution: {own} is like {found}"
                    break


def shadows(cells: list[Any], names: Iterable[str]) -> Iterator[str]:
    """Imports of a name that an exercise asks for: run again, they would take the answer's place."""
    asked = set(names)
    for number, cell in enumerate(cells, 1):
        tree = parsed(cell.source) if cell.cell_type == "code" else None
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    if (bound := alias.asname or alias.name.partition(".")[0]) in asked:
                        yield f"cell {number} imports {bound}, which an exercise asks for: use it by its module"


def measures(cells: list[Any]) -> Iterator[str]:
    """Cells that print mean IoU without a word on what they do with absent classes."""
    for number, cell in enumerate(cells, 1):
        tree = parsed(cell.source) if cell.cell_type == "code" else None
        printed = [
            ast.unparse(node)
            for node in (ast.walk(tree) if tree else ())
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        if any("mean IoU" in text for text in printed) and not any(CONVENTION.search(text) for text in printed):
            yield f"cell {number} prints mean IoU and does not say of which classes"


def formulas(cells: list[Any]) -> Iterator[str]:
    """Formulas in a quotation that go over a line's end: JupyterLab shows the next line's ">" in them."""
    for number, cell in enumerate(cells, 1):
        if cell.cell_type == "markdown":
            lines = cell.source.splitlines()
            for line, following in pairwise(lines):
                quoted = line.startswith(">") and following.startswith(">")
                if quoted and len(DOLLAR.findall(line)) % 2 and len(DOLLAR.findall(following)) % 2:
                    yield f"cell {number} has a quotation's mark inside a formula: {line} {following}"


def merge_marks(cells: list[Any]) -> Iterator[str]:
    """Cells with the marks of a merge that was not finished."""
    for number, cell in enumerate(cells, 1):
        if found := MERGE.search(cell.source):
            yield f"cell {number} holds {found[0]!r}, the mark of a merge that was not finished"
