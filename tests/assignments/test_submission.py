"""The grade of the file given with --submission: one test per exercise, failed where points were lost."""

import secrets
from pathlib import Path

import pytest

from dlseg.grading import exercise
from dlseg.grading.exercise import of_topic, topic_of
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import WORDS, ExerciseResult, Result
from dlseg.grading.sandbox.client import Sandbox


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "graded_id" in metafunc.fixturenames:
        config = metafunc.config
        if config.getoption("--submission", default=None) is None:
            metafunc.parametrize("graded_id", [])
        else:
            metafunc.parametrize("graded_id", [e.id for e in _assigned(config)])


def _assigned(config: pytest.Config) -> list[exercise.Exercise]:
    """The exercises that count: of the assignment named, or of the one that the file's name holds."""
    exercises = exercise.load(config.getoption("--exercises"))
    named = config.getoption("--assignment") or topic_of(config.getoption("--submission").stem, exercises)
    return of_topic(exercises, named)


@pytest.fixture(scope="module")
def graded(request: pytest.FixtureRequest, sandbox: Sandbox) -> Result:
    path: Path = request.config.getoption("--submission")
    seed = request.config.getoption("--seed")
    seed = secrets.randbelow(2**31) if seed is None else seed
    exercises = exercise.load(request.config.getoption("--exercises"))
    harness = Harness(exercises, sandbox, seed, request.config.getoption("--assignment"))
    if not path.exists():
        pytest.exit(f"--submission {path}: no such file", returncode=4)
    result = harness.grade(Item(path.stem, path))
    request.config.graded_summary = summary(result)  # type: ignore[attr-defined]
    return result


def summary(result: Result) -> list[str]:
    """What a student reads at the end: points, words, time and reasons."""
    lines = [
        f"{result.submission}: {result.score:g} of {result.max_score:g} points"
        f"  (seed {result.seed}, isolation {result.isolation})"
    ]
    for e in result.exercises:
        lines.append(f"  {e.id:28} {e.points:4g}/{e.max_points:<4g} {WORDS[e.status]:24} {e.seconds:6.2f} s")
        if e.status == "missing":
            lines.append(f"      {e.reason}")
        else:
            lines += [f"      {t.name}: {t.message}" for t in e.tests if t.status != "passed"]
    return lines


def test_exercise(graded: Result, graded_id: str) -> None:
    found: ExerciseResult = next(e for e in graded.exercises if e.id == graded_id)
    if found.status == "grader_error":
        pytest.skip(f"{WORDS['grader_error']}: {found.reason}")
    if found.points < found.max_points:
        pytest.fail(
            f"{found.points:g}/{found.max_points:g} points: {WORDS[found.status]}: {found.reason}", pytrace=False
        )
