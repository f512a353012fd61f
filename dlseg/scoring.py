"""Predict every image of a labelled split and compare: mean IoU, accuracies, and the trimap near boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer
from tqdm.auto import tqdm

from dlseg.crf import CRFParams
from dlseg.datasets.memory import LabelledImages
from dlseg.evaluation import VOID, ConfusionMatrix, trimap_band
from dlseg.networks import Network
from dlseg.predict import predict

WIDTHS = (1, 3, 8)


class Score:
    """The confusion matrix of all pixels, and those of the trimap bands, filled image by image."""

    def __init__(self, classes: Sequence[str], widths: Sequence[int] = WIDTHS) -> None:
        self.classes = tuple(classes)
        self.whole = ConfusionMatrix(len(classes))
        self.bands = {width: ConfusionMatrix(len(classes)) for width in widths}

    def update(self, labels: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"]) -> None:
        """Add one image."""
        self.whole.update(labels, truth)
        for width, band in self.bands.items():
            band.update(labels, np.where(trimap_band(truth, width), truth, VOID))

    def summary(self) -> dict[str, Any]:
        """Plain numbers, shares in 0 … 1, ready for JSON; a class that never occurs is null."""
        iou = self.whole.iou()
        return {
            "mean_iou": self.whole.mean_iou(),
            "pixel_accuracy": self.whole.pixel_accuracy(),
            "mean_accuracy": self.whole.mean_accuracy(),
            "trimap_mean_iou": {str(width): band.mean_iou("nan") for width, band in self.bands.items()},
            "iou": {c: None if np.isnan(v) else float(v) for c, v in zip(self.classes, iou, strict=True)},
        }


def evaluate(
    net: Network, data: LabelledImages, crf: CRFParams | None = None, kernel: str | None = None,
    progress: bool = False,
) -> dict[str, Score]:
    """Scores of the network alone, `"net"`, and with the CRF, `"crf"`, where parameters are given.

    Raises:
        ValueError: a sample has no labels, or the network has another number of classes.
    """
    if net.spec.num_classes != data.num_classes:
        raise ValueError(f"net: has {net.spec.num_classes} classes, expected the data's {data.num_classes}")
    scores = {name: Score(data.classes) for name in (["net"] if crf is None else ["net", "crf"])}
    for i in tqdm(range(len(data)), unit="image", leave=False, disable=not progress):
        sample = data[i]
        if sample.label is None:
            raise ValueError(f"data: {sample.name} has no labels to compare with")
        prediction = predict(net, sample.image, crf, kernel)
        scores["net"].update(prediction.probs.argmax(0), sample.label)
        if crf is not None:
            scores["crf"].update(prediction.labels, sample.label)
    return scores
