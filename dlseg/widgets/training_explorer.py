"""A classifier becomes a segmentation network (section 5): train, pause, stop, take up again, and look back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import torch

from dlseg.datasets import Dataset, Sample, load
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.figures import Chart, Still, panels
from dlseg.figures.curves import SMOOTH, draw_loss, draw_score
from dlseg.networks import Network, create, load_trunk, open_weights
from dlseg.training import Recipe
from dlseg.widgets.chart import Chart as Graph
from dlseg.widgets.chart import Curves
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import ROW, Explorer, choice
from dlseg.widgets.layers import Picture, label_layer
from dlseg.widgets.training_run import FAILED, PAUSED, READY, RUNNING, STOPPED, Snapshot, Trainer

HELD_OUT = 12  # validation images that the mean IoU is of
EVERY = 10  # iterations from snapshot to snapshot, and from checkpoint to checkpoint
# the paper's tenfold rate for the new classifier: something to see within half a minute
RECIPE = Recipe.shapes(batch=8, iterations=300, classifier_lr_factor=10.0, dropout=0.0)
NEXT_RUN = "For the next run: “start again”, then “train”"
FROZEN_WORDS = f"Layers whose filters do not learn; batch norm still does. {NEXT_RUN}"
FROZEN: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "conv1, conv2": ("conv1", "conv2"),
    "conv1 to conv5": ("conv",),
    "all but fc8": ("conv", "fc6", "fc7"),
}
NEXT = {PAUSED: "go on", STOPPED: "take up again"}  # what the first button does then; else it trains


@dataclass(frozen=True)
class Moment:
    """Held-out image number `image`, as the network saw it after `iteration` iterations.

    The others are for the next run: learning rate, images an iteration, schedule, and one of `FROZEN`.
    """

    iteration: int = 0
    image: int = 0
    lr: float = 0.01
    batch: int = 8
    schedule: str = "step"
    frozen: str = "nothing"


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """A run that ended, to compare with: its settings in words, losses, and mean IoU by iteration."""

    words: str
    losses: tuple[float, ...]
    scores: dict[int, float]


@dataclass(frozen=True, eq=False)
class Learned:
    """What there is to see of a moment: the sample, what the network made of it, and how the run stands now."""

    moment: Moment
    sample: Sample
    snapshot: Snapshot
    status: str
    losses: tuple[float, ...]
    rates: tuple[float, ...]
    scores: dict[int, float]
    recipe: Recipe
    earlier: EarlierRun | None = None


class TrainingExplorer(Explorer[Moment, Learned]):
    """The explorer that `training_explorer` makes and shows; see there.

    Args:
        trainer: the run, not begun yet.
        first: iterations to run before anything is shown.
    """

    def __init__(self, trainer: Trainer, first: int) -> None:
        self._held_out, self._names = trainer.held_out, tuple(trainer.data.classes)
        self._make_net, self._frozen, self._begun = trainer.make_net, "nothing", False
        self._earlier: EarlierRun | None = None
        self.trainer, recipe = trainer, trainer.recipe
        if first:
            self.trainer.go(first)
            self.trainer.wait()
        self.buttons = _buttons()
        for name, act in (
            ("train", self._train),
            ("pause", self.trainer.pause),
            ("stop", self.trainer.stop),
            ("start again", self._again),
        ):
            self.buttons[name].on_click(partial(self._pressed, act))
        self.charts = [Graph() for _ in range(3)]
        last = self.trainer.snapshots[-1].iteration
        batches = sorted({1, 2, 4, 8, 16, recipe.batch})
        self.start(
            Moment(last, lr=recipe.lr, batch=recipe.batch, schedule=recipe.schedule),
            {
                "iteration": ipywidgets.SelectionSlider(
                    options=sorted({*range(0, recipe.iterations, EVERY), recipe.iterations, last}),
                    value=last,
                    description="after iteration",
                    tooltip="Look back at what the network said then",
                    style={"description_width": "110px"},
                    layout={"width": "auto", "flex": "1 1 260px"},
                ),
                "image": choice(
                    "held-out image",
                    0,
                    [(f"{n + 1}", n) for n in range(len(self._held_out))],
                    "One of the images that are never trained on",
                    170,
                ),
                "lr": _rate(recipe.lr),
                "batch": choice("batch", recipe.batch, batches, "Images an iteration, of the next run", 130),
                "schedule": choice("schedule", recipe.schedule, ["step", "poly"], NEXT_RUN, 170),
                "frozen": choice(
                    "frozen",
                    "nothing",
                    list(FROZEN),
                    FROZEN_WORDS,
                    230,
                ),
            },
        )
        self.trainer.changed = self._changed

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run shown."""
        return self.trainer.recipe

    @property
    def net(self) -> Network:
        """The network that is trained; pause or stop before you use it."""
        return self.trainer.net

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each iteration so far, in nats."""
        return tuple(step.loss for step in self.trainer.steps)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """What the network made of the held-out images, every ten iterations."""
        return self.trainer.snapshots

    def still(self) -> Still:
        """Truth, prediction, loss and mean IoU as a figure: what a page without widgets shows.

        Returns:
            The figure.
        """
        answer = self.answer
        charts = [
            Chart("the loss", partial(draw_loss, losses=answer.losses)),
            Chart(f"{len(self._held_out)} held-out images", partial(draw_score, scores=answer.scores)),
        ]
        return panels([*(picture.panel() for picture in self._draw(answer)), *charts], self._names)

    def close(self) -> None:
        """End the run and the explorer's thread, and take its controls out of the page."""
        self.trainer.close()
        super().close()

    def _answer(self, state: Moment) -> Learned:
        steps, snapshots, recipe = self.trainer.steps, self.trainer.snapshots, self.recipe
        snapshot = [s for s in snapshots if s.iteration <= state.iteration][-1]
        status = f"{self.trainer.status}: {len(steps)} of {recipe.iterations} iterations"
        return Learned(
            state,
            self._held_out[state.image],
            snapshot,
            status,
            tuple(step.loss for step in steps),
            tuple(recipe.lr * step.rate for step in steps),
            {s.iteration: s.mean_iou for s in snapshots},
            recipe,
            self._earlier,
        )

    def _draw(self, answer: Learned) -> Sequence[Picture]:
        sample, snapshot = answer.sample, answer.snapshot
        title = f"After {snapshot.iteration} iterations" if snapshot.iteration else "Before training"
        words = f"mean IoU {100 * snapshot.mean_iou:.1f} % on {len(self._held_out)} held-out images"
        labels = label_layer(snapshot.labels[answer.moment.image], self._names)
        pictures = [Picture(title, sample.image, labels, words)]
        if sample.label is not None:
            truth = label_layer(sample.label, self._names)
            pictures.insert(0, Picture("The truth", sample.image, truth, answer.status))
        return pictures

    def _fitted(self, state: Moment) -> Moment:
        newest = self.trainer.snapshots[-1].iteration
        return replace(state, iteration=min(state.iteration, newest))

    def _rows(self) -> list[Any]:
        charts = ipywidgets.VBox(self.charts, layout={"flex": "1 1 230px", "min_width": "0", "max_width": "300px"})
        *looks, lr, batch, schedule, frozen = self.controls.values()
        return [
            ipywidgets.HBox([*self.buttons.values(), *looks], layout=ROW),
            ipywidgets.HBox([lr, batch, schedule, frozen], layout=ROW),
            ipywidgets.HBox([*self.pictures, charts], layout=ROW),
        ]

    def _train(self) -> None:
        """Start by the settings of now, or go on by those that the run began with."""
        self._begun = True
        if self.trainer.status == READY:
            state = self.state
            settings: dict[str, Any] = {"lr": state.lr, "batch": state.batch, "schedule": state.schedule}
            self.trainer.recipe = replace(self.trainer.recipe, **settings)
            self.trainer.make_net = partial(_frozen, self._make_net, FROZEN[state.frozen])
            self._frozen = state.frozen
        self.trainer.go()

    def _again(self) -> None:
        """Throw the run away, but for its curves."""
        trainer, recipe = self.trainer, self.recipe
        if trainer.steps:
            words = f"lr {recipe.lr:g}, batch {recipe.batch}, {recipe.schedule}, frozen: {self._frozen}"
            losses = tuple(step.loss for step in trainer.steps)
            self._earlier = EarlierRun(words, losses, {s.iteration: s.mean_iou for s in trainer.snapshots})
        trainer.reset()

    def _pressed(self, act: Callable[[], None], button: Any) -> None:
        act()
        self._changed()

    def _changed(self) -> None:
        """The run went on: whoever looked at its newest snapshot goes with it."""
        newest = self.trainer.snapshots[-1].iteration
        with self._lock:
            before = max(self._live.latest.scores) if self._live.latest else 0
            follows = self.state.iteration >= min(before, newest)
            self.state = replace(self.state, iteration=newest if follows else self.state.iteration)

    def _beside(self, answer: Learned) -> None:
        status = self.trainer.status
        self.buttons["train"].description = NEXT.get(status, "train") if self._begun else "train"
        self.buttons["train"].disabled = status not in (READY, *NEXT)
        self.buttons["pause"].disabled = status != RUNNING
        self.buttons["stop"].disabled = status not in (RUNNING, PAUSED)
        self.buttons["start again"].disabled = status == READY
        if status == FAILED:
            self.pictures[-1].error = self.trainer.error
        for chart, curves in zip(self.charts, graphs(answer), strict=True):
            chart.marker = answer.snapshot.iteration
            chart.show(curves)


