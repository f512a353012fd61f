"""Tables of text: aligned for a terminal, Markdown, CSV, or rows of LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal, get_args

from dlseg.common.checks import one_of

TableFormat = Literal["text", "markdown", "csv", "latex"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)


def table(head: Sequence[object], rows: Sequence[Sequence[object]], format: str = "markdown", left: int = 1) -> str:
    r"""A table without a newline at its end.

    Args:
        head: the columns' names.
        rows: cells, written by `str`; None is "–", in CSV an empty cell, in LaTeX "--".
        format: "text" (columns aligned), "markdown", "csv", or "latex" (the rows alone, `&` between, `\\` after).
        left: how many columns are aligned to the left; the others, numbers, to the right.

    Raises:
        ValueError: no such format, or a row with another number of cells than the head.

    >>> print(table(["method", "mean IoU"], [["DeepLab", 59.8], ["DeepLab-CRF", None]], "text"))
    method       mean IoU
    DeepLab          59.8
    DeepLab-CRF         –
    """
    one_of("format", format, TABLE_FORMATS)
    if wrong := [row for row in rows if len(row) != len(head)]:
        raise ValueError(f"rows: got a row of {len(wrong[0])} cells, expected {len(head)}, as the head has")
    nothing = {"csv": "", "latex": "--"}.get(format, "–")
    lines = [[nothing if cell is None else str(cell) for cell in row] for row in (head, *rows)]
    if format == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(lines)
        return out.getvalue().rstrip("\n")
    if format == "latex":
        return "\n".join(" & ".join(map(_latex, line)) + r" \\" for line in lines[1:])
    if format == "markdown":
        lines = [[" ".join(cell.replace("|", r"\|").split("\n")) for cell in line] for line in lines]
        lines.insert(1, ["---" if i < left else "---:" for i in range(len(head))])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        [cell.ljust(wide[i]) if i < left else cell.rjust(wide[i]) for i, cell in enumerate(line)] for line in lines
    ]
    return "\n".join("  ".join(line).rstrip() for line in aligned)


# one pass over the text: what stands for one sign may hold others
_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)
