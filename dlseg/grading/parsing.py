"""What the statements of a cell bind and use. Runs in the sandbox: parsing hostile text can crash Python.

The answer is plain data that the parent may believe or not: a lie here changes only which of the student's
own statements the student's own worker will run.
"""

from __future__ import annotations

import ast
import dis
import warnings
from collections.abc import Iterator
from types import CodeType
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from dlseg.grading import rules

TRANSPARENT = ("%%time", "%%timeit", "%%capture", "%%prun", "%%debug")  # what they are given is run plainly
FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def parse(source: str) -> list[ast.stmt]:
    """The statements of a cell; what only IPython understands goes through its own transformer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source).body
        except SyntaxError:
            plain = to_python(source)
            if plain == source:
                raise
            return ast.parse(plain).body


def to_python(source: str) -> str:
    """The text with `%magic`, `!shell` and `name?` lines as calls, each line where it was."""
    first, _, rest = source.lstrip().partition("\n")
    lines = source.count("\n", 0, len(source) - len(source.lstrip()))
    if first.startswith("%%") and first.split()[0] in TRANSPARENT:
        return to_python("\n" * (lines + 1) + rest)
    # the transformer drops the lines before the first that is not blank
    return "\n" * lines + TransformerManager().transform_cell(source.lstrip("\n"))


def describe(source: str) -> dict[str, Any]:
    """`{"error": …}` for text that is not Python, else `{"statements": […]}`: what each binds and uses."""
    try:
        statements = [_statement(node) for node in parse(source)]
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return {"error": f"{type(error).__name__}{line}: {str(error).partition(' (<')[0]}"[:300]}
    return {"statements": statements}


def _statement(node: ast.stmt) -> dict[str, Any]:
    imported = isinstance(node, ast.Import | ast.ImportFrom)
    binds, mutates = _bindings(node)
    return {
        "kind": "import" if imported else "other",
        "binds": sorted(binds),
        "mutates": sorted(mutates - binds),
        "uses": sorted(_globals_of(compile(ast.Module([node], []), "<cell>", "exec", FLAGS, dont_inherit=True))),
        "defines": sorted(binds) if _is_definition(node) else [],
        "breaks": rules.broken(node),
        "stubs": [n.name for n in [node] if isinstance(n, ast.FunctionDef) and is_stub(n)],
    }


def _is_definition(node: ast.stmt) -> bool:
    """Whether it defines a function, by `def`, as a class or as a lambda."""
    given = isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
    return given or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _globals_of(code: CodeType) -> set[str]:
    """Global names that compiled code reads, in nested functions and classes too."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = [_globals_of(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return found.union(*inner)


def _bindings(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Names that a top-level statement binds, and names whose items or attributes it sets."""
    binds: set[str] = set()
    mutates: set[str] = set()
    for child in _own_scope(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            binds.add(child.name)
        elif isinstance(child, ast.Import | ast.ImportFrom):
            binds |= {(alias.asname or alias.name).split(".")[0] for alias in child.names}
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            binds.add(child.id)
        elif isinstance(child, ast.Attribute | ast.Subscript) and isinstance(child.ctx, ast.Store):
            mutates |= {root} if (root := _root(child)) else set()
    return binds, mutates


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and what it holds, without the bodies of functions, classes and comprehensions."""
    yield node
    inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
    closed = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    if not isinstance(node, inner | closed):
        for child in ast.iter_child_nodes(node):
            yield from _own_scope(child)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_stub(function: ast.FunctionDef) -> bool:
    """Whether nothing but a docstring, `...`, `pass` or `raise NotImplementedError` is in the body."""
    return all(_says_nothing(node) for node in function.body)


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise) and node.exc is not None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass)
