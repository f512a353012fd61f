"""The harness: draws inputs, knows the answers, keeps the score. No student code runs in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dlseg.grading import judge, selection, submission
from dlseg.grading.assignment import of_topic, topic_of
from dlseg.grading.draws import Case, draw_cases
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.intake import Item
from dlseg.grading.judge import Judged
from dlseg.grading.result import ExerciseResult, Result, TestResult, plain, summarize
from dlseg.grading.sandbox.client import Outcome, Sandbox, SandboxError
from dlseg.grading.sandbox.job import Limits
from dlseg.grading.selection import ReadCell, Selected
from dlseg.grading.submission import Cell, Submission

READ_LIMITS = Limits(seconds=10.0)  # for one reading, until a cell that cannot be read
READ_SECONDS = 30.0  # for all cells of one submission
READ_START = 0.05  # what each new reading counts at least
UNREADABLE = "SyntaxError: Python cannot read this cell"
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
    cases: dict[tuple[str, str], list[Case]] = field(default_factory=dict, repr=False)

    def grade(self, item: Item, tell: Callable[[Result, Evidence], None] | None = None) -> Result:
        """The result of one file; `tell` gets the document after every exercise (the rest 'not graded yet').

        A file that cannot be read has every exercise missing. The grader's own failures are `grader_error`.
        """
        evidence = Evidence()
        topic = self.assignment or topic_of(item.stem or item.path.stem, self.exercises)
        exercises = of_topic(self.exercises, topic)
        done = [self._unscored(exercise, NOT_YET) for exercise in exercises]
        try:
            if item.problem:
                raise submission.SubmissionError(item.problem)
            handed_in = submission.read(item.path)
            evidence.sources = [cell.source for cell in handed_in.cells]
            cells: list[ReadCell] | str = self._read(handed_in)
        except submission.SubmissionError as error:
            cells = plain(str(error))
        except SandboxError as error:
            return self._document(item, topic, [self._unscored(e, str(error)) for e in exercises])
        except Exception as error:  # the file's fault: everything else that is read here is the grader's own
            cells = f"the file cannot be read as a submission: {plain(f'{type(error).__name__}: {error}')}"
        for index, exercise in enumerate(exercises):
            done[index] = self._exercise(exercise, cells, evidence)
            if tell:
                tell(self._document(item, topic, done), evidence)
        return self._document(item, topic, done)

    def gave_up(self, item: Item, error: Exception) -> Result:
        """The document of a submission that the grader itself failed on: nothing is scored."""
        topic = self.assignment or topic_of(item.stem or item.path.stem, self.exercises)
        reason = f"{type(error).__name__}: {error}"
        return self._document(item, topic, [self._unscored(e, reason) for e in of_topic(self.exercises, topic)])

    def _document(self, item: Item, topic: str, done: list[ExerciseResult]) -> Result:
        score, most = sum(e.points for e in done), sum(e.max_points for e in done)
        return Result(item.name, topic or EVERYTHING, self.seed, self.sandbox.isolation, score, most, list(done))

    def _unscored(self, exercise: Exercise, reason: str) -> ExerciseResult:
        return _without_points(exercise, "grader_error", reason)

    def _read(self, handed_in: Submission) -> list[ReadCell]:
        """What each cell binds and uses, parsed in the sandbox; one that crashes the parser costs itself."""
        found: list[ReadCell] = []
        waiting, left = list(handed_in.cells), READ_SECONDS
        while waiting and left > 0:
            limits = replace(READ_LIMITS, seconds=min(left, READ_LIMITS.seconds))
            outcome = self.sandbox.run({"op": "read", "cells": [cell.source for cell in waiting]}, limits)
            found += map(_understood, waiting, outcome.frames)
            waiting = waiting[len(outcome.frames) :]
            if waiting:
                found.append(ReadCell(waiting.pop(0), error=UNREADABLE))
            left -= max(_used(outcome), READ_START)
        late = f"the cells before took more than {READ_SECONDS:g} s to read"
        return found + [ReadCell(cell, error=late) for cell in waiting]

    def _exercise(self, exercise: Exercise, cells: list[ReadCell] | str, evidence: Evidence) -> ExerciseResult:
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
        whole = ExerciseResult(
            exercise.id,
            sum(t.points for t in tests),
            exercise.max_points,
            worst,
            "; ".join(filter(None, (reason, chosen.note))),
            0.0,
            tests,
        )
        return replace(whole, seconds=round(time.monotonic() - start, 3))

    def _tests(
        self, exercise: Exercise, chosen: Selected, cells: list[ReadCell], evidence: Evidence
    ) -> Iterator[TestResult]:
        """Each test's verdict. A worker that dies costs the test it died in; a new one does the rest."""
        waiting, left = list(exercise.tests), float(exercise.seconds)
        while waiting:
            limits = replace(self.limits, seconds=left, threads=self.sandbox.threads)
            calls = [case for test in waiting for case in self._cases(exercise, test)]
            asked = [
                {
                    "function": test.function or exercise.function,
                    "arguments": list(case.arguments),
                    "seed": case.seed,
                }
                for test in waiting
                for case in self._cases(exercise, test)
            ]
            request = _request(chosen, cells, asked, self.seed, limits)
            outcome = self.sandbox.run(request, limits)
            verdicts = list(judge.judge(Judged(exercise, limits, evidence.shown), waiting, calls, outcome))
            yield from verdicts
            waiting = waiting[len(verdicts) :]
            left -= _used(outcome)  # a new worker does not start the clock again
            if verdicts[-1].status == "timeout" or left <= 0:
                yield from (TestResult(t.name, 0, t.points, "timeout", _late(exercise)) for t in waiting)
                return

    def _cases(self, exercise: Exercise, test: Test) -> list[Case]:
        """The runs of a test: drawn once, as they are the same for every submission of a seed."""
        key = (exercise.id, test.name)
        if key not in self.cases:
            self.cases[key] = draw_cases(exercise, test, self.seed)
        return self.cases[key]


