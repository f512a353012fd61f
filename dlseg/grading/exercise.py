"""What an exercise is: a function's name, and tests that draw fresh inputs and know a reference.

A file of exercises is plain Python with a list `EXERCISES`; only the grader's own process reads it, so its
references and expected values never reach a submission. A submission is graded on the exercises of its own
notebook, or on those that the teacher names.
"""

from __future__ import annotations

import re
import runpy
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dlseg.grading.rules import RULES
from dlseg.grading.tolerance import Tolerance

Points = float | int
Difficulty = Literal["easy", "medium", "hard"]
Inputs = Callable[[np.random.Generator], tuple[Any, ...]]
ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


class ExerciseError(ValueError):
    """A file of exercises is wrong; the message says where."""


@dataclass(frozen=True)
class Test:
    """One graded property of a function: fresh draws of inputs must all agree with the reference.

    Attributes:
        name: what reports call it.
        points: what it is worth.
        inputs: draws the arguments of one call from a random generator.
        tolerance: how close an answer must be.
        runs: how many draws are tried.
        function: the function that is called; default: the exercise's.
        reference: its right answer; default: the exercise's.
        hidden: whether students see it only in the grade.

    >>> from dlseg.grading.tolerance import exact
    >>> test = Test("one digit", 1, lambda rng: (int(rng.integers(10)),), exact("whole numbers"))
    >>> test.draw(seed=1, exercise="demo.double", run=0) == test.draw(seed=1, exercise="demo.double", run=0)
    True
    """

    __test__ = False  # not a pytest class

    name: str
    points: Points
    inputs: Inputs
    tolerance: Tolerance
    runs: int = 2
    function: str | None = None
    reference: Callable[..., Any] | None = None
    hidden: bool = False

    def draw(self, seed: int, exercise: str, run: int) -> tuple[Any, ...]:
        """The arguments of one call; the same seed, exercise, test and run draw the same arguments.

        Args:
            seed: of the grading.
            exercise: the exercise's id.
            run: the number of the call, from 0.

        Returns:
            The arguments, in order.
        """
        names = zlib.crc32(f"{exercise}/{self.name}".encode())
        return self.inputs(np.random.default_rng([seed, names, run]))


@dataclass(frozen=True)
class Exercise:
    """A graded function (or a few), with its tests.

    Attributes:
        id: `notebook.name`.
        function: the name of the function that students write.
        reference: the right answer.
        tests: what is graded.
        seconds: the time that a worker may take.
        title: what students and reports call it.
        difficulty: "easy", "medium" or "hard".
        hints: an idea, a word on shapes, and pseudo-code; a fourth, the worked solution, is the reference's
            text.
        rules: names of `dlseg.grading.rules.RULES`: how the answer may not be written.

    >>> from dlseg.grading.tolerance import exact
    >>> tests = (Test("t", 2, lambda rng: (int(rng.integers(10)),), exact("whole numbers")),)
    >>> Exercise("demo.double", "double", lambda n: 2 * n, tests).topic
    'demo'
    """

    id: str
    function: str
    reference: Callable[..., Any]
    tests: tuple[Test, ...]
    seconds: Points = 10.0
    title: str = ""
    difficulty: Difficulty = "medium"
    hints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ExerciseError(f"exercise id must look like 'atrous.insert_holes', got {self.id!r}")
        names = [test.name for test in self.tests]
        if not names or len(set(names)) != len(names):
            raise ExerciseError(f"{self.id}: needs at least one test, each with its own name, got {names}")
        if unknown := [rule for rule in self.rules if rule not in RULES]:
            raise ExerciseError(f"{self.id}: rules: got {unknown[0]!r}, expected one of {', '.join(RULES)}")
        for test in self.tests:
            if test.points < 0 or test.runs < 1:
                raise ExerciseError(f"{self.id}/{test.name}: points must be >= 0 and runs >= 1")

    @property
    def max_points(self) -> Points:
        """The sum of the tests' points."""
        return sum(test.points for test in self.tests)

    @property
    def topic(self) -> str:
        """The notebook it belongs to: what stands before the id's first dot."""
        return self.id.partition(".")[0]

    @property
    def slug(self) -> str:
        """The id as notebook cell ids and nbgrader's grade_id allow it: letters, digits, '-' and '_'."""
        return self.id.replace(".", "-")

    @property
    def functions(self) -> tuple[str, ...]:
        """Every public function that the tests call."""
        return tuple(dict.fromkeys([self.function, *(t.function for t in self.tests if t.function)]))

    def answer(self, test: Test, arguments: tuple[Any, ...]) -> Any:
        """What the reference gives for these arguments.

        Args:
            test: the test that asks.
            arguments: of the call.

        Returns:
            The right result.
        """
        return (test.reference or self.reference)(*arguments)


