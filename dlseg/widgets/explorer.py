"""What all explorers share: controls set the fields of a frozen state, one thread computes, pictures are shown.

From a slider to its picture: `Explorer` makes the new state, `Live` has it computed (by the explorer's own model)
and drawn (as pictures, `layers.py`), and the canvases show it (`canvas.py`).
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

import ipywidgets

from dlseg.figures import Still, panels
from dlseg.widgets.accessibility import explorer_box
from dlseg.widgets.canvas import LabelCanvas, show_all
from dlseg.widgets.display import Shown
from dlseg.widgets.kept_still import KeptStill
from dlseg.widgets.layers import LABELS, Picture
from dlseg.widgets.live import Live

State = TypeVar("State")
Answer = TypeVar("Answer")
ROW = {"flex_flow": "row wrap", "overflow": "hidden"}


class Explorer(Shown, ABC, Generic[State, Answer]):
    """An explorer of one state (a frozen dataclass), whose fields the `controls` of the same names set.

    A subclass says what a state's answer is and how it is drawn. `start` is called last in its `__init__`.
    """

    def start(self, state: State, controls: Mapping[str, Any], width: int = 250) -> None:
        """Compute and draw the first answer, then listen to the controls.

        Args:
            state: where the controls stand.
            controls: widgets by the field that they set; "params.w1" is the field w1 of the field params.
            width: CSS pixels below which a picture goes to the next line.
        """
        self._asked, self._lock, self._setting = state, threading.RLock(), False
        self.controls = dict(controls)
        *_, answer = self._answers(state, lambda: False)  # errors of the caller come out here
        layout = {"flex": f"1 1 {width}px", "min_width": "0"}
        self.pictures = [LabelCanvas(picture, layout=layout) for picture in self._draw(answer)]
        for index, picture in enumerate(self.pictures):
            picture.observe(partial(self._picked_on, index), "picked")
            picture.observe(self._probed, "probed")
        for name, control in self.controls.items():
            control.observe(partial(self._moved, name), "value")
        self._kept = KeptStill()
        self.box = explorer_box([*self._rows(), self._kept])
        self._kept.explorer = self.box.model_id
        self._beside(answer)
        show = partial(show_all, self.pictures, self._draw)
        self._live: Live[State, Answer] = Live(
            self._answers, [show, self._beside, self._shown_anew], self._fail, self._busy
        )
        self._live.latest = answer

    @abstractmethod
    def _answer(self, state: State) -> Answer:
        """What is true of a state; on the explorer's own thread, but for the first."""

    def _answers(self, state: State, overtaken: Callable[[], bool]) -> Iterator[Answer]:
        """The answer to a state; where it takes long, a quicker one first. Ends early once `overtaken()`."""
        yield self._answer(state)

    @abstractmethod
    def _draw(self, answer: Answer) -> Sequence[Picture]:
        """An answer as pictures, always as many."""

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        """What a click on picture `index` at these shares of its height and width changes."""
        return {}

    def _fitted(self, state: State) -> State:
        """A state that was asked for, with its fields made to fit each other."""
        return state

    def _beside(self, answer: Answer) -> None:
        """Bring what is shown beside the pictures to the answer shown."""

    def _shown_anew(self, _: Answer) -> None:
        self._touch_still()

    def _rows(self) -> list[Any]:
        """Controls over pictures."""
        return [
            ipywidgets.HBox(list(self.controls.values()), layout=ROW),
            ipywidgets.HBox(self.pictures, layout=ROW),
        ]

    @property
    def state(self) -> State:
        """Where the controls stand; set it, and the controls follow."""
        return self._asked

    @state.setter
    def state(self, state: State) -> None:
        with self._lock:
            state = self._asked = self._fitted(state)
            self._put(state, [n for n, c in self.controls.items() if clean(c.value) != attrgetter(n)(state)])
            self._live.submit(state)

    @property
    def answer(self) -> Answer:
        """What is true of `state`; waits where it is still being computed."""
        self._live.wait_idle()
        if self._live.error is not None:
            raise RuntimeError(f"the explorer failed at {self.state}") from self._live.error
        assert self._live.latest is not None  # `start` gave it the first
        return self._live.latest

    def still(self) -> Still:
        """The pictures as a figure: what a page without widgets shows."""
        pictures = self._draw(self.answer)
        names = next((picture.layer.names for picture in pictures if picture.layer.kind == LABELS), ())
        return panels([picture.panel() for picture in pictures], names)

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._close_still()
        self._live.close()
        close_all([self.box])

    def _ask(self, changes: Mapping[str, Any]) -> None:
        """Change some fields of the state; controls follow where more than that was changed."""
        with self._lock:  # two controls may call back on two threads
            before, state = self._asked, self._fitted(changed(self._asked, changes))
            self._asked = state
            expected = {name: changes.get(name, attrgetter(name)(before)) for name in self.controls}
            self._put(state, [name for name, value in expected.items() if attrgetter(name)(state) != value])
            self._live.submit(state)

    def _moved(self, name: str, change: Any) -> None:
        with self._lock:
            if not self._setting:
                self._ask({name: clean(change["new"])})

    def _picked_on(self, index: int, change: Any) -> None:
        if changes := self._picked(index, float(change["new"][0]), float(change["new"][1])):
            self._ask(changes)

    def _probed(self, change: Any) -> None:
        """Somebody reads under the cursor: the picture is shown again, with what there is to read."""
        if change["new"]:
            with self._lock:
                self._live.submit(self._asked)

    def _put(self, state: State, names: Sequence[str]) -> None:
        """Move controls to a state, without asking again."""
        self._setting = True
        try:
            self._offer(state)
            for name in names:
                put(self.controls[name], attrgetter(name)(state))
        finally:
            self._setting = False

    def _offer(self, state: State) -> None:
        """Fit the controls' options and ranges to a state."""

    def _fail(self, error: Exception) -> None:
        self._last().error = f"{type(error).__name__}: {error}"

    def _busy(self, working: bool) -> None:
        for picture in self.pictures:
            picture.busy = working and picture is self._last()

    def _last(self) -> LabelCanvas:
        """The last picture that is shown: where errors are, and that work is under way."""
        return [picture for picture in self.pictures if picture.layout.display != "none"][-1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.state})"


