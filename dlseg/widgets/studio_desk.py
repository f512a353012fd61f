"""The CRF studio's desk: every control, and what all of them together ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets

from dlseg.crf import CRFParams
from dlseg.widgets.accessibility import explorer_box
from dlseg.widgets.controls import CONTROLS, put, slider
from dlseg.widgets.planes import decimated
from dlseg.widgets.refiner import Refined
from dlseg.widgets.studio_bench import Asked
from dlseg.widgets.studio_inputs import HAND, NET, StudioInputs
from dlseg.widgets.studio_screen import StudioScreen
from dlseg.widgets.studio_tools import StudioTools
from dlseg.widgets.studio_views import AFFINITY, LABELS
from dlseg.widgets.subject import SCRIBBLE_NAMES, Subject, blank


class Desk:
    """`asked` is what the controls stand for; after every change it goes to `submit`. `box` shows all.

    Args:
        sliders: which settings get one.
        tools: whether there are rows for settings, views and inputs.
        submit: takes what is asked for; returns at once.
        whole: the full answer on show, or None: what can be pinned.
    """

    def __init__(
        self,
        asked: Asked,
        sliders: Sequence[str],
        tools: bool,
        submit: Callable[[Asked], None],
        whole: Callable[[], Refined | None],
    ) -> None:
        self.asked, self._submit, self._whole = asked, submit, whole
        self._drawn: Subject | None = None  # what was scribbled on, while the net's scores are looked at
        self._first, self._lock, self._setting = asked.subject, threading.RLock(), False
        subject, params = asked.subject, asked.params
        self.sliders = {name: slider(CONTROLS[name], getattr(params, name)) for name in sliders}
        self.tools = StudioTools(subject.names, subject.truth is not None, params) if tools else None
        self.inputs = StudioInputs(subject.names, subject.probs is not None, asked.kernel) if tools else None
        self.screen = StudioScreen(subject)
        self.before, self.after = self.screen.before, self.screen.after
        self.box = self._connected()

    @property
    def all(self) -> list[Any]:
        """Every widget."""
        extra = [*self.tools.all, *self.inputs.all] if self.tools and self.inputs else []
        return [*self.sliders.values(), *extra, *self.screen.all, *self.box.children, self.box]

    def set_params(self, params: CRFParams) -> None:
        """Settings from code; the sliders follow."""
        with self._lock:
            self._setting = True
            for name, control in self.sliders.items():
                put(control, getattr(params, name))
            self._setting = False
            self._ask(params=params)

    def _connected(self) -> Any:
        for name, control in self.sliders.items():
            control.observe(partial(self._moved, name), "value")
        for picture in (self.before, self.after):
            picture.observe(self._picked, "picked")
        self.before.observe(self._stroked, "strokes")
        sliders = ipywidgets.HBox(list(self.sliders.values()), layout={"flex_flow": "row wrap"})
        rows = [sliders, self.screen.pictures]
        if self.tools and self.inputs:
            self.tools.say(self.asked.params)
            self.tools.connect(self._looked, self.set_params, self._pin)
            self.inputs.connect(self._sourced, self._loaded, self._cleared, self._kerneled, self._hold_brush)
            rows[1:1] = [self.tools.settings, self.tools.looks, self.inputs.row]
            rows.append(self.screen.charts)
        return explorer_box(rows)

    def _ask(self, **changes: Any) -> None:
        with self._lock:  # two controls may call back on two threads
            self.asked = replace(self.asked, **changes)
            self._submit(self.asked)

    def _moved(self, name: str, change: Any) -> None:
        with self._lock:
            if not self._setting:
                value = change["new"]  # six digits: a slider's steps and powers of ten leave dust behind
                clean: Any = value if name == "iterations" else float(f"{value:.6g}")
                self._ask(params=replace(self.asked.params, **{name: clean}))

    def _looked(self) -> None:
        assert self.tools is not None
        tools = self.tools
        with self._lock:
            view = replace(self.asked.view, name=tools.view.value, index=tools.index.value, step=tools.step.value)
            self._ask(view=view, curves=tools.curves.value)
        for picture in (self.before, self.after):
            picture.pickable = view.name == AFFINITY
            picture.mark = list(view.place) if view.name == AFFINITY else []
        self._hold_brush()

    def _picked(self, change: Any) -> None:
        place = (float(change["new"][0]), float(change["new"][1]))
        self.before.mark = self.after.mark = list(place)
        with self._lock:
            self._ask(view=replace(self.asked.view, place=place))

    def _pin(self, on: bool) -> None:
        whole = self._whole()  # a preview, or nothing yet, cannot be kept
        if on and whole is None and self.tools:
            self.tools.pin.value = False
        self._ask(pinned=whole if on else None)
        self._hold_brush()

    def _kerneled(self, kernel: str) -> None:
        self._ask(kernel=kernel)

    def _stroked(self, _: Any) -> None:
        with self._lock:
            subject = self.asked.subject
            if subject.scribbles is not None:
                self._ask(subject=replace(subject, scribbles=decimated(self.before.scribbles, subject.size)))

    def _cleared(self) -> None:
        subject = self.asked.subject
        self.place(replace(subject, scribbles=blank(subject.image)))

    def _sourced(self, source: str) -> None:
        now, first = self.asked.subject, self._first
        if source == NET and now.probs is None:
            self._drawn = now  # to come back to
            self.place(first)
        if source == HAND and now.probs is not None:
            self.place(self._drawn or replace(now, probs=None, scribbles=blank(now.image)))

    def _loaded(self) -> None:
        assert self.inputs is not None
        try:
            image, (height, width) = self.inputs.photo.image, self.inputs.photo.original
        except (OSError, ValueError) as error:
            self.after.error = f"{self.inputs.photo.name} is not a picture that can be read ({error})"
            return
        names = SCRIBBLE_NAMES if self._first.probs is not None else self._first.names
        note = (
            ""
            if image.shape[:2] == (height, width)
            else (f"{width} × {height} pixels, used at {image.shape[1]} × {image.shape[0]}")
        )
        self.place(Subject(image, names, None, blank(image), None, note))
        self.inputs.source.value = HAND

    def place(self, subject: Subject) -> None:
        """Take up another subject: its photo, scribbles and names.

        Without the lock: a picture that calls back from the page holds its own, and then wants this one.
        """
        if subject.image is not self.asked.subject.image:
            self.screen.take(subject.image)
            if self.tools:
                self.tools.pin.value = False
        if subject.scribbles is not None:
            self.before.scribbles = subject.scribbles
        if self.tools and self.inputs:
            self.tools.offer(subject.names, subject.truth is not None)
            self.inputs.offer(subject.names, subject.scribbles is not None)
        self._ask(subject=subject)
        self._hold_brush()

    def _hold_brush(self) -> None:
        asked = self.asked
        paints = self.inputs is not None and asked.subject.scribbles is not None
        free = asked.pinned is None and asked.view.name == LABELS
        self.before.brush = self.inputs.brush if self.inputs is not None and paints and free else []
