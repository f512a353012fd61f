"""Memory that one inference after another works in: at first use the system clears it, which can take longer than
what is done there.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np
from jaxtyping import Float32

KEPT = 2  # as many idle workspaces in a process,
LARGEST = 2**27  # of at most so many bytes each
_idle: list[Workspace] = []


class Workspace:
    """Arrays by name; what an array holds is whatever its last user left there."""

    def __init__(self) -> None:
        self.arrays: dict[str, Float32[np.ndarray, " n"]] = {}

    def room(self, name: str, numbers: int) -> Float32[np.ndarray, " n"]:
        """`numbers` float32, the same memory as last time where that is enough."""
        kept = self.arrays.get(name)
        if kept is None or len(kept) < numbers:
            kept = self.arrays[name] = room(numbers)
        return kept[:numbers]

    def is_held(self) -> bool:
        """Whether anybody still has one of the arrays, who might read or write it.

        Nobody does where the last user is gone, unless something went wrong: then this memory is not lent again.
        """
        # what refers to the memory of a kept array: that array, and the question
        return any(sys.getrefcount(array.base) > 2 for array in self.arrays.values())


def borrowed(user: Any) -> Workspace:
    """A workspace that is `user`'s as long as that lives; nobody may hold its arrays longer."""
    try:
        workspace = _idle.pop()
        while workspace.is_held():
            workspace = _idle.pop()
    except IndexError:
        workspace = Workspace()
    weakref.finalize(user, _give_back, workspace).atexit = False
    return workspace


def _give_back(workspace: Workspace) -> None:
    if len(_idle) < KEPT and sum(array.nbytes for array in workspace.arrays.values()) <= LARGEST:
        _idle.append(workspace)


def room(numbers: int) -> Float32[np.ndarray, " n"]:
    """Float32 numbers, uninitialised, from the start of a cache line: no row of eight lies across two."""
    raw = np.empty(numbers + 16, np.float32)
    skip = -raw.ctypes.data % 64 // 4
    return raw[skip : skip + numbers]
