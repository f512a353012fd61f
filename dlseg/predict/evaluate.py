"""Predict every image of a split and compare: mean IoU, accuracies, the trimap; result files for VOC's server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer
from tqdm.auto import tqdm

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.common.files import claim
from dlseg.crf import CRFParams
from dlseg.datasets import voc
from dlseg.datasets.protocols import LabelledImages, names_of
from dlseg.evaluation import CONVENTIONS, Around, ConfusionMatrix, Trimap
from dlseg.networks import Network
from dlseg.predict import predict
from dlseg.predict.folder import digest

WIDTHS = (1, 3, 8)


class Score:
    """The confusion matrix of all pixels, and those of the trimap bands, filled image by image.

    Args:
        classes: their names, background first.
        widths: of the bands, px to one side of a boundary.
        around: what a boundary is, see `dlseg.evaluation.trimap_band`.

    >>> score = Score(["background", "cat"])
    >>> score.update(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]))
    >>> round(score.summary()["mean_iou"], 4), score.summary()["pixel_accuracy"]
    (0.5833, 0.75)
    """

    def __init__(self, classes: Sequence[str], widths: Sequence[int] = WIDTHS, around: Around = "void") -> None:
        self.classes = tuple(classes)
        self.whole = ConfusionMatrix(len(classes))
        self.trimap = Trimap(len(classes), widths, around)

    def update(self, labels: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"]) -> None:
        """Add one image."""
        self.whole.update(labels, truth)
        self.trimap.update(labels, truth)

    def summary(self) -> dict[str, Any]:
        """Plain numbers, shares in 0 … 1, ready for JSON; null for a class or a band without pixels."""
        return {
            "mean_iou": self.whole.mean_iou(),
            "mean_iou_by_convention": {name: self.whole.mean_iou(name) for name in CONVENTIONS},
            "pixel_accuracy": self.whole.pixel_accuracy(),
            "mean_accuracy": self.whole.mean_accuracy(),
            "trimap_mean_iou": {str(width): _known(share) for width, share in self.trimap.mean_iou().items()},
            "trimap_pixel_accuracy": {
                str(width): _known(share) for width, share in self.trimap.pixel_accuracy().items()
            },
            "iou": self._by_class(self.whole.iou()),
            "accuracy": self._by_class(self.whole.accuracy()),
        }

    def _by_class(self, values: np.ndarray) -> dict[str, float | None]:
        return {name: _known(value) for name, value in zip(self.classes, values.tolist(), strict=True)}

    def measures(self) -> dict[str, float | None]:
        """The same as the lines of a table: measure → share."""
        found = self.summary()
        by = found["mean_iou_by_convention"]
        lines = {
            "mean IoU": found["mean_iou"],
            "mean IoU, classes in the truth": by["present"],
            "mean IoU, classes in either": by["nan"],
            "pixel accuracy": found["pixel_accuracy"],
            "mean accuracy": found["mean_accuracy"],
        }
        lines |= {f"mean IoU within {width} px": share for width, share in found["trimap_mean_iou"].items()}
        return lines | {f"  {name}": share for name, share in found["iou"].items()}


def _known(share: float) -> float | None:
    """None for NaN, which JSON has not."""
    return None if math.isnan(share) else share


def evaluate(
    net: Network,
    data: LabelledImages,
    crf: CRFParams | None = None,
    kernel: str | None = None,
    progress: bool = False,
    widths: Sequence[int] = WIDTHS,
    around: Around = "void",
) -> dict[str, Score]:
    """How well a network labels a split, alone and with the CRF (section 5).

    Args:
        net: a segmentation network.
        data: pictures with labels.
        crf: parameters of the CRF, or None.
        kernel: the CRF's.
        progress: show a progress bar.
        widths: of the trimap's bands, px to one side of a boundary.
        around: what a boundary is, see `dlseg.evaluation.trimap_band`.

    Returns:
        `"net"`: the network alone; `"crf"`: with the CRF, where parameters are given.

    Raises:
        ValueError: a sample has no labels, or the network has another number of classes.

    >>> from dlseg.datasets import load
    >>> from dlseg.networks import open_weights
    >>> data = load("shapes", "val")
    >>> data.names = data.names[:1]
    >>> sorted(evaluate(open_weights("shapes")[0], data)["net"].summary())[:3]
    ['accuracy', 'iou', 'mean_accuracy']
    """
    _check_classes(net, data)
    scores = {name: Score(data.classes, widths, around) for name in (["net"] if crf is None else ["net", "crf"])}
    for i in tqdm(range(len(data)), unit="image", leave=False, disable=not progress):
        sample = data[i]
        if sample.label is None:
            raise ValueError(f"data: {sample.name} has no labels to compare with")
        prediction = predict(net, sample.image, crf, kernel)
        scores["net"].update(prediction.probs.argmax(0), sample.label)
        if crf is not None:
            scores["crf"].update(prediction.labels, sample.label)
    return scores


def score_results(
    folder: str | Path, data: LabelledImages, widths: Sequence[int] = WIDTHS, around: Around = "void"
) -> Score:
    """The score of result files, one NAME.png (palette or grey, class numbers) for each image of `data`.

    The authors' script skips results that are missing, and the mean is then over fewer images than it says; here
    they are an error.

    Args:
        folder: where the results are.
        data: pictures with labels.
        widths: of the trimap's bands, px to one side of a boundary.
        around: what a boundary is, see `dlseg.evaluation.trimap_band`.

    Raises:
        FileNotFoundError: results are missing; the message counts and names them.
        ValueError: a result of another size than its image, a value that is no class, or data without labels.
    """
    paths = [Path(folder) / f"{name}.png" for name in names_of(data)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"results: {len(missing)} of {len(data)} are missing in {str(folder)!r}: "
            f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}"
        )
    score = Score(data.classes, widths, around)
    for i, path in enumerate(paths):
        truth, labels = data[i].label, voc.read_indices(path, modes=("P", "L"))
        if truth is None:
            raise ValueError(f"data: {path.stem} has no labels to compare with")
        if labels.shape != truth.shape:
            turned = "it seems to be turned" if labels.shape == truth.shape[::-1] else ""
            raise ValueError(message(str(path), f"{voc.size(labels)} pixels", voc.size(truth), turned))
        wrong = np.unique(labels[(labels >= data.num_classes) & (truth != VOID)]).tolist()
        if wrong:
            void = f" ({VOID}, void, is allowed in the truth only)" if VOID in wrong else ""
            expected = f"a class from 0 to {data.num_classes - 1} for every pixel{void}"
            raise ValueError(message(str(path), f"the values {wrong}", expected))
        score.update(labels, truth)
    return score


def export_results(
    net: Network,
    data: LabelledImages,
    root: str | Path,
    split: str,
    crf: CRFParams | None = None,
    kernel: str | None = None,
    own_data: bool = True,
    progress: bool = False,
) -> Path:
    """Write the result of every image as VOC's evaluation server wants it; results that are there are kept.

    Args:
        net: the network.
        data: images; labels are not needed.
        root: where `results/VOC2012/Segmentation/…` begins; that folder, packed, is what is handed in.
        split: "val" or "test", part of the folder's name.
        crf: parameters of the CRF, or None.
        kernel: the CRF's.
        own_data: True for comp6 (trained on other data than VOC's too, as train_aug is), False for comp5.
        progress: show a progress bar.

    Returns:
        The folder that holds the PNGs.

    Raises:
        ValueError: the folder holds results made with something else; net and data have other classes.
    """
    _check_classes(net, data)
    folder = Path(root) / "results" / "VOC2012" / "Segmentation" / f"comp{6 if own_data else 5}_{split}_cls"
    claim(
        folder.parent,
        f"{folder.name}.json",
        {"net": digest(net), "crf": None if crf is None else asdict(crf), "kernel": kernel},
    )
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(tqdm(names_of(data), unit="image", leave=False, disable=not progress)):
        if not (folder / f"{name}.png").exists():
            voc.write_indices(predict(net, data[i].image, crf, kernel).labels, folder / f"{name}.png")
    return folder


def _check_classes(net: Network, data: LabelledImages) -> None:
    if net.spec.num_classes != data.num_classes:
        raise ValueError(message("net", f"{net.spec.num_classes} classes", f"the data's {data.num_classes}"))
