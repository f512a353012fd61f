"""The course's exercises by id, and by the notebook that they belong to."""

from __future__ import annotations

import difflib
import inspect
from functools import cache
from pathlib import Path

from dlseg.grading import exercise
from dlseg.grading.exercise import Exercise

EXERCISES = Path(__file__).parent / "exercises"
RUNGS = ("an idea", "the shape of it", "pseudo-code", "a worked solution")


@cache
def catalogue(folder: Path = EXERCISES) -> dict[str, Exercise]:
    """Every exercise of `folder` by id, in the order of its files."""
    return {found.id: found for found in exercise.load(folder)}


def find(name: str) -> Exercise:
    """The exercise `name`. ValueError for an id that does not exist, with the nearest ones that do."""
    known = catalogue()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or list(known)
        raise ValueError(f"no exercise is called {name!r}; is it one of {', '.join(near)}?")
    return known[name]


def of_notebook(topic: str, folder: Path = EXERCISES) -> list[Exercise]:
    """The exercises whose ids begin with `topic` and a dot: those of one notebook."""
    return [found for found in catalogue(folder).values() if found.id.split(".")[0] == topic]


def reference_text(found: Exercise) -> str:
    """The reference as it is written: slow, plain, right."""
    return inspect.getsource(found.reference).rstrip()
