"""The class list: one row per submission, one column per exercise."""

from __future__ import annotations

import csv
import io

from dlseg.grading.result import Result


def render(documents: list[Result]) -> str:
    """CSV text with a heading; an exercise that the grader could not score is an empty cell."""
    ids = list(dict.fromkeys(e.id for document in documents for e in document.exercises))
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["submission", "score", "max_score", *ids])
    for document in documents:
        points = {e.id: e.points for e in document.exercises if e.status != "grader_error"}
        out.writerow([_inert(document.submission), document.score, document.max_score,
                      *(points.get(i, "") for i in ids)])
    return text.getvalue()


def _inert(name: str) -> str:
    """A name that a spreadsheet will not take for a formula."""
    return "'" + name if name[:1] in "=+-@\t\r" else name
