"""The class list: one row per submission, one column per exercise."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

from dlseg.grading.result import Result

DIVIDED = re.compile(r"(^|[;,])(\s*.)")


def render(documents: list[Result]) -> str:
    """CSV text with a heading; an exercise that the grader could not score is an empty cell."""
    ids = list(dict.fromkeys(e.id for document in documents for e in document.exercises))
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["submission", "score", "max_score", *ids])
    for document in documents:
        points = {e.id: e.points for e in document.exercises if e.status != "grader_error"}
        out.writerow(
            [inert(document.submission), document.score, document.max_score, *(points.get(i, "") for i in ids)]
        )
    return text.getvalue()


def inert(name: str) -> str:
    """A name that no spreadsheet takes for a formula, wherever it divides a line into cells.

    Some take full-width signs for plain ones, pass over blanks in front, or divide at semicolons (which packages
    that quote cells, such as defusedcsv, do not look at).
    """
    name = "".join(c if c.isprintable() else " " for c in name)
    return DIVIDED.sub(lambda found: found[1] + "'" + found[2] if _starts_formula(found[2]) else found[0], name)


def _starts_formula(text: str) -> bool:
    sign = unicodedata.normalize("NFKC", text.strip())[:1]
    return bool(sign) and sign in "=+-@|%"
