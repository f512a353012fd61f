"""What the explorers share: controls in, a frozen state, an answer computed on one thread, drawings out."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import ipywidgets

from dlseg.figures import Still, panels
from dlseg.widgets.accessibility import explorer_box
from dlseg.widgets.canvas import LabelCanvas, encode_photo
from dlseg.widgets.display import Shown
from dlseg.widgets.drawing import Drawing
from dlseg.widgets.live import Live

State = TypeVar("State")
Answer = TypeVar("Answer")


class Explorer(Shown, ABC, Generic[State, Answer]):
    """An explorer of one state (a frozen dataclass) whose fields the `controls` of the same names set.

    A subclass says what a state's answer is and how it is drawn. `start` is called last in its `__init__`.
    """

    def start(self, state: State, controls: Mapping[str, Any], width: int = 250) -> None:
        """Compute and draw the first answer, then listen to the controls.

        Args:
            state: where the controls stand.
            controls: widgets by the name of the field that they set.
            width: CSS pixels below which a picture goes to the next line.
        """
        self._asked, self._lock, self._setting = state, threading.RLock(), False
        self.controls = dict(controls)
        self._answered: tuple[State, Answer] = (state, self._answer(state))  # errors of the caller come out here
        drawings = self._drawings(self._answered[1])
        self.pictures = [LabelCanvas(d.image, d.plane(), d.title) for d in drawings]
        self._images = [d.image for d in drawings]
        for index, picture in enumerate(self.pictures):
            picture.opacity = 1.0 if drawings[index].labels is None else picture.opacity
            picture.status = drawings[index].status
            _point(picture, drawings[index])
            picture.layout = {"flex": f"1 1 {width}px", "min_width": "0", "max_width": "568px"}
            picture.observe(partial(self._picked_on, index), "picked")
        for name, control in self.controls.items():
            control.observe(partial(self._moved, name), "value")
        self.box = self._boxed()
        self._beside()
        self._live: Live[State, tuple[State, Answer]] = Live(self._compute, self._show, self._fail, self._busy)

    @abstractmethod
    def _answer(self, state: State) -> Answer:
        """What is true of a state; on the explorer's own thread, but for the first."""

    @abstractmethod
    def _drawings(self, answer: Answer) -> Sequence[Drawing]:
        """An answer as pictures, always as many."""

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        """What a click on picture `index` at these shares of its height and width changes."""
        return {}

    def _fitted(self, state: State) -> State:
        """A state that was asked for, with its fields made to fit each other."""
        return state

    def _beside(self) -> None:
        """Bring what is shown beside the pictures to the answer shown."""

    def _boxed(self) -> Any:
        """Controls over pictures."""
        row = {"flex_flow": "row wrap", "overflow": "hidden"}
        return explorer_box(
            [ipywidgets.HBox(list(self.controls.values()), layout=row), ipywidgets.HBox(self.pictures, layout=row)]
        )

    @property
    def state(self) -> State:
        """Where the controls stand; set it, and the controls follow."""
        return self._asked

    @state.setter
    def state(self, state: State) -> None:
        with self._lock:
            self._asked = state
            self._put(state)
            self._live.submit(state)

    @property
    def answer(self) -> Answer:
        """What is true of `state`; waits where it is still being computed."""
        self._live.wait_idle()
        if self._live.error is not None:
            raise RuntimeError(f"the explorer failed at {self.state}") from self._live.error
        return self._answered[1]

    def still(self) -> Still:
        """The pictures as a figure: what a page without widgets shows."""
        drawings = self._drawings(self.answer)
        return panels([drawing.panel() for drawing in drawings], next((d.names for d in drawings if d.names), ()))

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._live.close()
        for widget in (*self.controls.values(), *self.pictures, self.box):
            widget.close()

    def _ask(self, changes: Mapping[str, Any]) -> None:
        with self._lock:  # two controls may call back on two threads
            asked: Any = self._asked
            self.state = self._fitted(replace(asked, **changes))

    def _moved(self, name: str, change: Any) -> None:
        with self._lock:
            if not self._setting:
                self._ask({name: change["new"]})

    def _picked_on(self, index: int, change: Any) -> None:
        if changes := self._picked(index, float(change["new"][0]), float(change["new"][1])):
            self._ask(changes)

    def _put(self, state: State) -> None:
        """Move the controls to a state; without asking again."""
        self._setting = True
        try:
            for name, control in self.controls.items():
                if control.value != getattr(state, name):
                    control.value = getattr(state, name)
        finally:
            self._setting = False

    def _compute(self, state: State, overtaken: Callable[[], bool]) -> Iterator[tuple[State, Answer]]:
        yield state, self._answer(state)

    def _show(self, answered: tuple[State, Answer]) -> None:
        self._answered = answered
        for index, drawing in enumerate(self._drawings(answered[1])):
            picture = self.pictures[index]
            if drawing.image is not self._images[index]:
                self._images[index] = drawing.image
                picture.photo = encode_photo(drawing.image)
            _point(picture, drawing)
            picture.show(drawing.plane(), title=drawing.title, status=drawing.status)
        self._beside()

    def _fail(self, error: Exception) -> None:
        self.pictures[-1].error = f"{type(error).__name__}: {error}"

    def _busy(self, working: bool) -> None:
        self.pictures[-1].busy = working

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.state})"


def _point(picture: LabelCanvas, drawing: Drawing) -> None:
    picture.pickable = drawing.steps is not None
    picture.steps = drawing.steps or picture.steps
    picture.mark = list(drawing.ring or ())


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
