"""The grader: a submission's functions run in a sandbox that knows no answers; this process keeps the score.

What a teacher needs for exercises of their own can be imported from here; `dlseg grade` does the rest.

>>> from dlseg.grading import Exercise, Test, exact
>>> double = Exercise(
...     id="demo.double",
...     function="double",
...     reference=lambda n: 2 * n,
...     tests=(Test("small numbers", 3, lambda rng: (int(rng.integers(1, 99)),), exact("whole numbers")),),
... )
>>> double.max_points
3
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlseg.grading.draws import weak_tests
    from dlseg.grading.exercise import Exercise, ExerciseError, Test, load
    from dlseg.grading.tolerance import exact, numeric, shape, statistical

PUBLIC = {
    "Exercise": "exercise",
    "ExerciseError": "exercise",
    "Test": "exercise",
    "load": "exercise",
    "exact": "tolerance",
    "numeric": "tolerance",
    "shape": "tolerance",
    "statistical": "tolerance",
    "weak_tests": "draws",
}
__all__ = [
    "Exercise",
    "ExerciseError",
    "Test",
    "exact",
    "load",
    "numeric",
    "shape",
    "statistical",
    "weak_tests",
]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: a sandbox loads this package without torch or exercises."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'dlseg.grading' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dlseg.grading.{PUBLIC[name]}"), name)
