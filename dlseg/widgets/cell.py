"""Where an explorer meets its notebook: shown once by the cell that makes it, closed when that cell runs again."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


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
