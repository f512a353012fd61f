"""The harness: draws inputs, knows the answers, keeps the score. No student code runs in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dlseg.grading import judge, selection, submission
from dlseg.grading.assignment import of_topic, topic_of
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.intake import Item
from dlseg.grading.judge import Judged
from dlseg.grading.result import ExerciseResult, Result, TestResult, summarize
from dlseg.grading.sandbox.client import Sandbox, SandboxError
from dlseg.grading.sandbox.job import Limits
from dlseg.grading.selection import ReadCell, Selected
from dlseg.grading.submission import Cell, Submission

READ_LIMITS = Limits(seconds=20.0)
NOT_YET = "not graded yet"
EVERYTHING = "all exercises"


@dataclass
class Evidence:
    """What reports show beside the document: own and reference values of first wrong calls, the code."""

    shown: dict[tuple[str, str], tuple[Any, Any]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)


@dataclass
class Harness:
    """Grades one submission after another in one sandbox, with one seed."""

    exercises: list[Exercise]
    sandbox: Sandbox
    seed: int
    assignment: str = ""  # a topic that all are graded on; else each on the one that its file's name holds
    limits: Limits = field(default_factory=Limits)

    def grade(self, item: Item, tell: Callable[[Result, Evidence], None] | None = None) -> Result:
        """The result of one file; `tell` gets the document after every exercise (the rest 'not graded yet').

        A file that cannot be read has every exercise missing. The grader's own failures are `grader_error`.
        """
        evidence = Evidence()
        topic = self.assignment or topic_of(item.path.stem, self.exercises)
        exercises = of_topic(self.exercises, topic)
        done = [self._unscored(exercise, NOT_YET) for exercise in exercises]
        try:
            if item.problem:
                raise submission.SubmissionError(item.problem)
            handed_in = submission.read(item.path)
            evidence.sources = [cell.source for cell in handed_in.cells]
            cells: list[ReadCell] | str = self._read(handed_in)
        except submission.SubmissionError as error:
            cells = str(error)
        except SandboxError as error:
            return self._document(item, topic, [self._unscored(e, str(error)) for e in exercises])
        for index, exercise in enumerate(exercises):
            done[index] = self._exercise(exercise, cells, evidence)
            if tell:
                tell(self._document(item, topic, done), evidence)
        return self._document(item, topic, done)

    def _document(self, item: Item, topic: str, done: list[ExerciseResult]) -> Result:
        score, most = sum(e.points for e in done), sum(e.max_points for e in done)
        return Result(item.name, topic or EVERYTHING, self.seed, self.sandbox.isolation, score, most, list(done))

    def _unscored(self, exercise: Exercise, reason: str) -> ExerciseResult:
        return _without_points(exercise, "grader_error", reason)

    def _read(self, handed_in: Submission) -> list[ReadCell]:
        """What each cell binds and uses, parsed in the sandbox; one that crashes the parser costs itself."""
        found = self._parse(list(handed_in.cells))
        if found is None:
            unreadable = "SyntaxError: Python cannot read this cell"
            alone = ((cell, self._parse([cell])) for cell in handed_in.cells)
            found = [read[0] if read else ReadCell(cell, error=unreadable) for cell, read in alone]
        return found

    def _parse(self, cells: list[Cell]) -> list[ReadCell] | None:
        request = {"op": "read", "cells": [cell.source for cell in cells]}
        outcome = self.sandbox.run(request, READ_LIMITS)
        if len(outcome.frames) != 1 or len(described := outcome.frames[0].get("cells", ())) != len(cells):
            return None
        return [ReadCell(cell, tuple(d.get("statements", ())), d.get("error", ""))
                for cell, d in zip(cells, described, strict=True)]

    def _exercise(
        self, exercise: Exercise, cells: list[ReadCell] | str, evidence: Evidence
    ) -> ExerciseResult:
        start = time.monotonic()
        try:
            if isinstance(cells, str):
                return _without_points(exercise, "missing", cells)
            chosen = selection.select(exercise, cells)
            if chosen.status:
                return _without_points(exercise, chosen.status, chosen.reason)
            tests = list(self._tests(exercise, chosen, cells, evidence))
        except Exception as error:  # a wrong reference or a broken sandbox: the teacher's matter
            return self._unscored(exercise, f"{type(error).__name__}: {error}"[:300])
        worst = summarize(tests)
        reason = next((f"{t.name}: {t.message}" for t in tests if t.status != "passed"), "")
        whole = ExerciseResult(exercise.id, sum(t.points for t in tests), exercise.max_points, worst,
                               "; ".join(filter(None, (reason, chosen.note))), 0.0, tests)
        return replace(whole, seconds=round(time.monotonic() - start, 3))

    def _tests(
        self, exercise: Exercise, chosen: Selected, cells: list[ReadCell], evidence: Evidence
    ) -> Iterator[TestResult]:
        """Each test's verdict. A worker that dies costs the test it died in; a new one does the rest."""
        limits = replace(self.limits, seconds=exercise.seconds, threads=self.sandbox.threads)
        waiting = list(exercise.tests)
        while waiting:
            calls = [self._call(exercise, test, run) for test in waiting for run in range(test.runs)]
            request = _request(chosen, cells, calls, self.seed, limits)
            outcome = self.sandbox.run(request, limits)
            verdicts = list(judge.judge(Judged(exercise, limits, evidence.shown), waiting, calls, outcome))
            yield from verdicts
            waiting = waiting[len(verdicts):]
            if verdicts[-1].status == "timeout":
                yield from (TestResult(t.name, 0, t.points, "timeout", _late(exercise)) for t in waiting)
                return

    def _call(self, exercise: Exercise, test: Test, run: int) -> dict[str, Any]:
        return {
            "function": test.function or exercise.function,
            "arguments": list(test.draw(self.seed, exercise.id, run)),
            "seed": (self.seed + run) % 2**31,
        }


def _late(exercise: Exercise) -> str:
    return f"{exercise.id} had used its {exercise.seconds:g} s before this test"


def _without_points(exercise: Exercise, status: str, reason: str) -> ExerciseResult:
    tests = [TestResult(t.name, 0, t.points, status, reason) for t in exercise.tests]
    return ExerciseResult(exercise.id, 0, exercise.max_points, status, reason, 0.0, tests)


def _request(
    chosen: Selected, cells: list[ReadCell], calls: list[dict[str, Any]], seed: int, limits: Limits
) -> dict[str, Any]:
    future = any("annotations" in s["binds"] and s["kind"] == "import" for c in cells for s in c.statements)
    parts = [{"number": c.number, "source": c.source, "statements": picked} for c, picked in chosen.parts]
    return {"op": "run", "parts": parts, "calls": calls, "future": future, "seed": seed % 2**31,
            "threads": limits.threads}