def graphs(answer: Learned) -> tuple[Curves, Curves, Curves]:
    """Loss and the held-out images' mean IoU so far, and the whole schedule; at fifty iterations or fewer.

    An earlier run is laid under the first two.
    """
    recipe, earlier = answer.recipe, answer.earlier
    planned = _fifty(recipe.iterations)
    chosen = _fifty(max(len(answer.losses), len(earlier.losses) if earlier else 0))
    at = sorted({*answer.scores, *(earlier.scores if earlier else ())})
    losses = {f"mean of {SMOOTH}": _means(answer.losses, chosen)}
    scores = {"mean IoU": [100 * answer.scores.get(n, np.nan) for n in at]}
    if earlier is None:
        losses["one batch"] = [answer.losses[n - 1] for n in chosen]
    else:
        losses[earlier.words] = _means(earlier.losses, chosen)
        scores[earlier.words] = [100 * earlier.scores.get(n, np.nan) for n in at]
    return (
        Curves("loss (nats)", "iteration", chosen, losses),
        Curves("mean IoU (%), held-out images", "iteration", at, scores),
        Curves(
            "learning rate (thousandths)",
            "iteration",
            planned,
            {"learning rate": [1000 * recipe.lr * recipe.rate(n - 1) for n in planned]},
        ),
    )


