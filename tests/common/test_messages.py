"""Messages have one dialect: `name: got X, expected Y`."""

import ast
import re
from pathlib import Path

TURNED = re.compile(r"expected .*[,;] got |must be .*[,;] got ", re.DOTALL)


def texts(tree: ast.AST) -> list[tuple[int, str]]:
    """Every text in the code, with what an f-string puts in as {}; docstrings are texts too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values]
            found.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.value))
    return found


def test_what_came_is_said_before_what_was_expected(repo: Path) -> None:
    turned = [
        f"{path.relative_to(repo)}:{line}: {text}"
        for path in (repo / "dlseg").rglob("*.py")
        for line, text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if TURNED.search(text)
    ]
    assert not turned, "\n".join(turned)


def test_a_message_the_wrong_way_round_is_seen() -> None:
    tree = ast.parse("""raise ValueError(f"rate: expected at least {low}, got {rate}")""")
    assert any(TURNED.search(text) for _, text in texts(tree))
