"""The CRF studio (paper, section 4): move a setting, see the labels before and after the fully connected CRF."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import UInt8

from dlseg.crf import Affinity, CRFParams
from dlseg.evaluation import ConfusionMatrix
from dlseg.figures import Still, label_panel, panels
from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.cell import adopt, run_number, shell
from dlseg.widgets.controls import CONTROLS, put, slider
from dlseg.widgets.live import Live
from dlseg.widgets.planes import label_plane
from dlseg.widgets.refiner import Refined, Refiner
from dlseg.widgets.studio_tools import StudioTools
from dlseg.widgets.studio_views import AFFINITY, View, pair

BEFORE, AFTER, PINNED = "Before: the net's coarse scores", "After: the fully connected CRF", "A: pinned"


@dataclass(frozen=True)
class Asked:
    """What the controls ask for at one moment."""

    params: CRFParams
    view: View = field(default_factory=View)
    pinned: Refined | None = None


@dataclass(frozen=True)
class Answer:
    """What is shown for it."""

    asked: Asked
    refined: Refined
    affinity: Affinity | None


class CRFStudio:
    """The explorer that `crf_studio` makes and shows; see there. Safe to read while a slider is being dragged."""

    def __init__(self, image: np.ndarray, probs: np.ndarray, truth: np.ndarray | None, params: CRFParams,
                 classes: Sequence[str], sliders: Sequence[str], tools: bool, **options: Any) -> None:
        self._image, self._truth = image, truth
        self._refiner = Refiner(image, probs, **options)
        self._names = tuple(classes) or tuple(f"class {index}" for index in range(self._refiner.num_classes))
        self._asked, self._lock, self._setting = Asked(params), threading.RLock(), False
        self._answer: Answer | None = None
        self._shown_in = 0
        plane = label_plane(self._refiner.coarse.labels, self._names)
        self.before, self.after = LabelCanvas(image, plane, BEFORE), LabelCanvas(image, plane, AFTER)
        self.sliders = {name: slider(CONTROLS[name], getattr(params, name)) for name in sliders}
        self.tools = StudioTools(self._names, truth is not None, params) if tools else None
        self.box = self._connected()
        self._live = Live(self._compute, self._show, self._fail, self._busy)
        self._live.submit(self._asked)
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
        return self._settled().labels.copy()

    @property
    def marginals(self) -> np.ndarray:
        """The refined probabilities (C, H, W) for `params`; waits for them if they are still being computed."""
        return self._settled().marginals.copy()

    def still(self) -> Still:
        """Photo, coarse labels and refined labels side by side, as a figure: what a page without widgets shows."""
        after = "CRF: " + ", ".join(f"{CONTROLS[name].label.split()[0]} {getattr(self.params, name):.3g}"
                                    for name in self.sliders if name != "iterations")
        coarse = self._refiner.coarse.labels
        return panels([label_panel("image", self._image, coarse, opacity=0.0),
                       label_panel("coarse", self._image, coarse),
                       label_panel(after, self._image, self.labels)], self._names)

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._live.close()
        tools = [self.tools.box, *self.tools.all] if self.tools else []
        for widget in (*self.sliders.values(), *tools, self.before, self.after, self.box):
            widget.close()

    def _connected(self) -> Any:
        for name, control in self.sliders.items():
            control.observe(partial(self._moved, name), "value")
        for picture in (self.before, self.after):
            picture.layout = {"flex": "1 1 300px", "min_width": "0", "max_width": "568px"}
            picture.observe(self._picked, "picked")
        rows = [ipywidgets.HBox(list(self.sliders.values()), layout={"flex_flow": "row wrap"}),
                ipywidgets.HBox([self.before, self.after], layout={"flex_flow": "row wrap", "overflow": "hidden"})]
        if self.tools:
            self.tools.say(self.params)
            self.tools.connect(self._looked, partial(setattr, self, "params"), self._pin)
            rows.insert(1, self.tools.box)
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
        view = replace(self._asked.view, name=self.tools.view.value, index=self.tools.index.value)
        for picture in (self.before, self.after):
            picture.pickable = view.name == AFFINITY
            picture.mark = list(view.place) if view.name == AFFINITY else []
        self._ask(view=view)

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

    def _compute(self, asked: Asked, overtaken: Callable[[], bool]) -> Iterator[Answer]:
        looks = asked.view.name == AFFINITY
        affinity = self._refiner.affinity(asked.params, asked.view.place) if looks else None
        for refined in self._refiner.answers(asked.params, overtaken):
            yield Answer(asked, refined, affinity)

    def _show(self, answer: Answer) -> None:
        asked, refined = answer.asked, answer.refined
        before = asked.pinned or self._refiner.coarse
        titles = (BEFORE if asked.pinned is None else PINNED, AFTER if asked.pinned is None else "B: as set now")
        shown = pair(asked.view, before, refined, titles, self._names, self._truth, answer.affinity)
        if self.tools:
            self.tools.say(asked.params)
        self.before.show(shown.left, title=shown.left_title, status=self._words(before, None), settled=refined.full)
        self.after.show(shown.right, title=shown.right_title, status=self._words(refined, before),
                        settled=refined.full)
        self._answer = answer

    def _words(self, refined: Refined, before: Refined | None) -> str:
        if not refined.full:
            return "preview …"
        words = []
        if self._truth is not None:
            matrix = ConfusionMatrix(self._refiner.num_classes).update(refined.labels, self._truth)
            words.append(f"mean IoU {100 * matrix.mean_iou('nan'):.1f} %")
        if before is not None:
            words.append(f"{100 * float(np.mean(refined.labels != before.labels)):.1f} % of pixels relabelled")
        return " · ".join(words)

    def _settled(self) -> Refined:
        self._live.wait_idle()
        if self._live.error is not None:
            raise RuntimeError(f"the CRF failed at {self.params}") from self._live.error
        if self._answer is None:
            raise RuntimeError("this studio was closed before it had an answer")
        return self._answer.refined

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


def crf_studio(image: Any, probs: Any, truth: Any = None, params: CRFParams | None = None, *,
               classes: Sequence[str] = (), sliders: Sequence[str] = tuple(CONTROLS), tools: bool = True,
               **options: Any) -> CRFStudio:
    """Show an image's labels before and after the fully connected CRF, with a slider for each setting.

    Args:
        image: uint8 RGB, (H, W, 3).
        probs: the net's class probabilities at full resolution, (C, H, W).
        truth: labels (H, W), 255 void; where given, the mean IoU before and after is shown.
        params: where the sliders start; default `CRFParams()`.
        classes: names of the classes, index 0 background, for the legend.
        sliders: which settings get a slider, of w1, sigma_alpha, sigma_beta, w2, sigma_gamma, iterations.
        tools: whether to show the row for views, presets, pinning and copying.
        options: passed on to `DenseCRF`, for example `kernel="exact"`.

    Returns: the studio: `.params`, `.labels` (H, W) and `.marginals` (C, H, W) follow the sliders.

    Raises:
        ValueError, TypeError: an argument of the wrong kind or shape, or an unknown slider; it says which.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ValueError(f"image: expected uint8 of shape (H, W, 3), got {image.dtype} {image.shape}")
    if truth is not None and np.shape(truth) != image.shape[:2]:
        raise ValueError(f"truth: expected shape {image.shape[:2]}, got {np.shape(truth)}")
    if unknown := set(sliders) - set(CONTROLS):
        raise ValueError(f"sliders: unknown {sorted(unknown)}, expected some of {', '.join(CONTROLS)}")
    truth = None if truth is None else np.asarray(truth)
    studio = CRFStudio(image, np.asarray(probs), truth, params or CRFParams(), classes, sliders, tools, **options)
    adopt(studio)
    if run_number():
        studio._ipython_display_()
    return studio
