"""`check(id)`: the open tests of an exercise, run where the student works, with pictures of what differs."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlseg.common.seeds import seed_all
from dlseg.course import parts
from dlseg.course.catalogue import catalogue, find, of_notebook
from dlseg.course.hints import price_paid, record
from dlseg.course.shown import at_once
from dlseg.course.verdict import Outcome, Standing, Verdict
from dlseg.course.wrong_answers import wrong_answers
from dlseg.grading import frames, rules, tolerance
from dlseg.grading.draws import draw_cases
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.result import plain

SHORT = 160  # characters of a call's arguments that are shown as they are
SEED = 11  # a self-check gives the same numbers each time; the grader draws its own
DONE: dict[str, Verdict] = {}


@dataclass(frozen=True)
class Call:
    """One call of the student's function: its arguments, and the result as the grader would get it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seed: int = SEED
    run: int = 0


def check(exercise: str, function: Callable[..., Any] | None = None, *, hidden: bool = False) -> Verdict:
    """Try your answer to an exercise: right, wrong, raised or not attempted, with what to look at.

    Args:
        exercise: the exercise's id.
        function: the answer; default: the function of the exercise's name in your notebook.
        hidden: whether to run the grader's other tests too, as a teacher's notebook does.

    Returns:
        What came of it; a notebook shows it.

    Raises:
        ValueError: an exercise that does not exist.
    """
    found = find(exercise)
    # what a notebook's cells define lives in __main__
    names = vars(sys.modules["__main__"]) if function is None else {found.function: function}
    tests = [test for test in found.tests if hidden or not test.hidden]
    outcomes = tuple(_outcome(found, test, names) for test in tests)
    cause = (
        "" if all(o.status == "passed" for o in outcomes) else likely_cause(found, names.get(found.function), tests)
    )
    verdict = Verdict(found, outcomes, price_paid(found.id), cause)
    DONE[found.id] = verdict
    if verdict.status == "passed":
        parts.keep(found, names[found.function])
    return verdict


def case(exercise: str, test: str, run: int) -> tuple[Any, ...]:
    """The arguments of one call of `check`: to make a call that failed again.

    Args:
        exercise: the exercise's id.
        test: the test's name.
        run: the number of its call, from 0.

    Returns:
        The arguments, in order.

    Raises:
        ValueError: an exercise, a test or a call that does not exist.

    >>> size, kernel, stride, padding, ceil_mode = case("pooling.output_size", "no padding", 0)
    >>> padding, ceil_mode
    (0, False)
    """
    found = find(exercise)
    tests = {item.name: item for item in found.tests if not item.hidden}
    if test not in tests:
        raise ValueError(f"test: got {test!r}, expected one of {', '.join(map(repr, tests))}")
    if run not in range(tests[test].runs):
        raise ValueError(f"run: got {run}, expected a whole number from 0 to {tests[test].runs - 1}")
    return copy.deepcopy(draw_cases(found, tests[test], SEED)[run].arguments)


def likely_cause(found: Exercise, function: Any, tests: list[Test]) -> str:
    """The sentence of the typical mistake that behaves as `function` does in every call; '' where none does.

    A mistake that raises an error is taken for the same where the error is of the same kind.
    """
    if not callable(function):
        return ""
    cases = [(test, item.arguments, item.seed) for test in tests for item in draw_cases(found, test, SEED)]
    own = [_result(function, arguments, seed) for _, arguments, seed in cases]
    for wrong in wrong_answers().get(found.id, []):
        if wrong.cause:
            mistake = wrong.function(found.function)
            if all(
                _same(result, _result(mistake, arguments, seed), test)
                for result, (test, arguments, seed) in zip(own, cases, strict=True)
            ):
                return wrong.cause
    return ""


def _result(function: Callable[..., Any], arguments: tuple[Any, ...], seed: int) -> Any:
    """What a call gives, or the kind of its error; what it prints is not shown."""
    seed_all(seed)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return as_graded(function(*copy.deepcopy(arguments)))
    except Exception as error:
        return type(error)


def _same(own: Any, mistake: Any, test: Test) -> bool:
    if isinstance(own, type) or isinstance(mistake, type):
        return own is mistake
    loose = replace(test.tolerance, finite=False)  # mistakes may be infinite, and alike in that
    return mistake is not None and tolerance.difference(own, mistake, loose) is None


def yours(exercise: str) -> Callable[..., Any]:
    """The function that you wrote for an exercise, for the cells that follow.

    It is looked for in this notebook, then among the answers of earlier notebooks that `check` found right. Where
    there is none that is right, the library's stands in; a printed line says which it is.

    Args:
        exercise: the exercise's id.

    Returns:
        The function.

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


def standing(topic: str = "") -> Standing:
    """Where you stand in one notebook: each exercise, how its last check in this kernel ended, hints.

    Args:
        topic: the part of the ids before the dot, such as "atrous"; "" is the whole course.

    Returns:
        The table; a notebook shows it at once.

    Raises:
        ValueError: a topic without exercises.
    """
    exercises = of_notebook(topic) if topic else list(catalogue().values())
    if not exercises:
        raise ValueError(f"topic: no exercise's id begins with {topic!r}")
    return at_once(Standing(tuple((e, DONE.get(e.id), record().get(e.id, 0)) for e in exercises)))


def _outcome(found: Exercise, test: Test, names: dict[str, Any]) -> Outcome:
    name = test.function or found.function
    function = names.get(name)
    if not callable(function):
        here = "is not defined here: run its cell first" if function is None else f"is {function!r}, no function"
        return Outcome(test, "missing", f"{name} {here}")
    if broken := rules.broken_by(function, found.rules):
        return Outcome(test, "failed", broken)
    for run, drawn in enumerate(draw_cases(found, test, SEED)):
        outcome = _try(found, test, Call(function, drawn.arguments, drawn.seed, run))
        if outcome.status != "passed":
            return outcome
    return Outcome(test, "passed")


def _try(found: Exercise, test: Test, call: Call) -> Outcome:
    arguments, seen = copy.deepcopy(call.arguments), again(found, test, call)
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


def again(found: Exercise, test: Test, call: Call) -> str:
    """The call as code that a student can paste into a cell; long arguments are fetched by `case`."""
    name = test.function or found.function
    text = ", ".join(repr(argument) for argument in call.arguments)
    plain_text = all(map(_is_plain, call.arguments)) and len(text) <= SHORT
    return f"{name}({text})" if plain_text else f'{name}(*case("{found.id}", "{test.name}", {call.run}))'


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, float, str)
