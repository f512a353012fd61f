"""`yours(id)`: a function that the student wrote, for later cells and notebooks to use.

`check` keeps the text of every right answer in `parts.json`, beside the notebook. Where there is none, or it is no
longer right, the library's own stands in, and a line says so.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dlseg.common.files import write_whole
from dlseg.course.catalogue import find
from dlseg.grading.exercise import Exercise

FILE = Path("parts.json")


def keep(found: Exercise, function: Callable[..., Any]) -> None:
    """Note the text of an answer that is right. A function without one (typed at a prompt) is not kept."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        write_whole(FILE, json.dumps({**kept(), found.id: text}, indent=1) + "\n")
    except (OSError, TypeError, ValueError):
        return


def kept() -> dict[str, str]:
    """Every answer's text by its exercise. A damaged file counts as none."""
    return texts_in(FILE)


def texts_in(path: Path) -> dict[str, str]:
    """The texts of a JSON object by their keys; none where the file is not there, or damaged."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = read.items() if isinstance(read, dict) else ()
    return {key: text for key, text in texts if isinstance(text, str)}


def remembered(found: Exercise) -> Callable[..., Any] | None:
    """The student's function from an earlier notebook, made from its text; None where there is none that runs."""
    text = kept().get(found.id)
    names: dict[str, Any] = {"np": np, "torch": torch, "F": functional, "__name__": "parts"}
    if text is None:
        return None
    try:
        exec(
            compile(text, f"<your {found.function}>", "exec"), names
        )  # the student's own code, on their own machine
    except Exception:
        return None
    made = names.get(found.function)
    return made if callable(made) else None


def chosen(exercise: str, here: dict[str, Any], right: Callable[[Callable[..., Any]], bool]) -> Callable[..., Any]:
    """The student's function: of this notebook (`here`), else of an earlier one; else the library's, with a line.

    Args:
        exercise: the exercise's id.
        here: the names that the notebook has defined.
        right: whether a function passes the exercise's open tests.
    """
    found = find(exercise)
    for place, function in (("", here.get(found.function)), (", from an earlier notebook", remembered(found))):
        if callable(function) and right(function):
            print(f"{found.function}: yours{place}")
            return function
    print(f"{found.function}: the library's, until yours is right")
    return found.reference
