"""Where an explorer meets its notebook: shown once by the cell that makes it, closed when that cell runs again."""

from __future__ import annotations

import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar, runtime_checkable

from dlseg.figures import Still
from dlseg.widgets.kept_still import KeptStill

VIEW = "application/vnd.jupyter.widget-view+json"
REST = 1.5  # seconds without a change after which the still is drawn anew
STILL_WORDS = "This is a still picture: run this cell to move it."
# an explorer is alive with its kernel, and without where its page answers by itself (studio/preview.js)
LIVE = ".dlseg-explorer:is(:not(.jupyter-widgets-disconnected), .dlseg-answers)"
STILL_STYLE = (
    f".jp-OutputArea-child:has({LIVE}) + .jp-OutputArea-child:has(.dlseg-still),"
    f".jp-OutputArea-child:not(:has({LIVE})):has(+ .jp-OutputArea-child .dlseg-still) {{ display: none; }}"
)


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


class Rested:
    """Calls `act`, on a thread of its own, once `rest` seconds have passed since the last `touch`."""

    def __init__(self, act: Callable[[], None], rest: float) -> None:
        self._act, self._rest, self._due = act, rest, 0.0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def touch(self) -> None:
        """Something moved: wait anew. Cheap enough for every step of a drag."""
        with self._lock:
            self._due = time.monotonic() + self._rest
            if self._timer is None and not self._closed:
                self._wait(self._rest)

    def close(self) -> None:
        """Act no more."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._over)
        self._timer.daemon = True
        self._timer.start()

    def _over(self) -> None:
        with self._lock:
            left = self._due - time.monotonic()
            self._timer = None
            if self._closed:
                return
            if left > 0:
                self._wait(left)
                return
        self._act()


class Shown(ABC):
    """An explorer as its cell shows it: live in `box`, and below it as a still.

    The still is shown wherever the live one is not: before it is loaded, after the kernel has gone, and on pages
    without widgets. It is drawn anew, in the notebook too, when the explorer has rested in another state.
    """

    box: Any
    _shown_in = 0
    _display = ""  # the still's name among the notebook's outputs
    _rested: Rested | None = None
    _kept: KeptStill

    @abstractmethod
    def still(self) -> Still:
        """The pictures as a figure."""

    @abstractmethod
    def close(self) -> None:
        """Let go of threads and widgets."""

    def _ipython_display_(self) -> None:
        if self._shown_in and self._shown_in == run_number():
            return  # the call showed it already; as the cell's last line it would appear twice
        self._shown_in, self._display = run_number(), uuid.uuid4().hex
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        # the empty page is what viewers without widgets take instead of the explorer: its still follows
        shell().display_pub.publish({"text/plain": repr(self), "text/html": "", VIEW: view})
        self._publish_still(update=False)
        self._rested = self._rested or Rested(self._renew_still, REST)

    def _touch_still(self) -> None:
        """The explorer shows something else: its still is to follow."""
        if self._rested is not None:
            self._rested.touch()

    def _close_still(self) -> None:
        """The still stays as it is."""
        if self._rested is not None:
            self._rested.close()

    def _renew_still(self) -> None:
        with suppress(Exception):  # the explorer has shown its error by itself; the still of before stays
            self._publish_still(update=True)

    def _publish_still(self, update: bool) -> None:
        page = still_html(self.still())
        bundle = {"text/plain": STILL_WORDS, "text/html": page}
        shell().display_pub.publish(bundle, transient={"display_id": self._display}, update=update)
        self._kept.html = page  # a page that was loaded anew does not know the name: it takes this


def still_html(figure: Still) -> str:
    """A still for the output below an explorer's; its style hides it while the explorer above lives, and only then.

    All by style sheet: scripts are not run in a notebook that was saved by somebody else.
    """
    titles = ", ".join(title for axes in figure.axes if (title := axes.get_title(loc="left") or axes.get_title()))
    picture = figure.html(f"Still picture: {titles}" if titles else "Still picture")
    return f'<style>{STILL_STYLE}</style><div class="dlseg-still">{picture}<p>{STILL_WORDS}</p></div>'


Made = TypeVar("Made", bound=Shown)


def shown(explorer: Made) -> Made:
    """Show a new explorer in its cell, and close what an earlier run of that cell had made."""
    adopt(explorer)
    if run_number():
        explorer._ipython_display_()
    return explorer