def close_all(widgets: Sequence[Any]) -> None:
    """Take widgets, and what stands in them, out of the page."""
    for widget in widgets:
        close_all(getattr(widget, "children", ()))
        widget.close()


def changed(state: Any, changes: Mapping[str, Any]) -> Any:
    """A state (a frozen dataclass) with some fields changed; "params.w1" is the field w1 of its field params."""
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        state = replace(state, **{first: changed(getattr(state, first), {rest: value}) if rest else value})
    return state


def clean(value: Any) -> Any:
    """Fractions to six digits: a slider's steps and powers of ten leave dust behind."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def put(control: Any, value: Any) -> None:
    """Set a control from code; a value outside a slider's range widens the range.

    A logarithmic slider's steps are laid through the value: the page shows the nearest step, not the value itself.
    All goes in one message: between a new range and a new value the page would snap the old one and send it back.
    """
    with control.hold_sync():
        if isinstance(control, ipywidgets.FloatLogSlider):
            position = math.log10(value)
            steps = max(0, math.ceil((position - control.min) / control.step - 1e-6))
            control.min, control.max = position - steps * control.step, max(control.max, position)
        elif isinstance(control, ipywidgets.IntSlider | ipywidgets.FloatSlider):
            control.min, control.max = min(control.min, value), max(control.max, value)
        control.value = value


def put_options(control: Any, options: Sequence[Any]) -> None:
    """Give a drop-down list other options; its value stays where it can."""
    if tuple(options) != tuple(control.options):
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        value = control.value if control.value in values else values[0]
        with control.hold_sync():
            control.options, control.value = options, value


def whole_slider(label: str, value: int, low: int, high: int, meaning: str) -> Any:
    """A labelled slider over whole numbers."""
    return ipywidgets.IntSlider(
        value,
        low,
        high,
        description=label,
        tooltip=meaning,
        continuous_update=True,
        style={"description_width": "initial"},
        layout={"width": "auto", "flex": "1 1 220px"},
    )


def choice(label: str, value: Any, options: Any, meaning: str, width: int = 230) -> Any:
    """A labelled drop-down list."""
    return ipywidgets.Dropdown(
        options=options,
        value=value,
        description=label,
        tooltip=meaning,
        style={"description_width": "initial"},
        layout={"width": f"{width}px"},
    )
