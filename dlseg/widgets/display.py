"""Where an explorer meets its notebook: shown once by the cell that makes it, closed when that cell runs again.

A cell shows two outputs: the explorer's still, with the words that it can be moved, and the live explorer. One of
them is seen. Where there is no live explorer (in a notebook that is opened again, after a restart of the kernel, on
a page that nbconvert made) it is the still; a live explorer hides it, see STYLE. The still follows: it is drawn
again whenever the explorer has rested for REST seconds.
"""

from __future__ import annotations

import base64
import io
import threading
import uuid
from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeVar, runtime_checkable

from PIL import Image

from dlseg.figures import Still
from dlseg.figures.panels import SCREEN_DPI

VIEW = "application/vnd.jupyter.widget-view+json"
REST = 2.0  # seconds
QUALITY = 90  # of a still's WebP: a studio's has some 60 kB
# an explorer is live in an application (#main), as long as its kernel is there
LIVE = ".dlseg-explorer:not(.jupyter-widgets-disconnected)"
VIEWS = f'.jp-OutputArea-child:has([data-mime-type="{VIEW}"], .jupyter-widgets)'
STYLE = (
    f".jp-OutputArea:has(.dlseg-still):not(#main *) > {VIEWS},"
    f".jp-OutputArea:has(.dlseg-still):not(:has({LIVE})) > {VIEWS},"
    f"#main .jp-OutputArea:has({LIVE}) > .jp-OutputArea-child:has(.dlseg-still){{display:none}}"
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


class Shown(ABC):
    """An explorer as its cell shows it: live in `box`, and as a still on pages without widgets."""

    box: Any
    _shown_in = 0
    _display_id = ""
    _clock: threading.Timer | None = None

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
        self._display_id = uuid.uuid4().hex
        publish = shell().display_pub.publish
        publish(self._page(), transient={"display_id": self._display_id})
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        publish({"text/plain": repr(self), VIEW: view})

    def _page(self) -> dict[str, str]:
        """The still as an output: a picture and a sentence."""
        return {"text/plain": repr(self), "text/html": still_page(self.still())}

    def rested(self) -> None:
        """Draw the still again, once nothing has changed for a while. May be called from any thread."""
        self.still_waits()
        if self._display_id:
            self._clock = threading.Timer(REST, self._renew)
            self._clock.daemon = True
            self._clock.start()

    def still_waits(self) -> None:
        """Something changes: the still waits for its end."""
        if self._clock is not None:
            self._clock.cancel()

    def _renew(self) -> None:
        running = shell()
        if running is None:
            return
        try:
            page = self._page()
        except Exception:  # an explorer that failed shows so itself; its last still stays
            return
        running.display_pub.publish(page, transient={"display_id": self._display_id}, update=True)


def still_page(still: Still) -> str:
    """A still as HTML that gives way to the live explorer beside it."""
    picture = Image.fromarray(still.pixels(dpi=2 * SCREEN_DPI))  # twice as sharp as it is shown
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=QUALITY)
    address = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return (
        f"<style>{STYLE}</style><div class='dlseg-still'>"
        f"<img alt='the explorer when it last stood still' width='{picture.width // 2}' style='max-width:100%' "
        f"src='{address}'>"
        "<div><em>A still picture: run this cell to move it.</em></div></div>"
    )


Made = TypeVar("Made", bound=Shown)


def shown(explorer: Made) -> Made:
    """Show a new explorer in its cell, and close what an earlier run of that cell had made."""
    adopt(explorer)
    if run_number():
        explorer._ipython_display_()
    return explorer
