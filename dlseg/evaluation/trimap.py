"""Labelling near object boundaries: the trimap curve of the paper's figure 5, exactly as its authors compute it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Integer
from scipy.ndimage import distance_transform_cdt

from dlseg.common.checks import one_of, whole_number
from dlseg.common.constants import VOID
from dlseg.evaluation.confusion_matrix import ConfusionMatrix, Convention

Around = Literal["void", "edges"]
AROUND: tuple[Around, ...] = get_args(Around)


def trimap_band(truth: Integer[np.ndarray, "H W"], width: int, around: Around = "void") -> Bool[np.ndarray, "H W"]:
    """The pixels near object boundaries on which the trimap curve measures (section 5, figure 5).

    Around "void" it is the band of the authors' `MyVOCevalsegBoundary.m`: the void pixels dilated by a square of
    side 2·width + 1, less the void pixels. Sets without void rings round their objects have no such band; around
    "edges" it is the pixels at most `width` px (chessboard distance) from a pixel of another class across an edge.
    Void is no class: it makes no edge and is in no band.

    Args:
        truth: labels (H, W), 255 void.
        width: to one side of the boundary, in pixels.
        around: "void" or "edges".

    Raises:
        ValueError: a width below 1, or another word for `around`.

    >>> truth = np.array([[0, 0, 0, 255, 1, 1, 1]])
    >>> trimap_band(truth, 1).astype(int)
    array([[0, 0, 1, 0, 1, 0, 0]])
    >>> trimap_band(np.array([[0, 0, 0, 1, 1, 1]]), 2, "edges").astype(int)
    array([[0, 1, 1, 1, 1, 0]])
    """
    whole_number("width", width, 1)
    one_of("around", around, AROUND)
    distance = _distance(np.asarray(truth), around)
    return (distance > 0) & (distance <= width)


def _distance(truth: Integer[np.ndarray, "H W"], around: Around) -> Integer[np.ndarray, "H W"]:
    """Chessboard distance to the boundary, from 1 beside it; 0 in void, and everywhere without a boundary."""
    void = truth == VOID
    boundary = void if around == "void" else _edges(truth)
    if not boundary.any():
        return np.zeros(truth.shape, np.int32)
    distance = distance_transform_cdt(~boundary, metric="chessboard")
    return distance if around == "void" else np.where(void, 0, distance + 1)


def _edges(truth: Integer[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The pixels of a class that touch, at a side or a corner, one of another class."""
    height, width = truth.shape
    known, edge = truth != VOID, np.zeros(truth.shape, bool)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        other = np.s_[down:, max(0, right) : width + min(0, right)]
        differ = (truth[one] != truth[other]) & known[one] & known[other]
        edge[one] |= differ
        edge[other] |= differ
    return edge


class Trimap:
    """A confusion matrix for each width of the band, filled image by image (figure 5).

    Args:
        num_classes: background included.
        widths: of the band, px to one side of the boundary.
        around: what a boundary is, see `trimap_band`.

    >>> trimap = Trimap(2, (1, 2))
    >>> trimap.update(np.array([[0, 0, 0, 0, 1, 1]]), np.array([[0, 0, 255, 1, 1, 1]]))
    >>> trimap.pixel_accuracy()
    {1: 0.5, 2: 0.75}
    """

    def __init__(self, num_classes: int, widths: Sequence[int], around: Around = "void") -> None:
        self.around = one_of("around", around, AROUND)
        for width in widths:
            whole_number("width", width, 1)
        self.matrices = {width: ConfusionMatrix(num_classes) for width in widths}

    def update(self, prediction: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"]) -> None:
        """Add an image. Raises ValueError for shapes or labels as `ConfusionMatrix` does."""
        truth = np.asarray(truth)
        distance = _distance(truth, self.around)
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
    around: Around = "void",
) -> dict[int, float]:
    """Mean IoU near object boundaries over all images (section 5, figure 5).

    Args:
        predictions: labels (H, W), one for each truth.
        truths: labels (H, W), 255 void.
        widths: of the band, in pixels to one side of the boundary.
        num_classes: background included.
        convention: what a class counts that no band holds; by default it is left out, as in the authors' code.
        around: what a boundary is, see `trimap_band`.

    Returns:
        Mean IoU in the band, by width; NaN where there is no band.

    Raises:
        ValueError: more predictions than truths or the reverse; shapes or labels as in `ConfusionMatrix`.

    >>> truth = np.array([[0, 0, 255, 1, 1, 1]])
    >>> trimap_curve([np.array([[0, 0, 0, 0, 1, 1]])], [truth], widths=(1, 2), num_classes=2)
    {1: 0.25, 2: 0.5833333333333333}
    """
    trimap = Trimap(num_classes, widths, around)
    for prediction, truth in zip(predictions, truths, strict=True):
        trimap.update(prediction, truth)
    return trimap.mean_iou(convention)
