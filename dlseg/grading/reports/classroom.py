"""GitHub Classroom: the step output `result`, base64 of JSON version 3, as its reporter reads it."""

from __future__ import annotations

import base64
import json

from dlseg.grading.exercise import Exercise
from dlseg.grading.harness import Evidence
from dlseg.grading.result import WORDS, Result

MAX_OUTPUT = 500


def render(document: Result, exercises: list[Exercise], evidence: Evidence) -> str:
    """One line of base64."""
    whole = {
        "version": 3,
        "status": _status(document),
        "max_score": document.max_score,
        "tests": [
            {
                "name": f"{exercise.id}: {test.name}",
                "score": test.points,
                "status": {"passed": "pass", "grader_error": "error"}.get(test.status, "fail"),
                "message": f"{WORDS[test.status]}: {test.message}"[:MAX_OUTPUT] if test.message else "",
                "test_code": "",
                "filename": document.submission,
                "line_no": 0,
                "duration": 0,
            }
            for exercise in document.exercises
            for test in exercise.tests
        ],
    }
    return base64.b64encode(json.dumps(whole).encode()).decode() + "\n"


def _status(document: Result) -> str:
    if not document.complete:
        return "error"
    return "pass" if document.score == document.max_score else "fail"
