"""The CRF studio (paper, section 4): move a setting, see the labels before and after the fully connected CRF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dlseg.crf import CRFParams
from dlseg.figures import Still, label_panel, panels
from dlseg.widgets.canvas import shown_size
from dlseg.widgets.controls import CONTROLS
from dlseg.widgets.display import Shown, shown
from dlseg.widgets.live import Live
from dlseg.widgets.planes import decimated
from dlseg.widgets.refiner import Refined
from dlseg.widgets.studio_bench import Answer, Asked, Bench
from dlseg.widgets.studio_desk import Desk
from dlseg.widgets.subject import Subject, make_subject


class CRFStudio(Shown):
    """The explorer that `crf_studio` makes and shows; see there. Safe to read while a slider is being dragged."""

    def __init__(
        self, subject: Subject, params: CRFParams, sliders: Sequence[str], tools: bool, kernel: str, **options: Any
    ) -> None:
        self._bench = Bench(options)
        self._bench.refiner(subject, kernel)  # the caller's mistakes come out here, before there is a thread
        self._answer: Answer | None = None
        self._desk = Desk(Asked(subject, params, kernel), sliders, tools, self._submit, self._whole)
        self.sliders, self.tools, self.inputs = self._desk.sliders, self._desk.tools, self._desk.inputs
        self.screen, self.box = self._desk.screen, self._desk.box
        self.before, self.after = self.screen.before, self.screen.after
        self._live = Live(self._bench.answers, self._show, self._fail, self._busy)
        self._desk.place(subject)
        self._live.wait_idle()

    @property
    def params(self) -> CRFParams:
        """The settings as the sliders stand now; set them, and the sliders follow."""
        return self._desk.asked.params

    @params.setter
    def params(self, params: CRFParams) -> None:
        self._desk.set_params(params)

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
        return self._desk.asked.subject.image.copy()

    @property
    def scribbles(self) -> UInt8[np.ndarray, "H W"] | None:
        """What was drawn by hand, 255 where nothing was; None while a network's scores are the unary."""
        drawn = self._desk.asked.subject.scribbles
        return None if drawn is None else drawn.copy()

    @property
    def kernel(self) -> str:
        """The kernel that the pairwise terms are computed by."""
        return self._desk.asked.kernel

    def still(self) -> Still:
        """Photo, coarse labels and refined labels side by side, as a figure: what a page without widgets shows."""
        after = "CRF: " + ", ".join(
            f"{CONTROLS[name].label.split()[0]} {getattr(self.params, name):.3g}"
            for name in self.sliders
            if name != "iterations"
        )
        answer = self._settled()
        subject = answer.asked.subject
        size = shown_size(*subject.size)
        photo = np.moveaxis(decimated(np.moveaxis(subject.image, 2, 0), size), 0, 2)
        by_hand = subject.scribbles is not None
        coarse = decimated(answer.coarse.labels if subject.scribbles is None else subject.scribbles, size)
        return panels(
            [
                label_panel("image", photo, coarse, opacity=0.0),
                label_panel("scribbles" if by_hand else "coarse", photo, coarse),
                label_panel(after, photo, decimated(answer.refined.labels, size)),
            ],
            subject.names,
        )

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        self._live.close()
        for widget in self._desk.all:
            widget.close()

    def _submit(self, asked: Asked) -> None:
        self._live.submit(asked)

    def _whole(self) -> Refined | None:
        answer = self._answer
        return answer.refined if answer is not None and answer.refined.full else None

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

    def __repr__(self) -> str:
        return f"CRFStudio({self.params})"


def crf_studio(
    image: Any,
    probs: Any = None,
    truth: Any = None,
    params: CRFParams | None = None,
    *,
    scribbles: Any = None,
    classes: Sequence[str] = (),
    sliders: Sequence[str] = tuple(CONTROLS),
    tools: bool = True,
    kernel: str = "lattice",
    **options: Any,
) -> CRFStudio:
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
    return shown(CRFStudio(subject, params or CRFParams(), sliders, tools, kernel, **options))
