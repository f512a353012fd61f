"""Draws the floors of the house from the imports: docs/floors.svg.

    python docs/floors.py

A part may import only from its own floor or from one below. An arrow says "imports"; an arrow that follows from
two others is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "dlseg"
PICTURE = HERE / "floors.svg"

# from the ground up; the words are what the picture says on the left
FLOORS: list[tuple[str, tuple[str, ...]]] = [
    ("what all share", ("common",)),
    ("the paper's ideas, on arrays", ("atrous", "receptive_field", "crf", "evaluation", "images")),
    ("networks and data", ("networks", "datasets")),
    ("using them", ("training", "predict")),
    ("seeing them", ("figures",)),
    ("moving them", ("widgets",)),
    ("teaching and grading", ("course", "grading")),
    ("the command line", ("cli", "__main__")),
]
FLOOR = {name: number for number, (_, names) in enumerate(FLOORS) for name in names}
BOX, HIGH, ACROSS, UP, LEFT = 180, 58, 30, 104, 200  # pixels


def imports(path: Path) -> Iterator[str]:
    """The parts of dlseg that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "dlseg" else [f"dlseg.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "dlseg" and len(parts) > 1 and parts[1] in FLOOR:
                yield parts[1]


def files_of(part: str) -> list[Path]:
    """The Python files of a part: a folder's, or the one file."""
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


def graph() -> dict[str, set[str]]:
    """Part → the other parts that it imports, without what follows from two others."""
    known = [part for part in FLOOR if part != "__main__"]
    direct = {part: {other for path in files_of(part) for other in imports(path)} - {part} for part in known}

    def reached(part: str) -> set[str]:
        return direct[part] | {far for other in direct[part] for far in reached(other)}

    return {
        part: {other for other in others if not any(other in reached(between) for between in others - {other})}
        for part, others in direct.items()
    }


def draw() -> str:
    """The picture, as SVG; readable on a light and on a dark page."""
    arrows = graph()
    rows = [(words, [name for name in names if name in arrows]) for words, names in FLOORS]
    wide = LEFT + max(len(names) for _, names in rows) * (BOX + ACROSS)
    high = len(rows) * UP + 20
    place: dict[str, tuple[float, float]] = {}
    behind, boxes = list[str](), list[str]()
    for number, (words, names) in enumerate(rows):
        top = high - (number + 1) * UP
        between = top + HIGH + 25
        behind.append(f'<line x1="0" x2="{wide}" y1="{between}" y2="{between}" class="floor"/>')
        behind.append(f'<text x="8" y="{top + HIGH / 2 + 5}" class="words">{escape(words)}</text>')
        free = wide - LEFT - len(names) * (BOX + ACROSS)
        for column, name in enumerate(names):
            x = LEFT + free / 2 + column * (BOX + ACROSS)
            place[name] = (x + BOX / 2, top)
            boxes += _box(name, x, top)
    # arrows lie under the boxes: one that passes a box goes behind it
    curves = [_arrow(place[part], place[other]) for part, others in arrows.items() for other in sorted(others)]
    return HEAD.format(wide=wide, high=high) + "\n".join(behind + curves + boxes) + "\n</svg>\n"


def _box(name: str, x: float, top: float) -> list[str]:
    files = files_of(name)
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    # rounded, so that the picture does not change with every line that is written
    count = f"{len(files)} file{'s' * (len(files) != 1)}, about {max(1, round(lines / 100)) * 100:,} lines"
    return [
        f'<rect x="{x}" y="{top}" width="{BOX}" height="{HIGH}" rx="6"/>',
        f'<text x="{x + BOX / 2}" y="{top + 25}" class="name">{name}</text>',
        f'<text x="{x + BOX / 2}" y="{top + 44}" class="small">{count}</text>',
    ]


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve from the foot of one box to the head of another; on one floor, from side to side."""
    (x1, y1), (x2, y2) = start, end
    if y1 == y2:
        side = BOX / 2 if x2 > x1 else -BOX / 2
        return f'<path d="M{x1 + side} {y1 + HIGH / 2} L{x2 - side} {y2 + HIGH / 2}" class="arrow"/>'
    y1 += HIGH
    middle = (y1 + y2) / 2
    return f'<path d="M{x1} {y1} C{x1} {middle} {x2} {middle} {x2} {y2 - 2}" class="arrow"/>'


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" \
aria-label="The floors of dlseg and which part imports which">
<style>
svg {{ background: #ffffff; font-family: sans-serif; }}
rect {{ fill: #eaf3fb; stroke: #0072b2; }}
.floor {{ stroke: #d0d0d0; stroke-dasharray: 3 4; }}
.words {{ fill: #404040; font-size: 13px; }}
.name {{ fill: #102030; font-size: 16px; font-weight: bold; text-anchor: middle; }}
.small {{ fill: #404040; font-size: 12px; text-anchor: middle; }}
.arrow {{ fill: none; stroke: #555555; stroke-width: 1.3; marker-end: url(#tip); }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0 L8 4 L0 8 z" fill="#555555"/></marker></defs>
"""


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(f"{PICTURE}: written")
