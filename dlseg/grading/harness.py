"""The harness: draws inputs, knows the answers, keeps the score. No student code runs in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dlseg.grading import judge, rules, selection, submission
from dlseg.grading.draws import Case, draw_cases
from dlseg.grading.exercise import Exercise, Test, of_topic, topic_of
from dlseg.grading.intake import Item
from dlseg.grading.judge import Judged
from dlseg.grading.result import ExerciseResult, Result, TestResult, now, plain, summarize
from dlseg.grading.sandbox.client import Outcome, Sandbox, SandboxError
from dlseg.grading.sandbox.job import Limits
from dlseg.grading.selection import Part, ReadCell
from dlseg.grading.submission import Cell, Submission

READ_LIMITS = Limits(seconds=10.0)  # for one reading, until a cell that cannot be read
READ_SECONDS = 30.0  # for all cells of one submission
READ_START = 0.05  # what each new reading counts at least
UNREADABLE = "SyntaxError: Python cannot read this cell"
MIN_SECONDS = 1.0  # of a new worker, so that what its cells need can be run
MAX_DEATHS = 4  # workers of one exercise that may end in cells of other exercises
NOT_YET = "not graded yet"
EVERYTHING = "all exercises"
NO_EXERCISE = "holds no exercise and no code of its own; hand in a lesson's notebook, such as 02_atrous.ipynb"


@dataclass
class Evidence:
    """What reports show beside the document: own and reference values of first wrong calls, the code."""

    shown: dict[tuple[str, str], tuple[Any, Any]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # exercise id → the cell that was graded


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
        evidence, problem = Evidence(), ""
        topic = self.assignment or topic_of(item.stem or item.path.stem, self.exercises)
        exercises = of_topic(self.exercises, topic)
        done = [self._unscored(exercise, NOT_YET) for exercise in exercises]
        try:
            if item.problem:
                raise submission.SubmissionError(item.problem)
            whole = item.content is None
            handed_in = submission.read(item.path) if whole else submission.parse(item.path, item.content or b"")
            if handed_in.is_notebook and all(c.handed_out and not c.claims for c in handed_in.cells):
                raise submission.SubmissionError(NO_EXERCISE)
            evidence.sources = [cell.source for cell in handed_in.cells]
            cells: Reading | str = Reading(self._read(handed_in), handed_in.is_notebook)
        except submission.SubmissionError as error:
            cells = problem = plain(str(error))
        except SandboxError as error:
            return self._document(item, topic, [self._unscored(e, str(error)) for e in exercises])
        except Exception as error:  # the file's fault: everything else that is read here is the grader's own
            cells = problem = (
                f"the file cannot be read as a submission: {plain(f'{type(error).__name__}: {error}')}"
            )
        for index, exercise in enumerate(exercises):
            done[index] = self._exercise(exercise, cells, evidence)
            if tell:
                tell(self._document(item, topic, done, problem), evidence)
        return self._document(item, topic, done, problem)

    def gave_up(self, item: Item, error: Exception) -> Result:
        """The document of a submission that the grader itself failed on: nothing is scored."""
        topic = self.assignment or topic_of(item.stem or item.path.stem, self.exercises)
        reason = f"{type(error).__name__}: {error}"
        return self._document(item, topic, [self._unscored(e, reason) for e in of_topic(self.exercises, topic)])

    def _document(self, item: Item, topic: str, done: list[ExerciseResult], problem: str = "") -> Result:
        return Result(
            item.name,
            topic or EVERYTHING,
            self.seed,
            self.sandbox.isolation,
            score=sum(e.points for e in done),
            max_score=sum(e.max_points for e in done),
            exercises=[self._named(result) for result in done],
            problem=problem,
            digest=item.digest,
            graded=now(),
        )

    def _named(self, result: ExerciseResult) -> ExerciseResult:
        """The result with what reports say of its exercise: the title, and which tests are hidden."""
        exercise = next(e for e in self.exercises if e.id == result.id)
        hidden = {test.name for test in exercise.tests if test.hidden}
        tests = [replace(test, hidden=test.name in hidden) for test in result.tests]
        return replace(result, title=exercise.title, tests=tests)

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
            left -= max(outcome.ended.cpu, outcome.ended.seconds / 3, READ_START)
        late = f"the cells before took more than {READ_SECONDS:g} s to read"
        return found + [ReadCell(cell, error=late) for cell in waiting]

    def _exercise(self, exercise: Exercise, cells: Reading | str, evidence: Evidence) -> ExerciseResult:
        start = time.monotonic()
        try:
            if isinstance(cells, str):
                return _without_points(exercise, "missing", cells)
            chosen = selection.select(exercise, cells.cells)
            if chosen.home is None:
                return _without_points(exercise, chosen.status, chosen.reason)
            evidence.answers[exercise.id] = chosen.home.cell.source
            for rule, code in selection.broken_rules(exercise, chosen.home, cells.cells):
                return _without_points(exercise, "failed", rules.message(rule, code))
            tests = Attempts(self, exercise, chosen.home, cells, evidence).run()
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

    def cases_of(self, exercise: Exercise, test: Test) -> list[Case]:
        """The runs of a test: drawn once, as they are the same for every submission of a seed."""
        key = (exercise.id, test.name)
        if key not in self.cases:
            self.cases[key] = draw_cases(exercise, test, self.seed)
        return self.cases[key]


@dataclass
class Reading:
    """A submission's cells as read; `careful`: those that took too long or ended a worker."""

    cells: list[ReadCell]
    is_notebook: bool
    careful: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Loaded:
    """What a worker said of the cells that it ran: errors by cell number, and answers that no cell gave."""

    errors: dict[int, dict[str, Any]]
    missing: list[str]


