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

PREVIEW_PIXELS = 50_000  # larger images are first refined at no more than about this many pixels


@dataclass(frozen=True)
class Refined:
    """One answer of the CRF: its settings, marginals and labels; a preview's are smaller than the image."""

    params: CRFParams
    marginals: Float[np.ndarray, "C h w"]
    labels: UInt8[np.ndarray, "h w"]
    full: bool


class Refiner:
    """Refines one image's probabilities under any settings; keeps what does not change between them.

    Args:
        image: uint8 RGB, (H, W, 3).
        probs: class probabilities, (C, H, W).
        options: passed on to `DenseCRF` (for example `kernel=`).
    """

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], probs: Float[np.ndarray, "C H W"],
                 **options: Any) -> None:
        self._full = DenseCRF(image, probs=probs, **options)
        self.size: tuple[int, int] = image.shape[:2]
        self.num_classes = len(probs)
        self.coarse = Refined(CRFParams(), probs, _winners(probs), full=True)
        self.shrink = max(1, math.ceil((image.shape[0] * image.shape[1] / PREVIEW_PIXELS) ** 0.5))
        self._small = self._smaller(image, probs, **options) if self.shrink > 1 else None
        self._latest: Refined | None = None

    def answers(self, params: CRFParams, overtaken: Callable[[], bool]) -> Iterator[Refined]:
        """The preview, where the image is large, then the full answer, which equals `DenseCRF.infer(params)`.

        After a preview, the full answer is given up between two iterations once `overtaken()`. Settings whose full
        answer was the latest get it again at once.
        """
        if self._latest is None or self._latest.params != params:
            if self._small is not None:
                quick = self._small.infer(params.scaled(1 / self.shrink))
                yield Refined(params, quick, _winners(quick), full=False)
            try:
                marginals = self._full.infer(params, cancel=overtaken if self._small else None)
            except Cancelled:
                return
            self._latest = Refined(params, marginals, _winners(marginals), full=True)
        yield self._latest

    def affinity(self, params: CRFParams, place: tuple[float, float]) -> Affinity:
        """What the pixel at `place` (shares of height and width, 0…1) weighs every other pixel, both kernels."""
        row, column = (min(int(share * side), side - 1) for share, side in zip(place, self.size, strict=True))
        return self._full.affinity(params, row, column)

    def _smaller(self, image: np.ndarray, probs: np.ndarray, **options: Any) -> DenseCRF:
        size = -(-self.size[0] // self.shrink), -(-self.size[1] // self.shrink)
        photo, *maps = (np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BOX))
                        for plane in (image, *probs))
        return DenseCRF(photo, probs=np.stack(maps) / np.sum(maps, axis=0), **options)


def _winners(probs: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    return probs.argmax(axis=0).astype(np.uint8)
