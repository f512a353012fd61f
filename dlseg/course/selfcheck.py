"""`check(id)`: the open tests of an exercise, run where the student works, with pictures of what differs."""

from __future__ import annotations

import copy
import io
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dlseg.common.seeds import seed_all
from dlseg.course import parts
from dlseg.course.catalogue import find, of_notebook
from dlseg.course.hints import price_paid, record
from dlseg.course.verdict import Outcome, Standing, Verdict
from dlseg.grading import frames, tolerance
from dlseg.grading.draws import draw_cases
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.result import plain

SEED = 11  # a self-check gives the same numbers each time; the grader draws its own
DONE: dict[str, Verdict] = {}


@dataclass(frozen=True)
class Call:
    """One call of the student's function: its arguments, and the result as the grader would get it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seed: int = SEED


def check(exercise: str, function: Callable[..., Any] | None = None, *, hidden: bool = False) -> Verdict:
    """Try your answer to an exercise: right, wrong, raised or not attempted, with what to look at.

    The function is the one of the exercise's name in your notebook, or `function`. `hidden` runs the grader's
    other tests too (a teacher's notebook does). Raises ValueError for an exercise that does not exist.
    """
    found = find(exercise)
    # what a notebook's cells define lives in __main__
    names = vars(sys.modules["__main__"]) if function is None else {found.function: function}
    tests = [test for test in found.tests if hidden or not test.hidden]
    verdict = Verdict(found, tuple(_outcome(found, test, names) for test in tests), price_paid(found.id))
    DONE[found.id] = verdict
    if verdict.status == "passed":
        parts.keep(found, names[found.function])
    return verdict


def yours(exercise: str) -> Callable[..., Any]:
    """The function that you wrote for an exercise, for the cells that follow.

    It is looked for in this notebook and then among the answers of earlier notebooks that `check` found right
    It is looked for in this notebook, then among the answers of earlier notebooks that `check` found right
    stands in; a printed line says which it is.

    Raises:
        ValueError: an exercise that does not exist.

    >>> step = yours("crf.mean_field_step")
    mean_field_step: the library's, until yours is right
    """
    found = find(exercise)
    tests = [test for test in found.tests if not test.hidden]

    def right(function: Callable[..., Any]) -> bool:
        return all(_outcome(found, test, {found.function: function}).status == "passed" for test in tests)

    return parts.chosen(exercise, vars(sys.modules["__main__"]), right)


def standing(topic: str) -> Standing:
    """Where you stand in one notebook (`"atrous"`): each exercise, how its last check in this kernel ended, hints.

    Raises ValueError for a topic without exercises.
    """
    exercises = of_notebook(topic)
    if not exercises:
        raise ValueError(f"topic: no exercise's id begins with {topic!r}")
    return Standing(tuple((e, DONE.get(e.id), record().get(e.id, 0)) for e in exercises))


def _outcome(found: Exercise, test: Test, names: dict[str, Any]) -> Outcome:
    name = test.function or found.function
    function = names.get(name)
    if not callable(function):
        here = "is not defined here: run its cell first" if function is None else f"is {function!r}, no function"
        return Outcome(test, "missing", f"{name} {here}")
    for case in draw_cases(found, test, SEED):
        call = Call(function, case.arguments, case.seed)
        outcome = _try(found, test, call)
        if outcome.status != "passed":
            return outcome
    return Outcome(test, "passed")


def _try(found: Exercise, test: Test, call: Call) -> Outcome:
    arguments, seen = copy.deepcopy(call.arguments), described(call.arguments)
    seed_all(call.seed)
    try:
        own = call.function(*arguments)
    except NotImplementedError:
        return Outcome(test, "missing", f"not attempted: {call.function.__name__} raises NotImplementedError")
    except Exception as error:  # whatever a student's code may do is shown, never passed on
        return Outcome(test, "raised", f"your code raised {_where(error, call.function)}", seen)
    try:
        own = as_graded(own)
    except frames.FrameError as error:
        return Outcome(test, "failed", f"the result cannot be used: {error}", seen)
    seed_all(call.seed)
    reference = as_graded(found.answer(test, copy.deepcopy(call.arguments)))
    wrong = tolerance.difference(own, reference, test.tolerance)
    if wrong is None:
        return Outcome(test, "passed")
    return Outcome(test, "failed", plain(wrong), seen, (own, reference))


def as_graded(value: Any) -> Any:
    """A result as it reaches the grader: arrays, numbers, text, lists. FrameError for anything else."""
    frame = frames.decode(io.BytesIO(frames.encode({"value": value})).read)
    return None if frame is None else frame["value"]


def _where(error: Exception, function: Callable[..., Any]) -> str:
    """The error in a line, and the line of the student's own code that it came from."""
    said = plain(f"{type(error).__name__}: {error}".rstrip(": "))
    code = getattr(function, "__code__", None)
    own = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    return f"{said} (line {own[-1].lineno}: {own[-1].line or '…'})" if own else said


def described(arguments: tuple[Any, ...]) -> str:
    """The arguments of a call in one line: numbers as they are, arrays by shape."""
    return ", ".join(_describe(a) for a in arguments)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray | torch.Tensor):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        return f"{kind}{tuple(value.shape)}" if value.ndim else f"{value:g}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and any(isinstance(v, np.ndarray | torch.Tensor) for v in value):
        return f"[{', '.join(_describe(v) for v in value)}]"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"
