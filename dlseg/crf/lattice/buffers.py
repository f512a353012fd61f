"""Memory that one inference after another works in.

The system clears memory at its first use, which can take longer than what is computed in it.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np
from jaxtyping import Float32

MAX_IDLE = 2  # unused workspaces that a process keeps,
MAX_BYTES = 2**27  # each of at most this size
_idle: list[Workspace] = []


class Workspace:
    """Arrays by name; an array holds whatever its last user left there."""

    def __init__(self) -> None:
        self.arrays: dict[str, Float32[np.ndarray, " n"]] = {}

    def array(self, name: str, numbers: int) -> Float32[np.ndarray, " n"]:
        """`numbers` float32, in the same memory as last time where that is large enough."""
        kept = self.arrays.get(name)
        if kept is None or len(kept) < numbers:
            kept = self.arrays[name] = aligned(numbers)
        return kept[:numbers]

    def is_in_use(self) -> bool:
        """Whether somebody still refers to one of the arrays, and so might read or write it.

        Nobody does once the last user is gone, unless something went wrong: then this memory is not used again.
        """
        # what refers to the memory of an unused array: that array, and the argument of getrefcount
        return any(sys.getrefcount(array.base) > 2 for array in self.arrays.values())


def borrow_workspace(user: Any) -> Workspace:
    """A workspace that belongs to `user` while that lives; nobody may keep its arrays longer."""
    try:
        workspace = _idle.pop()
        while workspace.is_in_use():
            workspace = _idle.pop()
    except IndexError:
        workspace = Workspace()
    weakref.finalize(user, _give_back, workspace).atexit = False
    return workspace


def _give_back(workspace: Workspace) -> None:
    if len(_idle) < MAX_IDLE and sum(array.nbytes for array in workspace.arrays.values()) <= MAX_BYTES:
        _idle.append(workspace)


def aligned(numbers: int) -> Float32[np.ndarray, " n"]:
    """Float32 numbers, uninitialised, from the start of a cache line: no row of eight lies across two lines."""
    raw = np.empty(numbers + 16, np.float32)
    skip = -raw.ctypes.data % 64 // 4
    return raw[skip : skip + numbers]
