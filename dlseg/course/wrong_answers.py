"""Typical wrong answers of every exercise, in wrong/TOPIC.txt: what `check` compares a wrong result with.

Each is a cell headed `# %% id · what is wrong · N points` (the points that the grade gives it all the same). A
comment below the head is the sentence that a student reads whose answer behaves in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

FOLDER = Path(__file__).parent / "wrong"
HEAD = re.compile(r"# %% (\S+) · ([^·\n]+?)(?: · (\d+) points?)?\n(?:# ([^\n]+)\n)?")


class Wrong(NamedTuple):
    """A typical wrong answer: what is wrong, its code, the points that it earns, and the sentence for a student."""

    what: str
    text: str
    points: int
    cause: str

    def function(self, name: str) -> Callable[..., Any]:
        """The function `name` that the code defines."""
        import scipy.ndimage

        space: dict[str, Any] = {"np": np, "torch": torch, "scipy": scipy}
        exec(self.text, space)
        made: Callable[..., Any] = space[name]
        return made


@cache
def wrong_answers() -> dict[str, list[Wrong]]:
    """Every exercise's wrong answers by its id.

    >>> wrong_answers()["crf.energy"][0].cause
    'Every pair counts twice: (i, j) and (j, i) are one pair.'
    """
    found: dict[str, list[Wrong]] = {}
    for path in sorted(FOLDER.glob("*.txt")):
        _, *parts = HEAD.split(path.read_text(encoding="utf-8"))
        for name, what, points, cause, text in zip(*(parts[i::5] for i in range(5)), strict=True):
            found.setdefault(name, []).append(Wrong(what, text, int(points or 0), cause or ""))
    return found
