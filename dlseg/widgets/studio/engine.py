"""What the CRF studio computes, without any widget: a state in; answers out, a quick one first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dlseg.common.checks import message, rgb_image
from dlseg.common.constants import VOID
from dlseg.crf import Affinity, Cancelled, CRFParams, DenseCRF
from dlseg.crf.dense import averaged
from dlseg.crf.labels import label_probabilities
from dlseg.crf.validation import checked_scores

PREVIEW_PIXELS = 50_000  # larger images are first refined at no more than about this many pixels
WHOLE_PIXELS = 1_000_000  # larger images are refined at no more than this many, and it is said
EXACT_PIXELS = 3_000  # the same for the exact kernel, whose work grows with the square: 9 million pairs
SCRIBBLE_NAMES = ("background", "thing 1", "thing 2", "thing 3")
CONFIDENCE = 0.9  # that a scribble is right: a hand says more than a network
Size = tuple[int, int]
SETTINGS = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "iterations")

LABELS, TRUTH, DIFFERENCE, PROBABILITY, ENTROPY, STEPS, AFFINITY = VIEWS = (
    "labels",
    "labels beside the truth",
    "what changed",
    "probability of a class",
    "entropy",
    "step by step",
    "affinity of a pixel",
)


@dataclass(frozen=True, eq=False)
class Subject:
    """An image (H, W, 3) with the names of its labels, and either `probs` (C, H, W) or `scribbles` (H, W)."""

    image: UInt8[np.ndarray, "H W 3"]
    names: tuple[str, ...]
    probs: Float[np.ndarray, "C H W"] | None = None
    scribbles: UInt8[np.ndarray, "H W"] | None = None
    truth: np.ndarray | None = None
    note: str = ""  # what a user should know of the image's size

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    def unary(self) -> Float[np.ndarray, "C H W"]:
        """The probabilities that the CRF starts from; without any scribble all labels are equally likely."""
        if self.probs is not None:
            return self.probs
        assert self.scribbles is not None
        count = len(self.names)
        if (self.scribbles == VOID).all():
            return np.full((count, *self.size), 1 / count, np.float32)
        return label_probabilities(self.scribbles, self.size, count, CONFIDENCE).reshape(count, *self.size)


@dataclass(frozen=True)
class View:
    """What to look at: one of `VIEWS`, and what some of them need to know."""

    name: str = LABELS
    index: int = 0  # the class, for its probability
    place: tuple[float, float] = (0.5, 0.5)  # shares of height and width, for its affinity
    step: int = 0  # the iteration, for step by step


@dataclass(frozen=True)
class Refined:
    """One answer of the CRF: its settings, marginals and labels, which may be smaller than the image."""

    params: CRFParams
    marginals: Float[np.ndarray, "C h w"]
    labels: UInt8[np.ndarray, "h w"]
    full: bool  # False for a preview
    seconds: float = 0.0  # that it took


@dataclass(frozen=True)
class Trace:
    """What each iteration made (0 is the unary alone): labels, free energy, largest change of a marginal."""

    params: CRFParams
    labels: UInt8[np.ndarray, "n h w"]
    free_energy: tuple[float, ...]
    change: tuple[float, ...]


@dataclass(frozen=True)
class StudioState:
    """Where the studio's controls stand."""

    subject: Subject
    params: CRFParams
    kernel: str = "lattice"
    view: View = field(default_factory=View)
    pinned: Refined | None = None
    curves: bool = False

    @property
    def traced(self) -> bool:
        """Whether every iteration is wanted."""
        return self.curves or self.view.name == STEPS


@dataclass(frozen=True)
class Answer:
    """What is true of a state: `coarse` is the unary's own labelling, `working` the size that the CRF worked at."""

    state: StudioState
    coarse: Refined
    refined: Refined
    working: Size
    affinity: Affinity | None = None
    trace: Trace | None = None

    @property
    def before(self) -> Refined:
        """What the left picture shows."""
        return self.state.pinned or self.coarse

    @property
    def settled(self) -> bool:
        """Whether nothing better follows."""
        return self.refined.full and (self.trace is not None or not self.state.traced)