def _means(losses: Sequence[float], chosen: Sequence[int]) -> list[float]:
    return [float(np.mean(losses[max(0, n - SMOOTH) : n])) if n <= len(losses) else np.nan for n in chosen]


def _frozen(make: Callable[[], Network], prefixes: tuple[str, ...]) -> Network:
    """A new network of which some layers do not learn."""
    net = make()
    for name, layer in net.main.named_children():
        if prefixes and name.startswith(prefixes):
            layer.requires_grad_(False)
    return net


def _rate(lr: float) -> Any:
    return ipywidgets.FloatLogSlider(
        lr,
        base=10,
        min=min(-4.0, math.log10(lr)),
        max=max(-1.0, math.log10(lr)),
        step=0.1,
        description="learning rate",
        tooltip=NEXT_RUN,
        readout_format=".2g",
        style={"description_width": "110px"},
        layout={"width": "auto", "flex": "1 1 260px"},
    )


def _fifty(count: int) -> list[int]:
    """1 … count, or fifty of these numbers, evenly apart, both ends among them."""
    return sorted({round(1 + k * (count - 1) / 49) for k in range(50)}) if count else []


def _buttons() -> dict[str, Any]:
    words = {
        "train": ("Start, or go on where it is", 110),
        "pause": ("Wait; the whole state stays in memory", 80),
        "stop": ("End it as a crash would: what is left is the last checkpoint", 80),
        "start again": ("Throw everything away", 100),
    }
    return {
        name: ipywidgets.Button(description=name, tooltip=tip, layout={"width": f"{width}px"})
        for name, (tip, width) in words.items()
    }


def _data(name: str | Path) -> tuple[LabelledImages, Dataset]:
    if name != "shapes":
        return load(name, "train"), load(name, "val")
    try:
        return InMemory(load(name, "train_sample")), load(name, "val")  # what the checkout carries
    except FileNotFoundError:
        return InMemory(load(name, "train")), load(name, "val")


def _network_of(classes: int, seed: int, shapes: bool) -> Network:
    """LargeFOV, an eighth as wide; for shapes, begun from their classifier, as the paper begins from VGG-16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = create("deeplab-largefov", classes, 1 / 8)
    if shapes:
        load_trunk(net, open_weights("shapes", "vgg16-20m")[0])
    return net


def training_explorer(
    recipe: Recipe | None = None, data: str | Path = "shapes", *, first: int = 10
) -> TrainingExplorer:
    """Train a segmentation network live: loss and learning rate, and what it makes of held-out images as it learns.

    Pause it, stop it as a crash would and take it up from its checkpoint, or look back at any tenth iteration.

    Args:
        recipe: the solver; default: 300 iterations with batches of 8, a minute or so.
        data: "shapes" (the sample of it that comes with the checkout), or what `dlseg.datasets.load` takes, with a
            "train" and a "val" split.
        first: iterations to run before anything is shown, so that there is something to see; 0 for none.

    Returns:
        The explorer: `.state` (a `Moment`), `.answer` (a `Learned`), `.losses`, `.snapshots` and `.net` follow
        the run; `.trainer` starts, pauses and stops it from code.

    Raises:
        FileNotFoundError: no such data.
        TypeError, ValueError: an argument of the wrong kind; it says which.
    """
    if recipe is not None and not isinstance(recipe, Recipe):
        raise TypeError(f"recipe: got {type(recipe).__name__}, expected a dlseg.training.Recipe")
    recipe = recipe or RECIPE
    if not 0 <= first <= recipe.iterations:
        raise ValueError(f"first: got {first}, expected 0 … {recipe.iterations} iterations")
    train, val = _data(data)
    chosen = range(0, len(val), max(1, len(val) // HELD_OUT))[:HELD_OUT]
    make = partial(_network_of, train.num_classes, recipe.seed, data == "shapes")
    trainer = Trainer(make, train, [val[n] for n in chosen], recipe, EVERY)
    return shown(TrainingExplorer(trainer, first))
