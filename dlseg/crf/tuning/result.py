"""What a search found: its trials, the best of them, tables, and the log that a killed search resumes from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from dlseg.common.checks import one_of
from dlseg.common.tables import table
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
    """One setting on all the images; params None is the network without a CRF.

    Args:
        params: the setting.
        mean_iou: over all classes (VOC's convention), as a fraction of 1, like the measures that follow.
        trimap_mean_iou: over the classes in the band near boundaries; None where the truth marks none (as void).
        pixel_accuracy: over all pixels.
        round: 0 is the coarse box.

    >>> Trial.from_dict(Trial(CRFParams(), 0.7, None, 0.9).to_dict()).params == CRFParams()
    True
    """

    params: CRFParams | None
    mean_iou: float
    trimap_mean_iou: float | None
    pixel_accuracy: float
    round: int = 0

    @classmethod
    def measured(cls, params: CRFParams | None, counts: Counts, round_: int = 0) -> Trial:
        """A trial from its confusion matrices, of all pixels and of those near boundaries."""
        whole, band = (ConfusionMatrix(counts.shape[1]) for _ in range(2))
        whole.counts, band.counts = counts[0], counts[1]
        trimap = band.mean_iou("nan") if band.counts.any() else None
        return cls(params, whole.mean_iou(), trimap, whole.pixel_accuracy(), round_)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; `from_dict` gives the trial back, equal."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Trial:
        """The trial that `to_dict` made a dictionary of."""
        params = document["params"]
        return cls(**{**document, "params": params and CRFParams(**params)})


@dataclass(frozen=True)
class SearchResult:
    """What was tried, and how good it was.

    Args:
        trials: the one without a CRF first, then round by round in the order of the loops.
        images: how many images each trial used.
        done: how many trials this call ran itself; the others were in the log.

    >>> settings = {None: 0.60, CRFParams(w1=4): 0.63, CRFParams(w1=5): 0.62}
    >>> trials = [Trial(params, mean_iou, None, 0.9) for params, mean_iou in settings.items()]
    >>> result = SearchResult(tuple(trials), images=100, done=3)
    >>> result.params.w1, round(result.gain, 2)
    (4.0, 0.03)
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
        """The trials as a table.

        Args:
            format: "text", "markdown", "csv" or "json".
            top: only so many, the best ones, after the one without a CRF; None is all, in their order.

        Returns:
            Text; measures in percent but for CSV and JSON.

        Raises:
            ValueError: another format.
        """
        one_of("format", format, FORMATS)
        order = np.argsort([-trial.mean_iou for trial in self.trials[1:]], kind="stable")[:top]
        chosen = self.trials if top is None else [self.baseline, *(self.trials[1 + i] for i in order)]
        if format == "json":
            trials = [trial.to_dict() for trial in chosen]
            return json.dumps({"images": self.images, "best": self.best.to_dict(), "trials": trials}, indent=1)
        rows = [_row(trial) for trial in chosen]
        if format == "csv":
            return table(["round", *AXES, *MEASURES], rows, format) + "\n"
        return table(["round", *AXES, *HEADS], [_cells(row) for row in rows], format, left=0)


def _row(trial: Trial) -> list[Any]:
    settings = [NO_CRF, "", "", "", ""] if trial.params is None else [getattr(trial.params, name) for name in AXES]
    return [trial.round, *settings, trial.mean_iou, trial.trimap_mean_iou, trial.pixel_accuracy]


def _cells(row: list[Any]) -> list[str | None]:
    settings, measures = row[: -len(MEASURES)], row[-len(MEASURES) :]
    return [
        *(f"{value:g}" if isinstance(value, float) else str(value) for value in settings),
        *(None if value is None else f"{100 * value:.2f}" for value in measures),
    ]


class Log:
    """One JSON line a trial, written as it ends, after a first line that says what is searched (`head`).

    A line cut short by a kill is dropped; a log of another search, or a file that is no log, is refused.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self.trials: list[dict[str, Any]] = []
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if lines and not whole and not json.dumps(head).encode().startswith(lines[0]):
            self._parsed(1, b"")  # not even the beginning of this log: never to be overwritten
        documents = [self._parsed(number, line) for number, line in enumerate(whole, 1)]
        if documents:
            self._same_search(documents[0], head)
            self.trials = documents[1:]
        self.file = path.open("ab")
        self.file.truncate(sum(map(len, whole)))
        if not documents:
            self.write(head)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ValueError(
                f"log: line {number} of {self.path} is no trial of a search; expected a new file "
                "or the log of this search"
            )
        return document

    def _same_search(self, found: dict[str, Any], head: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps(head))
        other = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
        if other:
            raise ValueError(
                f"log: {self.path} belongs to another search: it has another {', '.join(other)}; "
                "expected a new file or the log of this search"
            )

    def write(self, document: dict[str, Any]) -> None:
        """Appends a line; it is on disk when this returns."""
        self.file.write(json.dumps(document).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def open_log(path: Path | None, head: dict[str, Any]) -> Iterator[Log | None]:
    """The log, locked against a second search that would write to it; None where no log is wanted."""
    if path is None:
        yield None
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(f"log: no folder {path.parent}")
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        acquired = lock.acquire()
    except Timeout:
        raise ValueError(f"log: another search is writing to {path}") from None
    with acquired:
        log = Log(path, head)
        with log.file:
            yield log
