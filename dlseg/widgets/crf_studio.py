"""The CRF studio (paper, section 4): move a setting, see the labels before and after the fully connected CRF."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import UInt8

from dlseg.crf import CRFParams
from dlseg.figures import Still, label_panel, panels
from dlseg.widgets.canvas import shown_size
from dlseg.widgets.cell import adopt, run_number, shell
from dlseg.widgets.controls import CONTROLS, put, slider
from dlseg.widgets.live import Live
from dlseg.widgets.planes import decimated
from dlseg.widgets.studio_bench import Answer, Asked, Bench
from dlseg.widgets.studio_inputs import HAND, NET, StudioInputs
from dlseg.widgets.studio_screen import StudioScreen
from dlseg.widgets.studio_tools import StudioTools
from dlseg.widgets.studio_views import AFFINITY, LABELS
from dlseg.widgets.subject import SCRIBBLE_NAMES, Subject, blank, make_subject


class CRFStudio:
    """The explorer that `crf_studio` makes and shows; see there. Safe to read while a slider is being dragged."""

    def __init__(self, subject: Subject, params: CRFParams, sliders: Sequence[str], tools: bool,
                 kernel: str, **options: Any) -> None:
        self._bench = Bench(options)
        self._bench.refiner(subject, kernel)  # the caller's mistakes come out here, before there is a thread
        self._first = subject
        self._asked, self._lock, self._setting = Asked(subject, params, kernel), threading.RLock(), False
        self._answer: Answer | None = None
        self._shown_in = 0
        self.sliders = {name: slider(CONTROLS[name], getattr(params, name)) for name in sliders}
        has_net = subject.probs is not None
        self.tools = StudioTools(subject.names, subject.truth is not None, params) if tools else None
        self.inputs = StudioInputs(subject.names, has_net, kernel) if tools else None
        self.screen = StudioScreen(subject)
        self.before, self.after = self.screen.before, self.screen.after
        self.box = self._connected()
        self._live = Live(partial(Bench.answers, self._bench), self._show, self._fail, self._busy)
        self._place(subject)
        self._ask()
        self._live.wait_idle()

    @property
    def params(self) -> CRFParams:
        """The settings as the sliders stand now; set them, and the sliders follow."""
        return self._asked.params

    @params.setter
    def params(self, params: CRFParams) -> None:
        with self._lock:
            self._setting = True
            for name, control in self.sliders.items():
                put(control, getattr(params, name))
            self._setting = False
            self._ask(params=params)

    @property
    def labels(self) -> UInt8[np.ndarray, "H W"]:
        """The refined labels (H, W) for `params`; waits for them if they are still being computed."""
        answer = self._settled()
        return decimated(answer.refined.labels, answer.asked.subject.size)

    @property
    def marginals(self) -> np.ndarray:
        """The refined probabilities (C, H, W) for `params`; waits for them if they are still being computed."""
        answer = self._settled()
        return decimated(answer.refined.marginals, answer.asked.subject.size)

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """The image worked on: the one given, or the user's own."""
        return self._asked.subject.image.copy()

    @property
    def scribbles(self) -> UInt8[np.ndarray, "H W"] | None:
        """What was drawn by hand, 255 where nothing was; None while a network's scores are the unary."""
        drawn = self._asked.subject.scribbles
        return None if drawn is None else drawn.copy()

    @property
    def kernel(self) -> str:
        """The kernel that the pairwise terms are computed by."""
        return self._asked.kernel

    def still(self) -> Still:
        """Photo, coarse labels and refined labels side by side, as a figure: what a page without widgets shows."""
        after = "CRF: " + ", ".join(f"{CONTROLS[name].label.split()[0]} {getattr(self.params, name):.3g}"
                                    for name in self.sliders if name != "iterations")
        answer = self._settled()
        subject = answer.asked.subject
        size = shown_size(*subject.size)
        photo = np.moveaxis(decimated(np.moveaxis(subject.image, 2, 0), size), 0, 2)
        by_hand = subject.scribbles is not None
        coarse = decimated(answer.coarse.labels if subject.scribbles is None else subject.scribbles, size)
        return panels([label_panel("image", photo, coarse, opacity=0.0),
                       label_panel("scribbles" if by_hand else "coarse", photo, coarse),
                       label_panel(after, photo, decimated(answer.refined.labels, size))], subject.names)

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._live.close()
        extra = [*self.tools.all, *self.inputs.all] if self.tools and self.inputs else []
        for widget in (*self.sliders.values(), *extra, *self.screen.all, self.box):
            widget.close()

    def _connected(self) -> Any:
        for name, control in self.sliders.items():
            control.observe(partial(self._moved, name), "value")
        for picture in (self.before, self.after):
            picture.observe(self._picked, "picked")
        self.before.observe(self._stroked, "strokes")
        sliders = ipywidgets.HBox(list(self.sliders.values()), layout={"flex_flow": "row wrap"})
        rows = [sliders, self.screen.pictures]
        if self.tools and self.inputs:
            self.tools.say(self.params)
            self.tools.connect(self._looked, partial(setattr, self, "params"), self._pin)
            self.inputs.connect(self._sourced, self._loaded, self._cleared, self._kerneled, self._hold_brush)
            rows[1:1] = [self.tools.settings, self.tools.looks, self.inputs.row]
            rows.append(self.screen.charts)
        return ipywidgets.VBox(rows)

    def _ask(self, **changes: Any) -> None:
        with self._lock:  # two controls may call back on two threads
            self._asked = replace(self._asked, **changes)
            self._live.submit(self._asked)

    def _moved(self, name: str, change: Any) -> None:
        with self._lock:
            if not self._setting:
                value = change["new"]  # six digits: a slider's steps and powers of ten leave dust behind
                clean: Any = value if name == "iterations" else float(f"{value:.6g}")
                self._ask(params=replace(self.params, **{name: clean}))

    def _looked(self) -> None:
        assert self.tools is not None
        view = replace(self._asked.view, name=self.tools.view.value, index=self.tools.index.value,
                       step=self.tools.step.value)
        for picture in (self.before, self.after):
            picture.pickable = view.name == AFFINITY
            picture.mark = list(view.place) if view.name == AFFINITY else []
        self._ask(view=view, curves=self.tools.curves.value)
        self._hold_brush()

    def _picked(self, change: Any) -> None:
        place = (float(change["new"][0]), float(change["new"][1]))
        self.before.mark = self.after.mark = list(place)
        self._ask(view=replace(self._asked.view, place=place))

    def _pin(self, on: bool) -> None:
        answer = self._answer  # what is on show; a preview, or nothing yet, cannot be kept
        whole = answer.refined if answer is not None and answer.refined.full else None
        if on and whole is None and self.tools:
            self.tools.pin.value = False
        self._ask(pinned=whole if on else None)
        self._hold_brush()

    def _kerneled(self, kernel: str) -> None:
        self._ask(kernel=kernel)

    def _stroked(self, _: Any) -> None:
        with self._lock:
            subject = self._asked.subject
            if subject.scribbles is not None:
                self._ask(subject=replace(subject, scribbles=decimated(self.before.scribbles, subject.size)))

    def _cleared(self) -> None:
        subject = self._asked.subject
        self._place(replace(subject, scribbles=blank(subject.image)))

    def _sourced(self, source: str) -> None:
        now, first = self._asked.subject, self._first
        if source == NET and now.probs is None:
            self._place(first)
        if source == HAND and now.probs is not None:
            self._place(replace(now, probs=None, scribbles=blank(now.image)))

    def _loaded(self) -> None:
        assert self.inputs is not None
        try:
            image, (height, width) = self.inputs.photo.image, self.inputs.photo.original
        except (OSError, ValueError) as error:
            self.after.error = f"{self.inputs.photo.name} is not a picture that can be read ({error})"
            return
        names = SCRIBBLE_NAMES if self._first.probs is not None else self._first.names
        note = "" if image.shape[:2] == (height, width) else (
            f"{width} × {height} pixels, used at {image.shape[1]} × {image.shape[0]}")
        self._place(Subject(image, names, None, blank(image), None, note))
        self.inputs.source.value = HAND

    def _place(self, subject: Subject) -> None:
        """Take up another subject: its photo, scribbles and names."""
        with self._lock:
            if subject.image is not self._asked.subject.image:
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
        asked = self._asked
        paints = self.inputs is not None and asked.subject.scribbles is not None
        free = asked.pinned is None and asked.view.name == LABELS
        self.before.brush = self.inputs.brush if self.inputs is not None and paints and free else []

    def _show(self, answer: Answer) -> None:
        if self.tools:
            self.tools.say(answer.asked.params)
        self.screen.show(answer)
        self._answer = answer

    def _settled(self) -> Answer:
        self._live.wait_idle()
        if self._live.error is not None:
            raise RuntimeError(f"the CRF failed at {self.params}") from self._live.error
        if self._answer is None:
            raise RuntimeError("this studio was closed before it had an answer")
        return self._answer

    def _fail(self, error: Exception) -> None:
        self.after.error = f"{type(error).__name__}: {error}"

    def _busy(self, working: bool) -> None:
        self.after.busy = working

    def _ipython_display_(self) -> None:
        if self._shown_in and self._shown_in == run_number():
            return  # the call showed it already; as the cell's last line it would appear twice
        self._shown_in = run_number()
        bundle = {"text/plain": repr(self), "image/png": base64.b64encode(self.still().png()).decode(),
                  "application/vnd.jupyter.widget-view+json": {
                      "version_major": 2, "version_minor": 0, "model_id": self.box.model_id}}
        shell().display_pub.publish(bundle)

    def __repr__(self) -> str:
        return f"CRFStudio({self.params})"