@dataclass
class Attempts:
    """One exercise of one submission: all cells are run; where that fails through no fault of the answer, fewer."""

    harness: Harness
    exercise: Exercise
    home: ReadCell
    reading: Reading
    evidence: Evidence
    verdicts: dict[str, TestResult] = field(default_factory=dict)
    unfounded: set[str] = field(default_factory=set)  # tests whose verdict is that cells could not be run

    def __post_init__(self) -> None:
        self.left = self.loading = float(self.exercise.seconds)

    def run(self) -> list[TestResult]:
        """Each test's verdict: the best of what was tried."""
        names, cells = self.exercise.functions, self.reading.cells
        sound = self._try(lambda: selection.everything(self.home, cells, self.reading.careful))
        if self._waiting() and self.left > 0 and selection.overwritten(names, self.home, cells):
            self._try(
                lambda: [
                    part
                    for part in selection.everything(self.home, cells, self.reading.careful)
                    if part.cell.number <= self.home.cell.number
                ]
            )
        if self._waiting() and self.left > 0 and not sound:
            self.loading = self.left
            self._try(lambda: selection.by_names(names, self.home, cells))
        return [self.verdicts[test.name] for test in self.exercise.tests]

    def _waiting(self) -> list[Test]:
        found = self.verdicts
        return [t for t in self.exercise.tests if t.name not in found or found[t.name].status != "passed"]

    def _try(self, parts: Callable[[], list[Part]]) -> bool:
        """Run cells and tests; a worker that dies costs the test it died in, a new one does the rest.

        Returns whether all cells ran without an error.
        """
        waiting, sound, deaths = self._waiting(), True, 0
        while waiting:
            limits = replace(
                self.harness.limits,
                seconds=max(self.left, MIN_SECONDS),
                loading=max(self.loading, MIN_SECONDS),
                threads=self.harness.sandbox.threads,
            )
            calls = [case for test in waiting for case in self.harness.cases_of(self.exercise, test)]
            outcome = self.harness.sandbox.run(self._request(parts(), waiting, limits), limits)
            run, loaded, answers = _split(outcome.frames)
            self.loading -= _used_by_cells(outcome)
            if loaded is None and not answers and run and run[-1] != self.home.cell.number and deaths < MAX_DEATHS:
                self.reading.careful.add(run[-1])  # the worker ended in another cell: without that one
                deaths, sound = deaths + 1, False
                continue
            if loaded is None or loaded.missing:
                self._could_not_run(waiting, outcome, loaded, limits)
                return False
            sound = sound and not loaded.errors
            self.reading.careful |= {
                n for n, e in loaded.errors.items() if e["slow"] and n != self.home.cell.number
            }
            judged = Judged(self.exercise, limits, self.evidence.shown)
            verdicts = list(judge.judge(judged, waiting, calls, replace(outcome, frames=answers)))
            strange = any(judge.NO_ANSWER in verdict.message for verdict in verdicts)  # perhaps of another cell
            sound = sound and not strange
            for verdict in verdicts:
                self._keep(verdict, founded=not strange)
            waiting = waiting[len(verdicts) :]
            self.left -= _used(outcome)  # a new worker does not start the clock again
            if verdicts[-1].status == "timeout" or self.left <= 0:
                self.left = min(self.left, 0.0)
                for test in waiting:
                    self._keep(TestResult(test.name, 0, test.points, "timeout", _late(self.exercise)))
                break
        return sound

    def _keep(self, verdict: TestResult, *, founded: bool = True) -> None:
        """The first verdict of a test stands, until it is right or another has better grounds."""
        name = verdict.name
        if name not in self.verdicts or verdict.status == "passed" or (name in self.unfounded and founded):
            self.verdicts[name] = verdict
            (self.unfounded.discard if founded else self.unfounded.add)(name)

    def _could_not_run(self, waiting: list[Test], outcome: Outcome, loaded: Loaded | None, limits: Limits) -> None:
        if loaded is None:
            strange = outcome.violation if outcome.ended.cause == "exited" else ""
            status, message = (
                ("crashed", f"{judge.NO_ANSWER} ({plain(strange)})")
                if strange
                else judge.ending(outcome, self.exercise, limits)
            )
        elif error := loaded.errors.get(self.home.cell.number):
            status, message = ("timeout", error["message"]) if error["slow"] else judge.raised(self.exercise, error)
        else:
            status = "missing"
            message = (
                f"cell {self.home.cell.number} was run but {', '.join(loaded.missing)} is not defined after it"
            )
        for test in waiting:
            self._keep(TestResult(test.name, 0, test.points, status, plain(message)), founded=False)

    def _request(self, parts: list[Part], tests: list[Test], limits: Limits) -> dict[str, Any]:
        cells = self.reading.cells
        return {
            "op": "run",
            "notebook": self.reading.is_notebook,
            "parts": [part.request(self.home.cell.number) for part in parts],
            "functions": list(self.exercise.functions),
            "wanted": sorted(selection.unbound(cells)),
            "future": any(
                "annotations" in s["binds"] and s["kind"] == "import" for c in cells for s in c.statements
            ),
            "calls": [
                {
                    "function": test.function or self.exercise.function,
                    "arguments": list(case.arguments),
                    "seed": case.seed,
                }
                for test in tests
                for case in self.harness.cases_of(self.exercise, test)
            ],
            "seed": self.harness.seed % 2**31,
            "loading": limits.loading,
            "seconds": limits.seconds * limits.threads,
            "threads": limits.threads,
        }


