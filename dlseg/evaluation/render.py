"""One table, five ways to write it: for the terminal, a README, a spreadsheet, a program, a paper."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Literal, get_args

from dlseg.common.checks import one_of
from dlseg.common.tables import TableFormat, table

Format = Literal[TableFormat, "json"]
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

    >>> print(render({"DeepLab": {"mean IoU": 0.598}, "DeepLab-CRF": {"mean IoU": None}}, "markdown"))
    | per cent | DeepLab | DeepLab-CRF |
    | --- | ---: | ---: |
    | mean IoU | 59.8 | – |
    """
    one_of("format", format, FORMATS)
    measures = [list(column) for column in columns.values()]
    if any(names != measures[0] for names in measures):
        raise ValueError("columns: expected the same measures in each")
    if format == "json":
        known = {name: {k: _known(v) for k, v in column.items()} for name, column in columns.items()}
        return json.dumps(known, indent=2)
    if format == "latex":
        lines = [[name, *(_cell(v, digits) for v in column.values())] for name, column in columns.items()]
        return table(["method", *measures[0]], lines, "latex")
    exact = format == "csv"
    rows = [
        [measure, *(_known(c[measure]) if exact else _cell(c[measure], digits) for c in columns.values())]
        for measure in measures[0]
    ]
    return table(["measure" if exact else "per cent", *columns], rows, format)


def _cell(value: Number, digits: int) -> str | None:
    return None if _known(value) is None else f"{100 * float(value or 0):.{digits}f}"


def _known(value: Number) -> Number:
    return None if value is None or math.isnan(value) else value
