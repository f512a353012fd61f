"""What the CRF studio computes, without any widget: settings in; label pictures out, a small quick one first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dlseg.crf import Cancelled, CRFParams, DenseCRF

PREVIEW_PIXELS = 50_000  # larger images are first refined at no more than about this many pixels


@dataclass(frozen=True)
class Refined:
    """One answer of the CRF: the settings it is for, marginals, labels, and whether in full."""

    params: CRFParams
    marginals: Float[np.ndarray, "C h w"]
    labels: UInt8[np.ndarray, "H W"]
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
        self.num_classes, self.coarse = len(probs), _winners(probs)
        self.shrink = max(1, math.ceil((image.shape[0] * image.shape[1] / PREVIEW_PIXELS) ** 0.5))
        self._small = self._smaller(image, probs, **options) if self.shrink > 1 else None

    def _smaller(self, image: np.ndarray, probs: np.ndarray, **options: Any) -> DenseCRF:
        size = -(-self.size[0] // self.shrink), -(-self.size[1] // self.shrink)
        photo = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX))
        maps = np.stack([_resize(map_, size, Image.Resampling.BOX) for map_ in probs])
        return DenseCRF(photo, probs=maps / maps.sum(axis=0), **options)

    def answers(self, params: CRFParams, overtaken: Callable[[], bool]) -> Iterator[Refined]:
        """The preview, where the image is large, then the full answer, which equals `DenseCRF.infer(params)`.

        After a preview, the full answer is given up between two iterations once `overtaken()`.
        """
        if self._small is not None:
            quick = self._small.infer(params.scaled(1 / self.shrink))
            yield Refined(params, quick, _resize(_winners(quick), self.size, Image.Resampling.NEAREST), full=False)
        try:
            marginals = self._full.infer(params, cancel=overtaken if self._small else None)
        except Cancelled:
            return
        yield Refined(params, marginals, _winners(marginals), full=True)


def _winners(probs: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    return probs.argmax(axis=0).astype(np.uint8)


def _resize(plane: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize(size[::-1], how))