def _split(frames: list[dict[str, Any]]) -> tuple[list[int], Loaded | None, list[dict[str, Any]]]:
    """The numbers of the cells that a worker began, what it said after the last, and its answers."""
    numbers: list[int] = []
    while len(numbers) < len(frames) and set(frame := frames[len(numbers)]) == {"cell"}:
        if type(frame["cell"]) is not int:
            break
        numbers.append(frame["cell"])
    rest = frames[len(numbers) :]
    loaded = _loaded(rest[0]) if rest else None
    return numbers, loaded, rest[1:] if loaded else rest


def _loaded(frame: dict[str, Any]) -> Loaded | None:
    """What the worker said of the cells it ran; None for anything else that a student's code may have sent."""
    errors, missing = frame.get("errors"), frame.get("missing")
    if set(frame) != {"errors", "missing"} or not isinstance(errors, dict) or not isinstance(missing, list):
        return None
    whole = all(
        isinstance(e, dict)
        and set(e) == {"raised", "message", "where", "slow"}
        and all(isinstance(e[key], str) for key in ("raised", "message", "where"))
        and isinstance(e["slow"], bool)
        for e in errors.values()
    )
    if (
        not whole
        or not all(isinstance(name, str) for name in missing)
        or not all(n.isascii() and n.isdecimal() for n in errors)
    ):
        return None
    return Loaded({int(number[:9]): error for number, error in errors.items()}, missing)


def _used(outcome: Outcome) -> float:
    """Seconds that a worker took once its cells were run: of computing, or a third of those on the clock."""
    ended = outcome.ended
    seconds = ended.seconds - ended.loading_seconds
    return max(ended.cpu - ended.loading_cpu, (seconds - 2) / 3 if ended.cause == "wall" else seconds / 3)


def _used_by_cells(outcome: Outcome) -> float:
    return max(outcome.ended.loading_cpu, (outcome.ended.loading_seconds - 2) / 3)


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
    names = ("binds", "mutates", "uses", "defines", "stubs")
    return (
        isinstance(told, dict)
        and isinstance(told.get("kind"), str)
        and all(
            isinstance(told.get(key), list) and all(isinstance(name, str) for name in told[key]) for key in names
        )
        and isinstance(told.get("breaks"), dict)
        and all(isinstance(word, str) for pair in told["breaks"].items() for word in pair)
    )


def _late(exercise: Exercise) -> str:
    return f"{exercise.id} had used its {exercise.seconds:g} s before this test"


def _without_points(exercise: Exercise, status: str, reason: str) -> ExerciseResult:
    reason = plain(reason)
    tests = [TestResult(t.name, 0, t.points, status, reason) for t in exercise.tests]
    return ExerciseResult(exercise.id, 0, exercise.max_points, status, reason, 0.0, tests)