def load(folder: Path) -> list[Exercise]:
    """All exercises of one file, or of a folder's `*.py` files in name order (not `_*.py`).

    Args:
        folder: the file or folder.

    Returns:
        The exercises, in order.

    Raises:
        ExerciseError: there are none, two have one id, or a file is wrong.

    >>> from dlseg.course.catalogue import EXERCISES
    >>> load(EXERCISES / "pooling.py")[0].id
    'pooling.max_pool2d'
    """
    files = [folder] if folder.is_file() else sorted(folder.glob("[!_]*.py"))
    found = [exercise for file in files for exercise in _from_file(file)]
    if not found:
        raise ExerciseError(f"no exercises in {folder}: expected *.py files with a list named EXERCISES")
    check_ids(found)
    return found


def check_ids(exercises: Iterable[Exercise]) -> None:
    """Refuse two exercises with one id.

    Args:
        exercises: those of one assignment.

    Raises:
        ExerciseError: two have one id.
    """
    seen: set[str] = set()
    for exercise in exercises:
        if exercise.id in seen:
            raise ExerciseError(f"two exercises have the id {exercise.id!r}")
        seen.add(exercise.id)


def _from_file(file: Path) -> list[Exercise]:
    try:
        listed = runpy.run_path(str(file)).get("EXERCISES", [])
    except Exception as error:
        raise ExerciseError(f"{file}: {type(error).__name__}: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(e, Exercise) for e in listed):
        raise ExerciseError(f"{file}: EXERCISES: got {listed!r}, expected a list of Exercise")
    return listed


def topics(exercises: Sequence[Exercise]) -> list[str]:
    """The notebooks that exercises belong to, in order: `atrous` of `atrous.insert_holes`.

    Args:
        exercises: in the course's order.

    Returns:
        Each topic once.
    """
    return list(dict.fromkeys(exercise.topic for exercise in exercises))


def topic_of(stem: str, exercises: Sequence[Exercise]) -> str:
    """The one topic that a file's name holds as a word: `smith_02_atrous` holds atrous.

    Args:
        stem: the file's name without its suffix.
        exercises: whose topics there are.

    Returns:
        The topic; '' where there is none, or more than one.
    """
    words = f"_{re.sub('[^a-z0-9]+', '_', stem.lower())}_"
    found = [topic for topic in topics(exercises) if f"_{topic}_" in words]
    return found[0] if len(found) == 1 else ""


def of_topic(exercises: Sequence[Exercise], topic: str) -> list[Exercise]:
    """The exercises of one topic; all of them for ''.

    Args:
        exercises: to choose from.
        topic: one of theirs, or ''.

    Returns:
        The chosen ones, in order.

    Raises:
        ExerciseError: there is no such topic.
    """
    chosen = [exercise for exercise in exercises if topic in ("", exercise.topic)]
    if not chosen:
        raise ExerciseError(f"assignment: got {topic!r}, expected one of {', '.join(topics(exercises))}")
    return chosen
