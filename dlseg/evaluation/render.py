"""One table, five ways to write it: for the terminal, a README, a spreadsheet, a program, a paper."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from typing import Literal, get_args

Format = Literal["text", "markdown", "csv", "json", "latex"]
FORMATS: tuple[Format, ...] = get_args(Format)
Number = float | int | None
Columns = Mapping[str, Mapping[str, Number]]


def render(columns: Columns, format: Format = "text", digits: int = 1) -> str:
    """A table of shares (0 … 1) in per cent: a line a measure, a column a labelling.

    Args:
        columns: `{labelling: {measure: share}}`; None and NaN are "–" (empty in CSV, null in JSON).
        format: "text", "markdown", "csv" (shares, not rounded), "json" (the same), or "latex": a row a labelling,
            its measures separated by `&`, as in the paper's tables.
        digits: after the point.

    Raises:
        ValueError: no such format, or columns with different measures.
    """
    if format not in FORMATS:
        raise ValueError(f"format: got {format!r}, expected one of {', '.join(FORMATS)}")
    measures = [list(column) for column in columns.values()]
    if any(names != measures[0] for names in measures):
        raise ValueError("columns: expected the same measures in each")
    if format == "json":
        known = {name: {k: _known(v) for k, v in column.items()} for name, column in columns.items()}
        return json.dumps(known, indent=2)
    if format == "csv":
        return _csv(columns)
    if format == "latex":
        return "\n".join(
            " & ".join([_escaped(name), *(_cell(v, digits, "--") for v in column.values())]) + r" \\"
            for name, column in columns.items()
        )
    rows = [[measure, *(_cell(column[measure], digits) for column in columns.values())] for measure in measures[0]]
    return _text(list(columns), rows) if format == "text" else _markdown(list(columns), rows)


def _text(names: list[str], rows: list[list[str]]) -> str:
    lines = [["per cent", *names], *rows]
    wide = [max(len(line[i]) for line in lines) + 2 for i in range(len(names) + 1)]
    return "\n".join(
        line[0].ljust(wide[0]) + "".join(c.rjust(w) for c, w in zip(line[1:], wide[1:], strict=True))
        for line in lines
    )


def _markdown(names: list[str], rows: list[list[str]]) -> str:
    lines = [["per cent", *names], ["---", *("---:" for _ in names)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _csv(columns: Columns) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["measure", *columns])
    for measure in next(iter(columns.values())):
        writer.writerow([measure, *("" if _known(c[measure]) is None else c[measure] for c in columns.values())])
    return out.getvalue().rstrip("\n")


def _cell(value: Number, digits: int, nothing: str = "–") -> str:
    return nothing if _known(value) is None else f"{100 * float(value or 0):.{digits}f}"


def _known(value: Number) -> Number:
    return None if value is None or math.isnan(value) else value


def _escaped(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, r"\textbackslash{}" if sign == "\\" else f"\\{sign}")
    return text
