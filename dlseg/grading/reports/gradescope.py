"""Gradescope's results.json: one entry per test, visible, with the total as their sum."""

from __future__ import annotations

import json
from typing import Any

from dlseg.grading.exercise import Exercise
from dlseg.grading.harness import Evidence
from dlseg.grading.result import WORDS, Result


def render(document: Result, exercises: list[Exercise], evidence: Evidence) -> str:
    """The text of results.json."""
    tests: list[dict[str, Any]] = []
    for number, exercise in enumerate(document.exercises, 1):
        for place, test in enumerate(exercise.tests, 1):
            tests.append(
                {
                    "name": f"{exercise.id}: {test.name}",
                    "number": f"{number}.{place}",
                    "score": test.points,
                    "max_score": test.max_points,
                    "status": "passed" if test.status == "passed" else "failed",
                    "output": "" if test.status == "passed" else f"{WORDS[test.status]}: {test.message}",
                    "output_format": "text",
                    "visibility": "visible",
                    "extra_data": {"status": test.status},
                }
            )
    whole = {
        "score": document.score,
        "execution_time": round(sum(e.seconds for e in document.exercises)),
        "output": f"Isolation: {document.isolation}. Seed: {document.seed}.",
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"seed": document.seed, "isolation": document.isolation},
        "tests": tests,
    }
    return json.dumps(whole, indent=1) + "\n"