def _used(outcome: Outcome) -> float:
    """Seconds of its budget that a worker took: of computing, or a third of those on the clock."""
    ended = outcome.ended
    return max(ended.cpu, (ended.seconds - 2) / 3 if ended.cause == "wall" else ended.seconds / 3)


def _understood(cell: Cell, frame: dict[str, Any]) -> ReadCell:
    """What the sandbox said of one cell; what is no such description is an unreadable cell."""
    told = frame.get("cell")
    if isinstance(told, dict) and isinstance(told.get("error"), str):
        return ReadCell(cell, error=plain(told["error"]))
    statements = told.get("statements") if isinstance(told, dict) else None
    if not isinstance(statements, list) or not all(map(_is_statement, statements)):
        return ReadCell(cell, error=UNREADABLE)
    return ReadCell(cell, tuple(statements))


def _is_statement(told: Any) -> bool:
    names = ("binds", "mutates", "uses", "stubs")
    return (
        isinstance(told, dict)
        and isinstance(told.get("kind"), str)
        and all(
            isinstance(told.get(key), list) and all(isinstance(name, str) for name in told[key]) for key in names
        )
    )


def _late(exercise: Exercise) -> str:
    return f"{exercise.id} had used its {exercise.seconds:g} s before this test"


def _without_points(exercise: Exercise, status: str, reason: str) -> ExerciseResult:
    reason = plain(reason)
    tests = [TestResult(t.name, 0, t.points, status, reason) for t in exercise.tests]
    return ExerciseResult(exercise.id, 0, exercise.max_points, status, reason, 0.0, tests)


def _request(
    chosen: Selected, cells: list[ReadCell], calls: list[dict[str, Any]], seed: int, limits: Limits
) -> dict[str, Any]:
    future = any("annotations" in s["binds"] and s["kind"] == "import" for c in cells for s in c.statements)
    parts = [{"number": c.number, "source": c.source, "statements": picked} for c, picked in chosen.parts]
    return {
        "op": "run",
        "parts": parts,
        "calls": calls,
        "future": future,
        "seed": seed % 2**31,
        "threads": limits.threads,
    }
