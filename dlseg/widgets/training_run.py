"""A training run on a thread of its own: paused, stopped like a crash, and taken up again from its checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8

from dlseg.datasets import Sample
from dlseg.datasets.protocols import LabelledImages
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks import Network
from dlseg.predict import predict
from dlseg.training import Recipe, TrainingStep, train

READY, RUNNING, PAUSED, ENDING = "ready", "running", "paused", "ending"
STOPPED, FINISHED, FAILED = "stopped", "finished", "failed"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the network made of the held-out images after so many iterations: labels (H, W) each, and mean IoU."""

    iteration: int
    labels: tuple[UInt8[np.ndarray, "_ _"], ...]
    mean_iou: float


class _Stopped(Exception):
    """Ends a run from inside its callback."""


class Trainer:
    """Trains `make_net()` by `recipe`, and looks at the held-out images every `every` iterations.

    `recipe` and `make_net` may be set anew between runs. `status` is one of the seven words above; when "failed",
    `error` says why. `changed()` may be set anew; it is called on the training thread at each snapshot and when the
    status changes. Dropout draws from torch's global generator: while other code draws from it too, the run is as
    good a one, but not the same to the bit.
    """

    def __init__(
        self,
        make_net: Callable[[], Network],
        data: LabelledImages,
        held_out: Sequence[Sample],
        recipe: Recipe,
        every: int = 10,
    ) -> None:
        self.make_net, self.data, self.held_out = make_net, data, tuple(held_out)
        self.recipe, self.every = recipe, every
        self.changed: Callable[[], None] = lambda: None
        self._folder = TemporaryDirectory(prefix="dlseg-")
        self._checkpoint = Path(self._folder.name) / "run.checkpoint"
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted, self._until = READY, 0
        self._clear()

    def go(self, iterations: int | None = None) -> None:
        """Start, or go on: after a pause where it was, after a stop from the last checkpoint.

        Pauses by itself after so many more `iterations`, where given.
        """
        with self._change:
            if self.status in (FINISHED, FAILED, ENDING):
                return
            done = self.steps[-1].iteration if self.steps else 0
            self._until = self.recipe.iterations if iterations is None else done + iterations
            self._want(RUNNING)
            self._set_status(RUNNING)
            if self._thread is None:
                self._start(self._run)

    def pause(self) -> None:
        """Wait after the iteration under way, the whole state in memory."""
        with self._change:
            if self.status == RUNNING:
                self._want(PAUSED)

    def stop(self) -> None:
        """End the run after the iteration under way, as a crash would: what is left is the last checkpoint."""
        with self._change:
            if self._thread is not None:
                self._want(STOPPED)
                self._set_status(ENDING)

    def reset(self) -> None:
        """End the run, throw its checkpoint away, and be as new; soon, not at once."""
        with self._change:
            self._want(READY)
            self._set_status(ENDING)
            if self._thread is None:
                self._start(self._renew)

    def close(self) -> None:
        """End the run and its thread, and remove the checkpoint. Closing twice is fine."""
        self.changed = lambda: None
        with self._change:
            thread = self._thread
            self._want(STOPPED)
        if thread is not None:
            thread.join()
        self._folder.cleanup()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run pauses or ends; False if `timeout` seconds were not enough."""
        with self._change:
            return self._change.wait_for(lambda: self.status not in (RUNNING, ENDING), timeout)

    def _clear(self) -> None:
        self._checkpoint.unlink(missing_ok=True)
        self.net = self.make_net()
        self.steps: tuple[TrainingStep, ...] = ()
        self.snapshots: tuple[Snapshot, ...] = (self._snapshot(0),)
        self.status, self.error = READY, ""

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="dlseg-training", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        outcome = FINISHED
        try:
            self.net = self.make_net()
            train(self.net, self.data, self.recipe, [self._after], self._checkpoint, self.every)
        except _Stopped:
            outcome = STOPPED
        except Exception as error:  # on this thread it would go to stderr, or nowhere
            outcome, self.error = FAILED, f"{type(error).__name__}: {error}"
        if self._wanted == READY:
            self._renew()
        else:
            self._end(outcome)

    def _renew(self) -> None:
        self._clear()
        self._end(READY)

    def _end(self, status: str) -> None:
        with self._change:
            self._thread = None
            self._set_status(status)
        self.changed()

    def _after(self, step: TrainingStep) -> None:
        # a run that was taken up again goes over some iterations once more
        self.steps = (*(old for old in self.steps if old.iteration < step.iteration), step)
        if step.iteration % self.every == 0 or step.iteration == step.iterations:
            earlier = (old for old in self.snapshots if old.iteration < step.iteration)
            self.snapshots = (*earlier, self._snapshot(step.iteration))
            self.net.train()
            self.changed()
        with self._change:
            if self._wanted == RUNNING and step.iteration >= self._until and step.iteration < step.iterations:
                self._wanted = PAUSED
            paused = self._wanted == PAUSED
            if paused:
                self._set_status(PAUSED)
        if paused:
            self.changed()
            with self._change:
                self._change.wait_for(lambda: self._wanted != PAUSED)
        if self._wanted in (STOPPED, READY):
            raise _Stopped

    def _want(self, status: str) -> None:
        self._wanted = status
        self._change.notify_all()

    def _set_status(self, status: str) -> None:
        self.status = status
        self._change.notify_all()

    def _snapshot(self, iteration: int) -> Snapshot:
        """Label the held-out images. The network is in evaluation mode afterwards."""
        matrix, labels = ConfusionMatrix(self.data.num_classes), []
        for sample in self.held_out:
            labels.append(predict(self.net, sample.image).labels)
            if sample.label is not None:
                matrix.update(labels[-1], sample.label)
        return Snapshot(iteration, tuple(labels), matrix.mean_iou("nan"))
