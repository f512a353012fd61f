"""nbgrader: points per grade_id as floats, for test cells whose value is the number of points."""

from __future__ import annotations

import json

from dlseg.grading.exercise import Exercise
from dlseg.grading.harness import Evidence
from dlseg.grading.result import Result


def render(document: Result, exercises: list[Exercise], evidence: Evidence) -> str:
    """`{grade_id: points}`; an exercise that the grader could not score is left out."""
    scored = [e for e in document.exercises if e.status != "grader_error"]
    return json.dumps({e.id.replace(".", "-"): float(e.points) for e in scored}, indent=1) + "\n"