class Engine:
    """Refines the probabilities of a subject; keeps what does not change from state to state. For one thread.

    A large image is worked on at a smaller size (`working`), its lengths in pixels made smaller with it.

    Args:
        options: passed on to `DenseCRF`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._taken: tuple[Subject, str] | None = None
        self._crf: Any = None  # the DenseCRF of what is taken up
        self._latest: Refined | None = None
        self._trace: Trace | None = None

    def answers(self, state: StudioState, overtaken: Callable[[], bool], quick: bool = True) -> Iterator[Answer]:
        """A preview where the image is large, then the answer, then, where wanted, the answer with its trace.

        The full answer equals `DenseCRF(image, probs=probs).infer(params)` for the image at its `working` size.
        After a preview it is given up between two iterations once `overtaken()`. Settings whose full answer was the
        latest get it again at once.

        Args:
            state: where the controls stand.
            overtaken: whether a newer state waits.
            quick: False where the page previews: the answer alone, given up for a newer state at any time.

        Yields:
            Answers, the last one whole.
        """
        self.take(state.subject, state.kernel)
        affinity = self.affinity(state.params, state.view.place) if state.view.name == AFFINITY else None
        trace = self._trace if self._trace is not None and self._trace.params == state.params else None
        kept = trace if state.traced else None
        for refined in self._refined(state.params, overtaken, quick):
            yield Answer(state, self.coarse, refined, self.working, affinity, kept)
        latest = self._latest
        if state.traced and kept is None and latest is not None and latest.params == state.params:
            trace = self.trace(state.params, overtaken)
            if trace is not None:
                yield Answer(state, self.coarse, latest, self.working, affinity, trace)

    def take(self, subject: Subject, kernel: str) -> None:
        """Take up another subject or kernel; with those of before, nothing happens."""
        if self._taken is not None and self._taken[0] is subject and self._taken[1] == kernel:
            return
        self._taken = self._latest = self._trace = self._crf = None  # their memory is free before the next is taken
        probs = checked_scores("probs", subject.unary(), subject.size)
        self._scale = _factor(subject.size, EXACT_PIXELS if kernel == "exact" else WHOLE_PIXELS)
        self._crf = DenseCRF(subject.image, probs=probs, kernel=kernel, **self._options)
        if self._scale > 1:
            self._crf = self._crf.reduced(self._scale)
            probs = next(self._crf.steps(CRFParams(w1=0, w2=0))).q  # of iteration 0: the unary's own
        self.working: Size = (self._crf.height, self._crf.width)
        self.coarse = Refined(CRFParams(), probs, winners(probs), full=True)
        self.shrink = _factor(self.working, PREVIEW_PIXELS)
        self._taken = subject, kernel

    def trace(self, params: CRFParams, overtaken: Callable[[], bool]) -> Trace | None:
        """Iteration by iteration, at the `working` size; None once `overtaken()`."""
        steps = []
        for step in self._crf.steps(self._fitted(params)):
            steps.append((winners(step.q), step.free_energy, step.change))
            if overtaken():
                return None
        labels, energy, change = zip(*steps, strict=True)
        self._trace = Trace(params, np.stack(labels), energy, change)
        return self._trace

    def affinity(self, params: CRFParams, place: tuple[float, float]) -> Affinity:
        """What the pixel at `place` (shares of height and width, 0…1) weighs every other pixel, both kernels."""
        row, column = (min(int(share * n), n - 1) for share, n in zip(place, self.working, strict=True))
        return self._crf.affinity(self._fitted(params), row, column)

    @property
    def plain(self) -> bool:
        """Whether the CRF is that of `CRFParams` alone, without options that change what it computes."""
        return set(self._options) <= {"threads"}

    def smaller(self, pixels: int) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "C h w"], int]:
        """The image and the unary's probabilities at no more than about so many pixels.

        Args:
            pixels: at most, but for what rounding up adds.

        Returns:
            Image (h, w, 3), probabilities (C, h, w), and how many times smaller than the subject both are.
        """
        assert self._taken is not None
        factor = _factor(self.working, pixels) * self._scale
        image = self._taken[0].image
        if factor == 1:
            return image, self.coarse.marginals, 1
        colours = averaged(np.moveaxis(image, 2, 0).astype(np.float32), factor)
        probs = averaged(self.coarse.marginals, factor // self._scale)
        return np.moveaxis(colours + 0.5, 0, 2).astype(np.uint8), probs / probs.sum(axis=0), factor

    def _refined(self, params: CRFParams, overtaken: Callable[[], bool], quick: bool) -> Iterator[Refined]:
        if self._latest is None or self._latest.params != params:
            fitted, begun = self._fitted(params), time.perf_counter()
            previews = quick and self.shrink > 1
            if previews:
                small = self._crf.preview(fitted, factor=self.shrink, enlarge=False)
                yield Refined(params, small, winners(small), False, time.perf_counter() - begun)
                begun = time.perf_counter()
            try:
                marginals = self._crf.infer(fitted, cancel=overtaken if previews or not quick else None)
            except Cancelled:
                return
            self._latest = Refined(params, marginals, winners(marginals), True, time.perf_counter() - begun)
        yield self._latest

    def _fitted(self, params: CRFParams) -> CRFParams:
        return params if self._scale == 1 else params.scaled(1 / self._scale)


def settings_of(params: CRFParams) -> tuple[float, ...]:
    """The settings that have sliders, in their order; () where a length is a pair, which no slider sets."""
    values = [getattr(params, name) for name in SETTINGS]
    return () if any(isinstance(value, tuple) for value in values) else tuple(map(float, values))


def winners(probs: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Each pixel's most probable class, (h, w)."""
    return probs.argmax(axis=0).astype(np.uint8)