def crf_studio(image: Any, probs: Any = None, truth: Any = None, params: CRFParams | None = None, *,
               scribbles: Any = None, classes: Sequence[str] = (), sliders: Sequence[str] = tuple(CONTROLS),
               tools: bool = True, kernel: str = "lattice", **options: Any) -> CRFStudio:
    """Show an image's labels before and after the fully connected CRF, with a slider for each setting.

    Args:
        image: uint8 RGB, (H, W, 3). One of more than a million pixels is refined at a smaller size, which is said.
        probs: the net's class probabilities at full resolution, (C, H, W). Without them, scribbles are the unary.
        truth: labels (H, W), 255 void; where given, the mean IoU before and after is shown.
        params: where the sliders start; default `CRFParams()`.
        scribbles: labels (H, W) given by hand, 255 where nothing is said; they can be drawn with the mouse.
        classes: names of the classes, index 0 background, for the legend.
        sliders: which settings get a slider, of w1, sigma_alpha, sigma_beta, w2, sigma_gamma, iterations.
        tools: whether to show the rows for settings, views and inputs.
        kernel, options: passed on to `DenseCRF`.

    Returns: the studio: `.params`, `.labels` (H, W), `.marginals` (C, H, W), `.scribbles`, `.image` follow it.

    Raises:
        ValueError, TypeError: an argument of the wrong kind or shape, or an unknown slider; it says which.
    """
    subject = make_subject(image, probs, truth, scribbles, classes)
    if unknown := set(sliders) - set(CONTROLS):
        raise ValueError(f"sliders: unknown {sorted(unknown)}, expected some of {', '.join(CONTROLS)}")
    studio = CRFStudio(subject, params or CRFParams(), sliders, tools, kernel, **options)
    adopt(studio)
    if run_number():
        studio._ipython_display_()
    return studio
