"""What is called after every iteration: a progress bar, a log, an early stop; anything that takes a step."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from io import TextIOBase
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from tqdm.auto import tqdm

from dlseg.common.checks import number, whole_number
from dlseg.common.files import write_whole
from dlseg.datasets.protocols import LabelledImages
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks import Network, save_weights
from dlseg.predict import predict
from dlseg.training.distributed import processes
from dlseg.training.loop import StopTraining, TrainingStep
from dlseg.training.recipe import Recipe
from dlseg.training.setup import plain_copy


class ProgressBar:
    """A bar with the loss, averaged over the last fifty iterations or so; to be used in a `with`.

    Args:
        total: iterations.
        what: the bar's name.
        file: where it is drawn; None is standard error.

    >>> import io
    >>> with ProgressBar(100, file=io.StringIO()) as bar:
    ...     bar(TrainingStep(iteration=51, iterations=100, loss=0.5, rate=1.0))    # resumed after 50
    ...     bar.bar.n
    51
    """

    def __init__(self, total: int, what: str = "train", file: TextIOBase | None = None) -> None:
        self.bar = tqdm(total=total, desc=what, unit="it", file=file or sys.stderr)
        self.smooth = Smooth(0.04)

    def __call__(self, step: TrainingStep) -> None:
        self.bar.n = step.iteration - 1  # a resumed run does not start at 0
        self.bar.set_postfix(loss=f"{self.smooth(step.loss):.3f}", refresh=False)
        self.bar.update()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()


class Smooth:
    """A running mean in which a new value weighs `share`.

    >>> mean = Smooth(0.25)
    >>> mean(4.0), mean(8.0)
    (4.0, 5.0)
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.value: float | None = None

    def __call__(self, new: float) -> float:
        self.value = new if self.value is None else self.value + self.share * (new - self.value)
        return self.value


class JsonLog:
    """A JSON object a line: iteration, loss, rate, and seconds since this process began to train.

    A resumed run writes on from where it goes on: lines of iterations that it repeats are dropped.

    Args:
        path: the file; its folder is made where it is missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     JsonLog(Path(folder) / "log")(TrainingStep(iteration=1, iterations=10, loss=2.5, rate=1.0))
    ...     [(line["iteration"], line["loss"]) for line in read_log(Path(folder) / "log")]
    [(1, 2.5)]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.start = time.perf_counter()
        self.opened = False

    def __call__(self, step: TrainingStep) -> None:
        if not self.opened:
            self._keep_before(step.iteration)
        line = {
            "iteration": step.iteration,
            "loss": step.loss,
            "rate": step.rate,
            "seconds": round(time.perf_counter() - self.start, 3),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _keep_before(self, iteration: int) -> None:
        self.opened = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [json.dumps(entry) + "\n" for entry in read_log(self.path) if entry["iteration"] < iteration]
        write_whole(self.path, "".join(kept))


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a `JsonLog`; one that a kill cut short is left out, and no file is no lines.

    >>> read_log("no-such-file")
    []
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except ValueError:
            continue
    return whole


def duration(seconds: float) -> str:
    """Hours and minutes, in words.

    >>> duration(46_860.0), duration(400.0)
    ('13 h 1 min', '7 min')
    """
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


class Validation:
    """Measures the mean IoU on other pictures every so many iterations, and after the last; keeps the best weights.

    Under torchrun each process labels its share of the pictures.

    Args:
        net: the network that is trained.
        data: the pictures to measure on.
        recipe: what it is trained by.
        every: iterations between two measurements.
        best: the .safetensors file for the best weights so far, or None.
        info: what to keep in the JSON file beside it.
        show: called with the words after each measurement.

    Attributes:
        scores: iteration → mean IoU in 0 … 1, by VOC's convention.

    >>> from dlseg.datasets import load
    >>> from dlseg.networks import create
    >>> net, recipe = create("deeplab-largefov", 13, 1 / 64), Recipe.shapes(iterations=10)
    >>> validation = Validation(net, load("shapes", "train_sample"), recipe, every=5)
    >>> validation(TrainingStep(iteration=1, iterations=10, loss=1.0, rate=1.0))    # not yet
    >>> validation.scores
    {}
    """

    def __init__(
        self,
        net: Network,
        data: LabelledImages,
        recipe: Recipe,
        every: int,
        best: Path | None = None,
        info: dict[str, Any] | None = None,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self.net, self.data, self.recipe, self.every = net, data, recipe, whole_number("every", every, low=1)
        self.best, self.info, self.show = best, info or {}, show
        self.scores: dict[int, float] = {}
        self.highest = -1.0

    def __call__(self, step: TrainingStep) -> None:
        if step.iteration % self.every and step.iteration != step.iterations:
            return
        copy = plain_copy(self.net, self.recipe)
        score = self.scores[step.iteration] = self._mean_iou(copy)
        better = score > self.highest
        if better:
            self.highest = score
            if self.best is not None and processes().rank == 0:
                noted = {"iterations_done": step.iteration, "mean_iou": round(score, 4)}
                save_weights(copy, self.best, self.info | noted)
        if self.show is not None:
            best = " (the best so far)" if better else ""
            self.show(f"after {step.iteration} iterations: mean IoU {100 * score:.2f} % on val{best}")

    def _mean_iou(self, net: Network) -> float:
        matrix, here = ConfusionMatrix(self.data.num_classes), processes()
        for i in range(here.rank, len(self.data), here.size):
            sample = self.data[i]
            if sample.label is None:
                raise ValueError(f"data: {sample.name} has no labels to compare with")
            matrix.update(predict(net, sample.image).labels, sample.label)
        place = next(net.parameters()).device
        matrix.counts = here.total(torch.from_numpy(matrix.counts).to(place)).cpu().numpy()
        return matrix.mean_iou()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"scores": dict(self.scores), "highest": self.highest}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from `state_dict`; where the best weights are gone, the next ones are the best."""
        self.scores, self.highest = dict(state["scores"]), state["highest"]
        if self.best is not None and not self.best.exists():
            self.highest = -1.0


class EarlyStop:
    """Ends the training when the smoothed loss has not fallen by `least` for `patience` iterations.

    Args:
        patience: iterations.
        least: what counts as fallen.

    Raises:
        TypeError, ValueError: a patience that is no whole number from 1 on, or a negative `least`.

    >>> stop = EarlyStop(patience=1)
    >>> stop(TrainingStep(iteration=1, iterations=9, loss=1.0, rate=1.0))
    >>> stop(TrainingStep(iteration=2, iterations=9, loss=1.0, rate=1.0))
    Traceback (most recent call last):
    dlseg.training.loop.StopTraining
    """

    def __init__(self, patience: int, least: float = 0.0) -> None:
        self.patience, self.least = whole_number("patience", patience, low=1), number("least", least, low=0)
        self.smooth = Smooth(0.04)
        self.best, self.since = float("inf"), 0

    def __call__(self, step: TrainingStep) -> None:
        loss = self.smooth(step.loss)
        if loss < self.best - self.least:
            self.best, self.since = loss, step.iteration
        elif step.iteration - self.since >= self.patience:
            raise StopTraining

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"smooth": self.smooth.value, "best": self.best, "since": self.since}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from `state_dict`."""
        self.smooth.value, self.best, self.since = state["smooth"], state["best"], state["since"]
