"""Labelling near object boundaries: the trimap curve of the paper's figure 5, exactly as its authors compute it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Integer
from scipy.ndimage import distance_transform_cdt

from dlseg.common.checks import whole_number
from dlseg.common.constants import VOID
from dlseg.evaluation.matrix import ConfusionMatrix, Convention


def trimap_band(truth: Integer[np.ndarray, "H W"], width: int) -> Bool[np.ndarray, "H W"]:
    """The band of the trimap curve: pixels at most `width` px (chessboard distance) from a void pixel.

    Void pixels themselves are not in it. This is the authors' `MyVOCevalsegBoundary.m`: the void pixels
    dilated by a square of side 2·width + 1, less the void pixels. The width is one-sided.
    """
    whole_number("width", width, 1)
    distance = _distance(np.asarray(truth))
    return (distance > 0) & (distance <= width)


def _distance(truth: Integer[np.ndarray, "H W"]) -> Integer[np.ndarray, "H W"]:
    """Chessboard distance to the nearest void pixel; 0 where there is none at all, as in void itself."""
    void = truth == VOID
    if not void.any():
        return np.zeros(truth.shape, np.int32)
    return distance_transform_cdt(~void, metric="chessboard")


class Trimap:
    """A confusion matrix for each width of the band, filled image by image."""

    def __init__(self, num_classes: int, widths: Sequence[int]) -> None:
        for width in widths:
            whole_number("width", width, 1)
        self.matrices = {width: ConfusionMatrix(num_classes) for width in widths}

    def update(self, prediction: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"]) -> None:
        """Add an image. Raises ValueError for shapes or labels as `ConfusionMatrix` does."""
        truth = np.asarray(truth)
        distance = _distance(truth)
        for width, matrix in self.matrices.items():
            matrix.update(prediction, np.where((distance > 0) & (distance <= width), truth, VOID))

    def mean_iou(self, convention: Convention = "nan") -> dict[int, float]:
        """`{width: mean IoU in its band}`; by default without classes that the band does not hold."""
        return {width: matrix.mean_iou(convention) for width, matrix in self.matrices.items()}

    def pixel_accuracy(self) -> dict[int, float]:
        """`{width: share of the band's pixels with the right class}`."""
        return {width: matrix.pixel_accuracy() for width, matrix in self.matrices.items()}


def trimap_curve(
    predictions: Iterable[Integer[np.ndarray, "_ _"]],
    truths: Iterable[Integer[np.ndarray, "_ _"]],
    widths: Sequence[int] = (1, 5, 10),
    num_classes: int = 21,
    convention: Convention = "nan",
) -> dict[int, float]:
    """Mean IoU near object boundaries over all images: `{width in px: mean IoU in the band}` (section 5).

    The default convention leaves out classes that no band holds: the authors' code gives NaN for them.

    Raises:
        ValueError: more predictions than truths or the reverse; shapes or labels as in `ConfusionMatrix`.
    """
    trimap = Trimap(num_classes, widths)
    for prediction, truth in zip(predictions, truths, strict=True):
        trimap.update(prediction, truth)
    return trimap.mean_iou(convention)
