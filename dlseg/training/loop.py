"""The paper's training (section 5): cross-entropy on the stride-8 map, SGD with momentum, one plain loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.datasets.memory import LabelledImages
from dlseg.datasets.transforms import VOID
from dlseg.networks import Network, ScoreGrid
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training import checkpoint as checkpoints
from dlseg.training.batches import batches
from dlseg.training.recipe import Recipe


@dataclass(frozen=True)
class Step:
    """What a callback is told after an iteration; `loss` is the batch's mean cross-entropy in nats."""

    iteration: int
    iterations: int
    loss: float
    rate: float


Callback = Callable[[Step], None]


def loss_at_stride(
    scores: Float[Tensor, "B C h w"], labels: Integer[Tensor, "B h w"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the positions of the score map that are not void; 0 where all are void."""
    total = F.cross_entropy(scores, labels.long(), ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def parameter_groups(net: Network, recipe: Recipe) -> list[dict[str, object]]:
    """All layers at the recipe's rate, the classifier fc8 at its own, higher one."""
    classifier = [p for name, p in net.named_parameters() if "fc8" in name]
    others = [p for name, p in net.named_parameters() if "fc8" not in name]
    fast = recipe.lr * recipe.classifier_lr_factor
    return [{"params": others, "base": recipe.lr}, {"params": classifier, "base": fast}]


def train(
    net: Network,
    data: LabelledImages,
    recipe: Recipe,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    every: int = 100,
) -> Network:
    """Train a labeller in place and return it; each callback is told of every iteration.

    With `checkpoint`, the whole state is kept in that file, anew after every `every` iterations. A run that finds
    the file goes on from it and ends with the very weights of an uninterrupted one (on a CPU, with the same number
    of threads). The file is removed when the run is complete.

    Raises:
        ValueError: the net has no score map to train, classes differ, the data have no labels, or the checkpoint
            belongs to another run.
        FloatingPointError: the loss is no longer finite (the learning rate is too high).
    """
    grid = _grid(net, data)
    torch.manual_seed(recipe.seed)  # dropout
    _prepare(net, data, recipe)
    optimiser = torch.optim.SGD(
        parameter_groups(net, recipe), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    run = checkpoints.Run(net, optimiser, recipe, checkpoints.fingerprint(net, data))
    first = run.resume(checkpoint) if checkpoint else 0
    net.train()
    for i, (images, labels) in zip(range(first, recipe.iterations), batches(data, recipe, first), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * recipe.rate(i)
        scores = net(images)
        loss = loss_at_stride(scores, grid.decimate(labels, scores.shape[-2:]))
        optimiser.zero_grad()
        loss.backward()
        value = _finite(float(loss.detach()), i)
        optimiser.step()
        if checkpoint and (i + 1) % every == 0:
            run.save(checkpoint, i + 1)
        step = Step(i + 1, recipe.iterations, value, recipe.rate(i))
        for callback in callbacks:
            callback(step)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
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
