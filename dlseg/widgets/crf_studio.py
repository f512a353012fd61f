"""The CRF studio (paper, section 4): move a setting, see the labels before and after the fully connected CRF."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import UInt8

from dlseg.crf import CRFParams
from dlseg.figures import Still, panels
from dlseg.widgets.chart import Chart
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import ROW, Explorer, close_all
from dlseg.widgets.layers import Picture, decimated
from dlseg.widgets.studio import view
from dlseg.widgets.studio.controls import CONTROLS, HAND, NET, START, StudioControls, slider_grid, views
from dlseg.widgets.studio.engine import (
    AFFINITY,
    LABELS,
    SCRIBBLE_NAMES,
    STEPS,
    Answer,
    Engine,
    StudioState,
    Subject,
    blank,
    make_subject,
)
from dlseg.widgets.studio.preview import PagePreview

CALM = 0.15  # seconds without a newer state, after which the whole answer is computed while the page previews
STALE = 0.5  # seconds after which it is computed even so: the numbers beside the pictures are not older than that


class CRFStudio(Explorer[StudioState, Answer]):
    """The explorer that `crf_studio` makes and shows; see there. Safe to read while a slider is being dragged.

    Args:
        subject: the photo with its scores or scribbles, truth and names.
        params: where the sliders start.
        sliders: which settings get a slider.
        tools: whether to show the rows for settings, views and inputs.
        kernel: the kernel that the pairwise terms are computed by.
        options: passed on to `DenseCRF`.
    """

    def __init__(
        self, subject: Subject, params: CRFParams, sliders: Sequence[str], tools: bool, kernel: str, **options: Any
    ) -> None:
        state = StudioState(subject, params, kernel)
        self._engine, self._first, self._drawn, self._has_tools = Engine(**options), subject, subject, tools
        self._engine.take(subject, kernel)  # the caller's mistakes come out here
        self.tools = StudioControls(state, sliders)
        wide = {"flex": "1 1 230px", "min_width": "0", "max_width": "300px"}
        self.charts = [Chart(layout=wide) for _ in range(3)]
        self._charted = (0, 0)  # which trace, beside what
        self._covers: Callable[[StudioState], bool] = lambda _: False
        self._since = 0.0  # when the first state came that has no answer yet; 0 where there is none
        shown_fields = self.tools.fields if tools else self.tools.slider_fields
        self.start(state, shown_fields, 200)
        self.before, self.after, self.compared = self.pictures
        if tools:
            self.box.add_class("dlseg-studio")
        self.sliders = self.tools.sliders
        if subject.scribbles is not None:
            self.before.take(subject.image, subject.scribbles)
        self._listen()

    def _answer(self, state: StudioState) -> Answer:
        *_, answer = self._answers(state, lambda: False)
        return answer

    def _answers(self, state: StudioState, overtaken: Callable[[], bool]) -> Iterator[Answer]:
        covered, must = self._covers(state), False
        if covered:  # the page shows previews: its engine gets the processors while a slider moves
            now = time.monotonic()
            self._since = self._since or now
            must = now - self._since > STALE
            while not must and time.monotonic() < now + CALM:
                if overtaken():
                    return
                time.sleep(CALM / 10)
        yield from self._engine.answers(state, (lambda: False) if must else overtaken, quick=not covered)

    def _draw(self, answer: Answer) -> Sequence[Picture]:
        return view.pictures(answer)

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        return {"view.place": (row, column)} if self.state.view.name == AFFINITY else {}

    def _fitted(self, state: StudioState) -> StudioState:
        subject, looked_at = state.subject, state.view
        last = len(subject.names) - 1
        name = looked_at.name if looked_at.name in views(subject) else LABELS
        step = min(looked_at.step, state.params.iterations)
        looked_at = replace(looked_at, name=name, index=min(looked_at.index, last), step=step)
        pinned = state.pinned if subject.image is self.state.subject.image else None
        return replace(state, view=looked_at, pinned=pinned)

    def _offer(self, state: StudioState) -> None:
        self.tools.offer(state)

    def _beside(self, answer: Answer) -> None:
        state, trace = answer.state, answer.trace
        self._since = 0.0
        if answer.refined.full:
            self.preview.offer(answer, self._engine)
        self.tools.copied(state.params)
        self.tools.scores.value = view.scores(answer)
        self.charts_row.layout.display = None if state.curves else "none"
        if not state.curves or trace is None:
            return
        key = id(trace), id(answer.before)
        if self._charted != key:
            found = view.curves(answer)
            for chart, one in zip(self.charts, found, strict=False):
                chart.show(one)
            for chart in self.charts[len(found) :]:
                chart.data = {}
            self._charted = key
        for chart in self.charts[:2]:
            chart.marker = state.view.step if state.view.name == STEPS else -1

    def _rows(self) -> list[Any]:
        self.charts_row = ipywidgets.HBox(self.charts, layout={**ROW, "display": "none"})
        pictures = ipywidgets.HBox(self.pictures, layout=ROW)
        self.charts_row.add_class("dlseg-kernel")
        self.preview = PagePreview(self.pictures[1], self.tools.sliders)
        self._covers = self.preview.covers
        if self._has_tools:
            return [*self.tools.above, pictures, *self.tools.below, self.charts_row, self.preview]
        return [slider_grid(self.tools.sliders), pictures, self.preview]

    @property
    def params(self) -> CRFParams:
        """The settings as the sliders stand now; set them, and the sliders follow."""
        return self.state.params

    @params.setter
    def params(self, params: CRFParams) -> None:
        self._ask({"params": params})

    @property
    def labels(self) -> UInt8[np.ndarray, "H W"]:
        """The refined labels (H, W) for `params`; waits for them if they are still being computed."""
        answer = self.answer
        return decimated(answer.refined.labels, answer.state.subject.size)

    @property
    def marginals(self) -> np.ndarray:
        """The refined probabilities (C, H, W) for `params`; waits for them if they are still being computed."""
        answer = self.answer
        return decimated(answer.refined.marginals, answer.state.subject.size)

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """The image worked on: the one given, or the user's own."""
        return self.state.subject.image.copy()

    @property
    def scribbles(self) -> UInt8[np.ndarray, "H W"] | None:
        """What was drawn by hand, 255 where nothing was; None while a network's scores are the unary."""
        drawn = self.state.subject.scribbles
        return None if drawn is None else drawn.copy()

    @property
    def kernel(self) -> str:
        """The kernel that the pairwise terms are computed by."""
        return self.state.kernel

    def still(self) -> Still:
        """Photo, coarse labels and refined labels side by side, as a figure: what a page without widgets shows.

        Returns:
            The figure.
        """
        set_now = {name: getattr(self.params, name) for name in self.sliders if name != "iterations"}
        title = "CRF: " + ", ".join(f"{CONTROLS[name].symbol} {value:.3g}" for name, value in set_now.items())
        return panels(view.panels_of(self.answer, title), self.state.subject.names)

    def __repr__(self) -> str:
        return f"CRFStudio({self.params})"

    def close(self) -> None:
        """End the explorer's thread and take its controls out of the page."""
        super().close()
        close_all([*self.tools.above, *self.tools.below])

    def take(self, subject: Subject) -> None:
        """Take up another subject: its photo, scribbles and names.

        Without the lock: a picture that calls back from the page holds its own, and then wants this one.

        Args:
            subject: the photo with its scores or scribbles, truth and names.
        """
        self.before.take(subject.image, subject.scribbles)
        self.after.take(subject.image)
        self._ask({"subject": subject})

    def _listen(self) -> None:
        """To the controls that act, and to strokes of the brush."""
        tools = self.tools
        tools.preset.observe(lambda change: self._ask({"params": tools.presets[change["new"]]}), "value")
        tools.reset.on_click(self._reset)
        tools.pin.observe(self._pin, "value")
        tools.source.observe(self._source, "value")
        tools.photo.observe(self._load, "count")
        tools.clear.on_click(lambda _: self.take(replace(self.state.subject, scribbles=blank(self.image))))
        self.before.observe(self._stroke, "strokes")
        if self._has_tools:
            tools.brush.observe(self._hold_brush, "value")
            tools.width.observe(self._hold_brush, "value")
            self._hold_brush()

    def _hold_brush(self, _: Any = None) -> None:
        """At once, whatever is being computed: the next stroke is of this label and width."""
        self.before.brush = [self.tools.brush.value, self.tools.width.value]

    def _reset(self, _: Any) -> None:
        self.tools.preset.value = START
        self.params = self.tools.presets[START]

    def _pin(self, change: Any) -> None:
        if not self._by_hand():
            return
        answer = self._live.latest
        whole = None if answer is None or not answer.refined.full else answer.refined  # a preview cannot be kept
        self._ask({"pinned": whole if change["new"] else None})

    def _by_hand(self) -> bool:
        """Whether a control that calls back was moved by the user, and not by the studio itself."""
        with self._lock:  # another thread may be at it
            return not self._setting

    def _stroke(self, _: Any) -> None:
        with self._lock:
            subject = self.state.subject
            if subject.scribbles is not None:
                self._ask({"subject": replace(subject, scribbles=decimated(self.before.scribbles, subject.size))})

    def _source(self, change: Any) -> None:
        if not self._by_hand():
            return
        now = self.state.subject
        if change["new"] == NET and now.probs is None:
            self._drawn = now  # to come back to
            self.take(self._first)
        elif change["new"] == HAND and now.probs is not None:
            drawn = self._drawn
            fresh = replace(now, probs=None, scribbles=blank(now.image))
            self.take(drawn if drawn.scribbles is not None else fresh)

    def _load(self, _: Any) -> None:
        photo = self.tools.photo
        try:
            image, (height, width) = photo.image, photo.original
        except (OSError, ValueError) as error:
            photo.error = f"{photo.name} is no picture that can be read ({error})"
            return
        photo.error = ""
        names = SCRIBBLE_NAMES if self._first.probs is not None else self._first.names
        used = f"{width} × {height} pixels, used at {image.shape[1]} × {image.shape[0]}"
        note = "" if image.shape[:2] == (height, width) else used
        self.take(Subject(image, names, None, blank(image), None, note))


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
        scribbles: labels (H, W) given by hand, 255 where there is none; they can be drawn with the mouse.
        classes: names of the classes, index 0 background, for the legend.
        sliders: which settings get a slider, of w1, sigma_alpha, sigma_beta, w2, sigma_gamma, iterations.
        tools: whether to show the rows for settings, views and inputs.
        kernel, options: passed on to `DenseCRF`.

    Returns:
        The studio: `.params`, `.labels` (H, W), `.marginals` (C, H, W), `.scribbles`, `.image` follow it.

    Raises:
        ValueError, TypeError: an argument of the wrong kind or shape, or an unknown slider; it says which.
    """
    subject = make_subject(image, probs, truth, scribbles, classes)
    if unknown := set(sliders) - set(CONTROLS):
        raise ValueError(f"sliders: unknown {sorted(unknown)}, expected some of {', '.join(CONTROLS)}")
    return shown(CRFStudio(subject, params or CRFParams(), sliders, tools, kernel, **options))
