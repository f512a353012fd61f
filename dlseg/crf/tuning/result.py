"""What a search found: its trials, the best of them, and tables of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlseg.crf.params import CRFParams
from dlseg.crf.tuning.evaluate_params import Counts
from dlseg.crf.tuning.space import AXES
from dlseg.evaluation import ConfusionMatrix

FORMATS = ("text", "markdown", "csv", "json")
MEASURES = ("mean_iou", "trimap_mean_iou", "pixel_accuracy")
HEADS = ("mean IoU %", "trimap IoU %", "accuracy %")
NO_CRF = "no CRF"


@dataclass(frozen=True)
class Trial:
    """One setting on all the images: params None is the network alone; measures are shares in 0 … 1.

    mean_iou is over all classes (VOC's convention), trimap_mean_iou over those in the band near boundaries, None
    where the truth marks none (as void pixels). round 0 is the coarse box.
    """

    params: CRFParams | None
    mean_iou: float
    trimap_mean_iou: float | None
    pixel_accuracy: float
    round: int = 0

    @classmethod
    def measured(cls, params: CRFParams | None, counts: Counts, round_: int = 0) -> Trial:
        """A trial from its confusion matrices."""
        whole, band = (ConfusionMatrix(counts.shape[1]) for _ in range(2))
        whole.counts, band.counts = counts[0], counts[1]
        trimap = band.mean_iou("nan") if band.counts.any() else None
        return cls(params, whole.mean_iou(), trimap, whole.pixel_accuracy(), round_)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Trial:
        """The reverse."""
        params = document["params"]
        return cls(**{**document, "params": params and CRFParams(**params)})


@dataclass(frozen=True)
class SearchResult:
    """What was tried, and how it went.

    trials: the one without a CRF first, then round by round in the order of the loops. images: how many each
    trial saw. done: how many trials this call ran itself; the others were in the log.
    """

    trials: tuple[Trial, ...]
    images: int
    done: int

    @property
    def baseline(self) -> Trial:
        """The network without a CRF."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The first trial with a CRF that no other surpasses in mean IoU."""
        return max(self.trials[1:], key=lambda trial: trial.mean_iou)

    @property
    def params(self) -> CRFParams:
        """The best parameters."""
        assert self.best.params is not None
        return self.best.params

    @property
    def gain(self) -> float:
        """What the best CRF adds to the mean IoU; negative where every CRF tried does harm."""
        return self.best.mean_iou - self.baseline.mean_iou

    def table(self, format: str = "text", top: int | None = None) -> str:
        """The trials as "text", "markdown", "csv" or "json"; top: the best so many only, after the one without."""
        if format not in FORMATS:
            raise ValueError(f"format: got {format!r}, expected one of {', '.join(FORMATS)}")
        order = np.argsort([-trial.mean_iou for trial in self.trials[1:]], kind="stable")[:top]
        chosen = self.trials if top is None else [self.baseline, *(self.trials[1 + i] for i in order)]
        if format == "json":
            return json.dumps(
                {
                    "images": self.images,
                    "best": self.best.to_dict(),
                    "trials": [trial.to_dict() for trial in chosen],
                },
                indent=1,
            )
        rows = [_row(trial) for trial in chosen]
        if format == "csv":
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([("round", *AXES, *MEASURES), *rows])
            return out.getvalue()
        cells = [["round", *AXES, *HEADS], *map(_cells, rows)]
        return _markdown(cells) if format == "markdown" else _aligned(cells)


def _row(trial: Trial) -> list[Any]:
    settings = [NO_CRF, "", "", "", ""] if trial.params is None else [getattr(trial.params, name) for name in AXES]
    return [trial.round, *settings, trial.mean_iou, trial.trimap_mean_iou, trial.pixel_accuracy]


def _cells(row: list[Any]) -> list[str]:
    settings, measures = row[: -len(MEASURES)], row[-len(MEASURES) :]
    return [f"{value:g}" if isinstance(value, float) else str(value) for value in settings] + [
        "–" if value is None else f"{100 * value:.2f}" for value in measures
    ]


def _markdown(cells: list[list[str]]) -> str:
    head, *rows = cells
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *rows])


def _aligned(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [[f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("  ".join(line) for line in lines)
