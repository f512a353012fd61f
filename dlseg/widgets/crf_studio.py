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
from dlseg.evaluation import ConfusionMatrix
from dlseg.figures import Still, label_panel, panels
from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.cell import adopt, run_number, shell
from dlseg.widgets.controls import CONTROLS, slider
from dlseg.widgets.live import Live
from dlseg.widgets.refiner import Refined, Refiner

BEFORE, AFTER = "Before: the net's coarse scores", "After: the fully connected CRF"


class CRFStudio:
    """The explorer that `crf_studio` makes and shows; see there. Safe to read while a slider is being dragged."""

    def __init__(self, image: np.ndarray, probs: np.ndarray, truth: np.ndarray | None, params: CRFParams,
                 classes: Sequence[str], sliders: Sequence[str], **options: Any) -> None:
        self._image, self._truth, self._classes = image, truth, tuple(classes)
        self._refiner = Refiner(image, probs, **options)
        self._params, self._lock = params, threading.Lock()
        self._refined: Refined | None = None
        self._shown_in = 0
        coarse = self._refiner.coarse
        self.before = LabelCanvas(image, coarse, self._classes, BEFORE)
        self.before.status = self._score(coarse)
        self.after = LabelCanvas(image, coarse, self._classes, AFTER)
        self.sliders = {name: slider(CONTROLS[name], getattr(params, name)) for name in sliders}
        for name, control in self.sliders.items():
            control.observe(partial(self._moved, name), "value")
        self.box = _layout(list(self.sliders.values()), [self.before, self.after])
        self._live = Live(self._refiner.answers, self._show, self._fail, self._busy)
        self._live.submit(params)
        self._live.wait_idle()

    @property
    def params(self) -> CRFParams:
        """The settings as the sliders stand now."""
        return self._params

    @property
    def labels(self) -> UInt8[np.ndarray, "H W"]:
        """The refined labels (H, W) for `params`; waits for them if they are still being computed."""
        return self._answer().labels.copy()

    @property
    def marginals(self) -> np.ndarray:
        """The refined probabilities (C, H, W) for `params`; waits for them if they are still being computed."""
        return self._answer().marginals.copy()

    def still(self) -> Still:
        """Photo, coarse labels and refined labels side by side, as a figure: what a page without widgets shows."""
        after = "CRF: " + ", ".join(f"{CONTROLS[name].label.split()[0]} = {getattr(self.params, name):.3g}"
                                    for name in self.sliders)
        return panels([label_panel("image", self._image, self._refiner.coarse, opacity=0.0),
                       label_panel("coarse", self._image, self._refiner.coarse),
                       label_panel(after, self._image, self.labels)], self._classes)

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._live.close()
        for widget in (*self.sliders.values(), self.before, self.after, self.box):
            widget.close()

    def _answer(self) -> Refined:
        self._live.wait_idle()
        if self._live.error is not None:
            raise RuntimeError(f"the CRF failed at {self.params}") from self._live.error
        if self._refined is None:
            raise RuntimeError("this studio was closed before it had an answer")
        return self._refined

    def _moved(self, name: str, change: Any) -> None:
        with self._lock:  # two sliders may call back on two threads
            self._params = replace(self._params, **{name: change["new"]})
            self._live.submit(self._params)

    def _show(self, refined: Refined) -> None:
        self._refined = refined
        changed = 100 * float(np.mean(refined.labels != self._refiner.coarse))
        words = [self._score(refined.labels), f"{changed:.1f} % of pixels relabelled"]
        self.after.show(refined.labels, status=" · ".join(filter(None, words)), settled=refined.full)

    def _score(self, labels: np.ndarray) -> str:
        if self._truth is None:
            return ""
        matrix = ConfusionMatrix(self._refiner.num_classes).update(labels, self._truth)
        return f"mean IoU {100 * matrix.mean_iou('nan'):.1f} %"

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


def crf_studio(image: Any, probs: Any, truth: Any = None, params: CRFParams | None = None,
               *, classes: Sequence[str] = (), sliders: Sequence[str] = tuple(CONTROLS),
               **options: Any) -> CRFStudio:
    """Show an image's labels before and after the fully connected CRF, with a slider for each setting.

    Args:
        image: uint8 RGB, (H, W, 3).
        probs: the net's class probabilities at full resolution, (C, H, W).
        truth: labels (H, W), 255 void; where given, the mean IoU before and after is shown.
        params: where the sliders start; default `CRFParams()`.
        classes: names of the classes, index 0 background, for the legend.
        sliders: which settings get a slider, of w1, sigma_alpha, sigma_beta, w2, sigma_gamma, iterations.
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
    studio = CRFStudio(image, np.asarray(probs), truth, params or CRFParams(), classes, sliders, **options)
    adopt(studio)
    if run_number():
        studio._ipython_display_()
    return studio


def _layout(controls: list[Any], pictures: list[Any]) -> Any:
    for picture in pictures:
        picture.layout = ipywidgets.Layout(flex="1 1 300px", min_width="0", max_width="568px")
    row = ipywidgets.HBox(pictures, layout=ipywidgets.Layout(flex_flow="row wrap", overflow="hidden"))
    return ipywidgets.VBox([*controls, row])
