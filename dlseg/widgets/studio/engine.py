"""What the CRF studio computes, without any widget: settings in; answers out, a small quick one first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dlseg.crf import Affinity, Cancelled, CRFParams, DenseCRF
from dlseg.crf.validation import checked_scores
from dlseg.widgets.planes import decimated

PREVIEW_PIXELS = 50_000  # larger images are first refined at no more than about this many pixels
WHOLE_PIXELS = 1_000_000  # larger images are refined at no more than this many, and it is said
EXACT_PIXELS = 3_000  # the same for the exact kernel, whose work grows with the square: 9 million pairs
Size = tuple[int, int]


@dataclass(frozen=True)
class Refined:
    """One answer of the CRF: its settings, marginals and labels, which may be smaller than the image."""

    params: CRFParams
    marginals: Float[np.ndarray, "C h w"]
    labels: UInt8[np.ndarray, "h w"]
    full: bool  # False for a preview


@dataclass(frozen=True)
class Trace:
    """What each iteration made (0 is the unary alone): labels, free energy, largest change of a marginal."""

    params: CRFParams
    labels: UInt8[np.ndarray, "n h w"]
    free_energy: tuple[float, ...]
    change: tuple[float, ...]


class Refiner:
    """Refines one image's probabilities under any settings; keeps what does not change between them.

    A large image is worked on at a smaller size (`working`), its lengths in pixels made smaller with it.

    Args:
        image: uint8 RGB, (H, W, 3).
        probs: class probabilities, (C, H, W).
        kernel, options: as for `DenseCRF`.
    """

    def __init__(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        probs: Float[np.ndarray, "C H W"],
        kernel: str = "lattice",
        **options: Any,
    ) -> None:
        self.size: Size = (image.shape[0], image.shape[1])
        probs = checked_scores("probs", probs, self.size)
        self._scale, most = 1, EXACT_PIXELS if kernel == "exact" else WHOLE_PIXELS
        if (factor := _factor(self.size, most)) > 1:
            (image, probs), self._scale = smaller(image, probs, factor), factor
        self._full = DenseCRF(image, probs=probs, kernel=kernel, **options)
        self.working: Size = (image.shape[0], image.shape[1])
        self.num_classes = len(probs)
        self.coarse = Refined(CRFParams(), probs, winners(probs), full=True)
        self.shrink = _factor(self.working, PREVIEW_PIXELS)
        self._small: DenseCRF | None = None
        if self.shrink > 1:
            photo, maps = smaller(image, probs, self.shrink)
            self._small = DenseCRF(photo, probs=maps, kernel=kernel, **options)
        self._latest: Refined | None = None
        self._trace: Trace | None = None

    def answers(self, params: CRFParams, overtaken: Callable[[], bool]) -> Iterator[Refined]:
        """The preview, where the image is large, then the full answer.

        The full answer equals `DenseCRF(image, probs=probs).infer(params)` for the image at its `working` size.
        After a preview it is given up between two iterations once `overtaken()`. Settings whose full answer was the
        latest get it again at once.
        """
        if self._latest is None or self._latest.params != params:
            if self._small is not None:
                quick = self._small.infer(self._fitted(params).scaled(1 / self.shrink))
                yield Refined(params, quick, winners(quick), full=False)
            try:
                marginals = self._full.infer(self._fitted(params), cancel=overtaken if self._small else None)
            except Cancelled:
                return
            self._latest = Refined(params, marginals, winners(marginals), full=True)
        yield self._latest

    def kept_trace(self, params: CRFParams) -> Trace | None:
        """The trace under `params`, where it is the latest that was made."""
        return self._trace if self._trace is not None and self._trace.params == params else None

    def trace(self, params: CRFParams, overtaken: Callable[[], bool]) -> Trace | None:
        """Iteration by iteration, at the `working` size; None once `overtaken()`."""
        steps = []
        for step in self._full.steps(self._fitted(params)):
            steps.append((winners(step.q), step.free_energy, step.change))
            if overtaken():
                return None
        labels, energy, change = zip(*steps, strict=True)
        self._trace = Trace(params, np.stack(labels), energy, change)
        return self._trace

    def affinity(self, params: CRFParams, place: tuple[float, float]) -> Affinity:
        """What the pixel at `place` (shares of height and width, 0…1) weighs every other pixel, both kernels."""
        row, column = (min(int(share * side), side - 1) for share, side in zip(place, self.working, strict=True))
        return self._full.affinity(self._fitted(params), row, column)

    def enlarged(self, planes: np.ndarray) -> np.ndarray:
        """Planes (…, h, w) at the image's own size, each pixel taking the nearest's value."""
        return decimated(planes, self.size)

    def _fitted(self, params: CRFParams) -> CRFParams:
        return params if self._scale == 1 else params.scaled(1 / self._scale)


def smaller(image: np.ndarray, probs: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) and probabilities (C, H, W) averaged to about a `factor`th of their sides."""
    size = -(-image.shape[1] // factor), -(-image.shape[0] // factor)
    photo, *maps = (
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))
        for plane in (image, *probs.astype(np.float32, copy=False))
    )
    return photo, np.stack(maps) / np.sum(maps, axis=0)


def winners(probs: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Each pixel's most probable class, (h, w)."""
    return probs.argmax(axis=0).astype(np.uint8)


def _factor(size: Size, most: int) -> int:
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / most)))
