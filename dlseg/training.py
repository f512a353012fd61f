"""The paper's training (section 5): cross-entropy on the stride-8 map, SGD with momentum, one plain loop."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.datasets import Sample
from dlseg.datasets.transforms import VOID, crop_and_mirror, to_input
from dlseg.networks import Network, ScoreGrid
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm


@runtime_checkable
class LabelledImages(Protocol):
    """What is trained on: any `dlseg.datasets.Dataset`, or something of your own that can do as much."""

    @property
    def num_classes(self) -> int:
        """Background included, void not."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Recipe:
    """The solver. The defaults are the paper's; `Recipe.shapes()` is scaled down to the embedded data set.

    `lr` is for all layers but the classifier fc8, which learns `classifier_lr_factor` times faster. The schedule
    `"step"` multiplies the rate by `gamma` every `step_size` iterations; `"poly"` is (1 − i/iterations)^power.
    `batch_norm` is not the paper's: it is put in for the training and folded away at its end.
    """

    crop: int = 321
    batch: int = 20
    iterations: int = 6000
    lr: float = 1e-3
    classifier_lr_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["step", "poly"] = "step"
    step_size: int = 2000
    gamma: float = 0.1
    power: float = 0.9
    mirror: bool = True
    dropout: float = 0.5
    batch_norm: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "batch", "iterations", "lr", "classifier_lr_factor", "step_size", "gamma", "power"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected more than 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: got {self.momentum}, expected 0 ≤ momentum < 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: got {self.dropout}, expected 0 ≤ dropout < 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: got {self.weight_decay}, expected 0 or more")
        if self.schedule not in ("step", "poly"):
            raise ValueError(f"schedule: got {self.schedule!r}, expected 'step' or 'poly'")

    @classmethod
    def shapes(cls, **changes: object) -> Recipe:
        """For `data/shapes` (128 × 128 px): about two and a half minutes on two cores."""
        return dataclasses.replace(SHAPES, **changes)  # type: ignore[arg-type]

    def to_json(self) -> str:
        """One JSON object, one key a field; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote. An unknown key is an error that names the known ones."""
        values = json.loads(text)
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"recipe: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

    def rate(self, iteration: int) -> float:
        """The learning rate factor (times `lr`) of an iteration, counted from 0."""
        if self.schedule == "poly":
            return float((1 - iteration / self.iterations) ** self.power)
        return float(self.gamma ** (iteration // self.step_size))


SHAPES = Recipe(crop=130, batch=16, iterations=800, lr=0.05, classifier_lr_factor=1.0, schedule="poly",
                dropout=0.1, batch_norm=True)


@dataclass(frozen=True)
class Step:
    """What a callback is told after an iteration; `loss` is the batch's mean cross-entropy in nats."""

    iteration: int
    iterations: int
    loss: float
    rate: float


Callback = Callable[[Step], None]


def loss_at_stride(
    scores: Float[Tensor, "B C h w"], labels: Integer[Tensor, "B h w"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the positions of the score map that are not void; 0 where all are void."""
    total = F.cross_entropy(scores, labels.long(), ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def training_samples(data: LabelledImages, recipe: Recipe, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Training samples without end, from number `first` on: ((3, S, S) input, (S, S) labels).

    Number k is drawn from (seed, k) alone, so that a run can be taken up anywhere, by any number of workers.
    """
    size, k = len(data), first
    while True:
        epoch, place = divmod(k, size)
        order = np.random.default_rng((recipe.seed, 1, epoch)).permutation(size)
        for i in order[place:]:
            sample = data[int(i)]
            if sample.label is None:
                raise ValueError(f"data: {sample.name} has no labels; training needs a labelled split")
            rng = np.random.default_rng((recipe.seed, 2, k))
            image, label = crop_and_mirror(sample.image, sample.label, recipe.crop, rng, recipe.mirror)
            yield to_input(image), torch.from_numpy(np.ascontiguousarray(label))
            k += 1


def batches(data: LabelledImages, recipe: Recipe, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of iterations `first`, `first` + 1, …: inputs (B, 3, S, S) and labels (B, S, S)."""
    samples = training_samples(data, recipe, first * recipe.batch)
    while True:
        inputs, labels = zip(*itertools.islice(samples, recipe.batch), strict=True)
        yield torch.stack(inputs), torch.stack(labels)


def parameter_groups(net: Network, recipe: Recipe) -> list[dict[str, object]]:
    """All layers at the recipe's rate, the classifier fc8 at its own, higher one."""
    classifier = [p for name, p in net.named_parameters() if "fc8" in name]
    others = [p for name, p in net.named_parameters() if "fc8" not in name]
    fast = recipe.lr * recipe.classifier_lr_factor
    return [{"params": others, "base": recipe.lr}, {"params": classifier, "base": fast}]


def train(net: Network, data: LabelledImages, recipe: Recipe, callbacks: Sequence[Callback] = ()) -> Network:
    """Train a labeller in place and return it; each callback is told of every iteration.

    Raises:
        ValueError: the net has no score map to train, classes differ, or the data have no labels.
        FloatingPointError: the loss is no longer finite (the learning rate is too high).
    """
    grid = _grid(net, data)
    torch.manual_seed(recipe.seed)  # dropout
    _prepare(net, data, recipe)
    groups = parameter_groups(net, recipe)
    optimiser = torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    net.train()
    for i, (images, labels) in zip(range(recipe.iterations), batches(data, recipe), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * recipe.rate(i)
        scores = net(images)
        loss = loss_at_stride(scores, grid.decimate(labels, scores.shape[-2:]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step = Step(i + 1, recipe.iterations, _finite(float(loss.detach()), i), recipe.rate(i))
        for callback in callbacks:
            callback(step)
    return fold_batch_norm(net).eval()


def _prepare(net: Network, data: LabelledImages, recipe: Recipe) -> None:
    """What the recipe changes in the network before the first iteration."""
    nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last)  # faster on CPUs, else the same
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = recipe.dropout
    if recipe.batch_norm:
        insert_batch_norm(net, next(batches(data, recipe))[0])


def _grid(net: Network, data: LabelledImages) -> ScoreGrid:
    if net.grid is None:
        raise ValueError(f"net: {net.spec.variant} gives one answer an image; expected a labeller (deeplab…)")
    if net.spec.num_classes != data.num_classes:
        raise ValueError(f"net: has {net.spec.num_classes} classes, expected the data's {data.num_classes}")
    return net.grid


def _finite(loss: float, iteration: int) -> float:
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} at iteration {iteration}; a lower lr may help")
    return loss
