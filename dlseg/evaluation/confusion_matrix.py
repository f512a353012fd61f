"""One confusion matrix over all images, and what is read off it (section 5)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Integer

from dlseg.common.checks import message, one_of, whole_number
from dlseg.common.constants import VOID

Convention = Literal["voc", "present", "nan"]
CONVENTIONS: tuple[Convention, ...] = ("voc", "present", "nan")


class ConfusionMatrix:
    """Counts pixels by (true class, predicted class), image after image; void pixels are never counted.

    Args:
        num_classes: number of classes, background included.
        ignore_index: the label in the truth that means "not annotated" (VOC: 255).

    >>> matrix = ConfusionMatrix(2).update(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 255]))
    >>> matrix.counts.tolist(), matrix.iou().tolist(), matrix.mean_iou()
    ([[1, 1], [0, 1]], [0.5, 0.5], 0.5)
    """

    def __init__(self, num_classes: int, ignore_index: int = VOID) -> None:
        self.num_classes = whole_number("num_classes", num_classes, 1)
        self.ignore_index = ignore_index
        self.counts: Integer[np.ndarray, "C C"] = np.zeros((num_classes, num_classes), dtype=np.int64)

    def update(self, prediction: Integer[np.ndarray, "..."], truth: Integer[np.ndarray, "..."]) -> ConfusionMatrix:
        """Add an image, or a batch.

        Args:
            prediction: integer labels of any shape.
            truth: the same shape.

        Returns:
            Itself.

        Raises:
            TypeError: labels that are no whole numbers.
            ValueError: the shapes differ, or a counted label lies outside 0 … num_classes − 1.
        """
        prediction, truth = np.asarray(prediction), np.asarray(truth)
        for name, labels in (("prediction", prediction), ("truth", truth)):
            if labels.dtype.kind not in "biu":
                raise TypeError(message(name, labels.dtype, "whole numbers", ".astype(int) makes them"))
        if prediction.shape != truth.shape:
            raise ValueError(message("prediction", f"shape {prediction.shape}", f"the truth's {truth.shape}"))
        valid = truth != self.ignore_index
        row, column = truth[valid], prediction[valid]
        self._check_range("truth", row)
        self._check_range("prediction", column)
        n, row, column = self.num_classes, row.astype(np.int64), column.astype(np.int64)
        self.counts += np.bincount(n * row + column, minlength=n * n).reshape(n, n)
        return self

    def _check_range(self, name: str, labels: Integer[np.ndarray, " N"]) -> None:
        if labels.size and (labels.min() < 0 or labels.max() >= self.num_classes):
            wrong = labels[(labels < 0) | (labels >= self.num_classes)][0]
            expected = f"0 … {self.num_classes - 1} (or {self.ignore_index}, void, in the truth)"
            raise ValueError(message(name, f"label {wrong}", expected))

    def iou(self) -> Float[np.ndarray, " C"]:
        """Intersection over union of each class, (C,) in 0 … 1; NaN where a class is in neither labelling."""
        hit = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(0) + self.counts.sum(1) - hit
        with np.errstate(invalid="ignore"):
            return hit / union

    def mean_iou(self, convention: Convention = "voc") -> float:
        """The mean of `iou()` over classes.

        A class that no pixel holds has no IoU (0/0), and codes differ in what they make of it:

        - `"voc"`: it counts as 0, as the VOC devkit has it (`MyVOCevalseg.m` sets the denominator to 1);
        - `"present"`: the mean is over classes present in the truth;
        - `"nan"`: the mean is over classes present in the truth or in the prediction.

        >>> matrix = ConfusionMatrix(3).update(np.array([0, 1]), np.array([0, 0]))
        >>> [matrix.mean_iou(name) for name in CONVENTIONS]
        [0.16666666666666666, 0.5, 0.25]
        """
        one_of("convention", convention, CONVENTIONS)
        iou = self.iou()
        if convention == "voc":
            return float(np.nan_to_num(iou).mean())
        if convention == "present":
            return _mean(iou[self.counts.sum(1) > 0])
        return _mean(iou[~np.isnan(iou)])

    def pixel_accuracy(self) -> float:
        """Share of counted pixels with the right class; NaN before the first one."""
        total = self.counts.sum()
        return float(np.diag(self.counts).sum() / total) if total else float("nan")

    def accuracy(self) -> Float[np.ndarray, " C"]:
        """Share of each class's pixels that were found, (C,) in 0 … 1; NaN for a class that is not in the truth."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.counts) / self.counts.sum(1)

    def mean_accuracy(self) -> float:
        """The mean of `accuracy()` over the classes in the truth."""
        of_class = self.accuracy()
        return _mean(of_class[~np.isnan(of_class)])


def _mean(values: Float[np.ndarray, " N"]) -> float:
    return float(values.mean()) if values.size else float("nan")
