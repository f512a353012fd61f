"""Answers that a notebook shows at once, wherever in a cell they are asked for."""

from __future__ import annotations

import sys
from typing import Any, TypeVar


class AtOnce:
    """Something with a page (`_repr_html_`) that shows itself once in each run of a cell.

    A notebook shows a value only where it is the last line of its cell: a call above that, or in a loop, would do
    nothing to be seen.
    """

    _shown_in = 0

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        running = _shell()
        if self._shown_in and self._shown_in == running.execution_count:
            return  # the call showed it already; as the cell's last line it would appear twice
        object.__setattr__(self, "_shown_in", running.execution_count)  # the answers are frozen
        running.display_pub.publish({"text/plain": repr(self), "text/html": self._repr_html_()})


def _shell() -> Any:
    """The running IPython, or None; it is not imported for this."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


Answer = TypeVar("Answer", bound=AtOnce)


def at_once(answer: Answer) -> Answer:
    """Show an answer in the running cell; outside IPython nothing is shown."""
    if _shell() is not None:
        answer._ipython_display_()
    return answer