def blank(image: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """No scribbles on an image (H, W, 3)."""
    return np.full(image.shape[:2], VOID, np.uint8)


def make_subject(image: Any, probs: Any, truth: Any, scribbles: Any, classes: Sequence[str]) -> Subject:
    """A subject from what a user gave; without `probs` and `scribbles`, one to scribble on.

    Raises:
        ValueError, TypeError: an argument of the wrong kind or shape; it says which.
    """
    image = rgb_image("image", np.asarray(image))
    if 0 in image.shape:
        raise ValueError(message("image", image.shape, "at least one pixel"))
    if truth is not None and np.shape(truth) != image.shape[:2]:
        raise ValueError(message("truth", f"shape {np.shape(truth)}", f"shape {image.shape[:2]}"))
    truth = None if truth is None else np.asarray(truth)
    if probs is not None:
        if scribbles is not None:
            raise TypeError(message("probs, scribbles", "both", "one: what the CRF starts from"))
        probs = np.asarray(probs)
        names = tuple(classes) or tuple(f"class {index}" for index in range(len(probs)))
        return Subject(image, names, probs, None, truth)
    names = tuple(classes) or SCRIBBLE_NAMES
    if len(names) < 2:
        raise ValueError(message("classes", list(names), "two names or more, background first"))
    return Subject(image, names, None, _checked(scribbles, image, len(names)), truth)


def _checked(scribbles: Any, image: np.ndarray, count: int) -> np.ndarray:
    if scribbles is None:
        return blank(image)
    array = np.asarray(scribbles)
    if array.shape != image.shape[:2] or array.dtype.kind not in "iu":
        expected = f"whole numbers of shape {image.shape[:2]}"
        raise ValueError(message("scribbles", f"{array.dtype} {array.shape}", expected))
    wrong = array[(array != VOID) & ((array < 0) | (array >= count))]
    if wrong.size:
        raise ValueError(message("scribbles", f"label {wrong[0]}", f"0 … {count - 1}, or {VOID} where none is"))
    return array.astype(np.uint8)


def _factor(size: Size, most: int) -> int:
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / most)))
