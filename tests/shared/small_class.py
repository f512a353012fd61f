"""A class with one small exercise, and the words that grade it."""

from pathlib import Path

EXERCISES = """
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact
tests = (Test("t", 2, lambda rng: (int(rng.integers(1, 100)),), exact("whole numbers")),)
EXERCISES = [Exercise("small.next", "next_one", lambda n: n + 1, tests, seconds=5)]
"""
RIGHT, WRONG = "def next_one(n):\n    return n + 1\n", "def next_one(n):\n    return n\n"


def make_class(folder: Path, submissions: dict[str, str]) -> Path:
    """The exercise in `tests/small.py`, submissions by name in `in/`."""
    (folder / "tests").mkdir()
    (folder / "tests" / "small.py").write_text(EXERCISES)
    (folder / "in").mkdir()
    for name, text in submissions.items():
        (folder / "in" / f"{name}.py").write_text(text)
    return folder


def grade_words(folder: Path, *more: str) -> list[str]:
    """`grade …`: the class's submissions into `out/`."""
    return ["grade", str(folder / "in"), "--out", str(folder / "out"), "--tests", str(folder / "tests"), *more]
