"""Reports: the result document in the forms that courses use. Each form is one small file beside this one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlseg.grading.exercise import Exercise
from dlseg.grading.harness import Evidence
from dlseg.grading.reports import class_page, classroom, gradebook_csv, gradescope, nbgrader, student_page
from dlseg.grading.result import Result, write

Render = Callable[[Result, list[Exercise], Evidence], str]


@dataclass(frozen=True)
class Report:
    """What is appended to the submission's name, and how the text is made."""

    suffix: str
    render: Render


SINGLE: dict[str, Report] = {
    "json": Report(".json", lambda document, exercises, evidence: document.to_json()),
    "gradescope": Report(".gradescope.json", gradescope.render),
    "classroom": Report(".classroom.txt", classroom.render),
    "nbgrader": Report(".nbgrader.json", nbgrader.render),
    "html": Report(".html", student_page.render),
}
KINDS = (*SINGLE, "csv")


def write_overview(out: Path, kinds: tuple[str, ...]) -> None:
    """The class list (`grades.csv`) and the class overview (`index.html`) from all results in `out`."""
    documents = []
    for path in sorted(out.glob("*.json")):
        if not path.name.startswith(".") and len(path.suffixes) == 1:
            with contextlib.suppress(OSError, ValueError):  # somebody else's file
                documents.append(Result.from_json(path.read_text(encoding="utf-8")))
    if "csv" in kinds:
        write(out / "grades.csv", gradebook_csv.render(documents))
    if "html" in kinds:
        write(out / "index.html", class_page.render(documents, out))
