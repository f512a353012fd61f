"""Where an explorer meets its notebook: shown once by the cell that makes it, closed when that cell runs again."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeVar, runtime_checkable

from dlseg.figures import Still


@runtime_checkable
class Closable(Protocol):
    """Anything with threads or caches to let go of."""

    def close(self) -> None:
        """Let go."""


_made_in: dict[str, tuple[int, Closable]] = {}  # cell id -> the run that made its explorers, one entry per explorer


def shell() -> Any:
    """The running IPython, or None (a plain script, a test)."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def run_number() -> int:
    """The number of the cell run under way; 0 outside IPython."""
    running = shell()
    return 0 if running is None else running.execution_count


def cell_id() -> str | None:
    """The notebook's name for the running cell, where the front end sends it."""
    parent: dict[str, Any] = getattr(shell(), "get_parent", dict)() or {}
    found = parent.get("metadata", {}).get("cellId")
    return None if found is None else str(found)


def adopt(explorer: Closable) -> None:
    """Remember which cell made `explorer`, and close what an earlier run of that cell had made."""
    cell, run = cell_id(), run_number()
    if cell is None:
        return
    for key, (earlier, old) in list(_made_in.items()):
        if key.partition("/")[0] == cell and earlier != run:
            old.close()
            del _made_in[key]
    _made_in[f"{cell}/{id(explorer)}"] = (run, explorer)


class Shown(ABC):
    """An explorer as its cell shows it: live in `box`, and as a still on pages without widgets."""

    box: Any
    _shown_in = 0

    @abstractmethod
    def still(self) -> Still:
        """The pictures as a figure."""

    @abstractmethod
    def close(self) -> None:
        """Let go of threads and widgets."""

    def _ipython_display_(self) -> None:
        if self._shown_in and self._shown_in == run_number():
            return  # the call showed it already; as the cell's last line it would appear twice
        self._shown_in = run_number()
        bundle = {
            "text/plain": repr(self),
            "image/png": base64.b64encode(self.still().png()).decode(),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.box.model_id,
            },
        }
        shell().display_pub.publish(bundle)


Made = TypeVar("Made", bound=Shown)


def shown(explorer: Made) -> Made:
    """Show a new explorer in its cell, and close what an earlier run of that cell had made."""
    adopt(explorer)
    if run_number():
        explorer._ipython_display_()
    return explorer
