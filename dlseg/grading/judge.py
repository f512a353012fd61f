"""From what a worker sent back to points: every test against its reference, in words for students."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from dlseg.grading import tolerance
from dlseg.grading.draws import Case
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.result import TestResult, plain
from dlseg.grading.sandbox.client import Outcome
from dlseg.grading.sandbox.job import Limits

Shown = dict[tuple[str, str], tuple[Any, Any]]
SHOWN = 256  # rows and columns of a picture
OUT_OF_MEMORY = ("MemoryError", "can't allocate memory", "Unable to allocate")
NO_ANSWER = "the worker sent what no answer looks like"
FORMS = (
    {"value"},
    {"raised", "message", "where"},
    {"too_large"},
    {"unusable"},
)


@dataclass(frozen=True)
class Judged:
    """What is judged: the exercise, its limits, and where values for pictures go."""

    exercise: Exercise
    limits: Limits
    shown: Shown


def judge(case: Judged, tests: list[Test], calls: list[Case], outcome: Outcome) -> Iterator[TestResult]:
    """Verdicts of the leading tests, up to and with the one in which the worker ended early."""
    answers = list(outcome.frames)
    if outcome.ended.cause == "output":  # what is raised then is that nobody reads on
        answers = list(takewhile(lambda answer: "raised" not in answer, answers))
    strange = not all(map(is_answer, answers))
    if strange or len(answers) > len(calls) or (outcome.violation and outcome.ended.cause == "exited"):
        why = outcome.violation or ("of another form" if strange else "too many answers")
        message = f"{NO_ANSWER} ({plain(why)})"
        yield from (TestResult(t.name, 0, t.points, "crashed", message) for t in tests)
        return
    first = 0
    for test in tests:
        mine = slice(first, first + test.runs)
        status, message = _test(case, test, calls[mine], answers[mine])
        cut_short = len(answers[mine]) < test.runs
        if cut_short and status == "passed":
            status, message = ending(outcome, case.exercise, case.limits)
        yield TestResult(test.name, test.points * (status == "passed"), test.points, status, plain(message))
        if cut_short:
            return
        first += test.runs


def is_answer(frame: dict[str, Any]) -> bool:
    """Whether a frame has a form that the worker sends; a student's code can send any frame that it likes."""
    words = [value for key, value in frame.items() if key != "value"]
    return set(frame) in FORMS and all(isinstance(word, str) for word in words)


def _test(case: Judged, test: Test, calls: list[Case], answers: list[dict[str, Any]]) -> tuple[str, str]:
    """The first wrong run's status and message; passed if there is none."""
    for call, answer in zip(calls, answers, strict=False):
        status, message = _verdict(case, test, call, answer)
        if status != "passed":
            return status, message
    return "passed", ""


def _verdict(case: Judged, test: Test, call: Case, answer: dict[str, Any]) -> tuple[str, str]:
    exercise = case.exercise
    if "raised" in answer:
        return raised(exercise, answer)
    if "too_large" in answer:
        return "limit", f"limit hit: {answer['too_large']}"
    if "unusable" in answer:
        return "failed", f"the result cannot be used: {answer['unusable']}"
    reference = call.expected
    own = answer.get("value")
    try:
        wrong = tolerance.difference(own, reference, test.tolerance)
    except Exception as error:  # the reference is there: only what the student gave back can be at fault
        return "failed", f"the result cannot be compared: {type(error).__name__}, expected {_named(reference)}"
    if wrong is None:
        return "passed", ""
    case.shown.setdefault((exercise.id, test.name), (_excerpt(own), _excerpt(reference)))
    return "failed", wrong


def _named(reference: Any) -> str:
    return f"an array of shape {reference.shape}" if isinstance(reference, np.ndarray) else type(reference).__name__


def _excerpt(value: Any) -> Any:
    """As much of an array as a picture shows, so that a class's wrong results do not fill the memory."""
    if not isinstance(value, np.ndarray):
        return None
    while value.ndim > 2 and len(value):
        value = value[0]
    return value[tuple(slice(0, SHOWN) for _ in value.shape)].copy()


def raised(exercise: Exercise, answer: dict[str, Any]) -> tuple[str, str]:
    """Status and message of an exception, of a call or of a cell."""
    message, where = str(answer.get("message", "")), str(answer.get("where", ""))
    if answer["raised"] == "NotImplementedError":
        return "missing", f"not attempted: {exercise.function} raises NotImplementedError"
    if any(words in message for words in OUT_OF_MEMORY):
        return "limit", f"out of memory: {message}"
    return "raised", f"your code raised {message}" + (f" ({where})" if where else "")


def ending(outcome: Outcome, exercise: Exercise, limits: Limits) -> tuple[str, str]:
    """Status and message of a worker that ended without an answer."""
    cause, status = outcome.ended.cause, outcome.ended.status
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    too_much = {
        "memory": f"more than {limits.memory_mb} MB of memory",
        "tasks": f"more than {limits.tasks} processes and threads",
        "files": f"more than {limits.files} files or {limits.files_mb} MB on disk",
        "output": outcome.violation,
    }
    # the kernel ends with SIGKILL who does not heed SIGXCPU
    killed_late = ended_by == signal.SIGKILL and outcome.ended.cpu > limits.seconds + limits.loading
    if cause == "wall" or ended_by == signal.SIGXCPU or killed_late:
        return "timeout", f"{exercise.id} took longer than {exercise.seconds:g} s"
    if cause in too_much:
        return "limit", f"limit hit: {too_much[cause]}"
    if ended_by == signal.SIGXFSZ:
        return "limit", f"limit hit: a file larger than {limits.files_mb} MB"
    code = os.waitstatus_to_exitcode(status)
    how = f"by {signal.Signals(ended_by).name}" if ended_by else f"with exit code {code}"
    return "crashed", f"your code ended the process {how} before giving back a result"
