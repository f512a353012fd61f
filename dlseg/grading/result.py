"""The result document, from which every report is made: one per submission, written as one step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dlseg.common.files import write_whole

Status = Literal["passed", "partial", "failed", "raised", "timeout", "limit", "crashed", "missing", "grader_error"]
WORDS = {
    "passed": "right",
    "partial": "partly right",
    "failed": "wrong result",
    "raised": "your code raised",
    "timeout": "took too long",
    "limit": "limit hit",
    "crashed": "ended before giving a result",
    "missing": "missing",
    "grader_error": "the grader failed, not your fault, not scored",
}


@dataclass(frozen=True)
class TestResult:
    """One test's result.

    Attributes:
        name: the test's.
        points: reached.
        max_points: what can be reached.
        status: how it ended.
        message: why points were lost.
        hidden: whether students do not see it beforehand.
    """

    __test__ = False

    name: str
    points: float | int
    max_points: float | int
    status: str
    message: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class ExerciseResult:
    """One exercise's result.

    Attributes:
        id: the exercise's.
        points: the sum of its tests' points.
        max_points: what can be reached.
        status: the one that sums up its tests'.
        reason: in one sentence.
        seconds: what it took.
        tests: their results.
        title: the exercise's.
    """

    id: str
    points: float | int
    max_points: float | int
    status: str
    reason: str
    seconds: float | int
    tests: list[TestResult]
    title: str = ""


@dataclass(frozen=True)
class Result:
    """One submission's result.

    Attributes:
        submission: its name.
        assignment: its name.
        seed: of the inputs that were drawn.
        isolation: the level of the sandbox.
        score: the points reached.
        max_score: what can be reached.
        exercises: their results.
        problem: why it has no points.
        digest: of the bytes that were graded.
        graded: when, in UTC.
    """

    submission: str
    assignment: str
    seed: int
    isolation: str
    score: float | int
    max_score: float | int
    exercises: list[ExerciseResult] = field(default_factory=list)
    problem: str = ""
    digest: str = ""
    graded: str = ""

    def to_json(self) -> str:
        """The document as text.

        Returns:
            JSON.
        """
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The inverse of to_json.

        Args:
            text: what `to_json` wrote.

        Returns:
            The result.

        Raises:
            ValueError: text that is no result document.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            exercises = [
                ExerciseResult(**{**e, "tests": [TestResult(**t) for t in e["tests"]]})
                for e in raw.pop("exercises")
            ]
            return cls(**raw, exercises=exercises)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a result document: {error}") from error

    @property
    def complete(self) -> bool:
        """Whether nothing has to be graded again: no exercise ended by the grader's own fault."""
        return all(e.status != "grader_error" for e in self.exercises)


def now() -> str:
    """The time as results and the journal note it: UTC, so that a later time sorts later.

    Returns:
        ISO 8601, with microseconds.
    """
    return datetime.now(UTC).isoformat(timespec="microseconds")


def summarize(tests: list[TestResult]) -> str:
    """The one status of an exercise: passed, partial, or the most telling of what went wrong.

    Args:
        tests: the results of an exercise's tests.

    Returns:
        The status.
    """
    statuses = {test.status for test in tests}
    if statuses == {"passed"}:
        return "passed"
    if "grader_error" in statuses:
        return "grader_error"
    if any(test.points > 0 for test in tests):
        return "partial"
    return next(s for s in ("raised", "timeout", "limit", "crashed", "failed", "missing") if s in statuses)


MAX_MESSAGE = 600


def plain(message: str) -> str:
    """Anybody's words made safe to print: no control characters, not too long.

    Args:
        message: text of any origin.

    Returns:
        One that is safe to print.
    """
    clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in message[: 2 * MAX_MESSAGE])
    return clean if len(clean) <= MAX_MESSAGE else clean[: MAX_MESSAGE - 1] + "…"


def file_stem(name: str) -> str:
    """What a submission's reports are called before their first dot: another name, another file.

    Dots are written as %2E, as `x.gradescope` would else share files with the reports of `x`; the names of the
    class's own pages get a % in front.

    Args:
        name: the submission's.

    Returns:
        The stem.
    """
    stem = name.replace("%", "%25").replace(".", "%2E")
    return f"%{stem}" if stem.casefold() in ("index", "grades") else stem


def write(path: Path, text: str) -> None:
    """Write a report whole or not at all; what UTF-8 cannot hold, half a pair of a student's text, becomes "?".

    Args:
        path: the file.
        text: its new content.
    """
    write_whole(path, text.encode(errors="replace"))
