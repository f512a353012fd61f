"""The paper's training (section 5): cross-entropy on the stride-8 map, SGD with momentum, one plain loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.common.constants import VOID
from dlseg.datasets.protocols import LabelledImages
from dlseg.networks import Network
from dlseg.training.batches import batches
from dlseg.training.checkpoint import TrainingState, fingerprint
from dlseg.training.distributed import processes, without_exchange
from dlseg.training.recipe import Recipe
from dlseg.training.setup import (
    check_fit,
    check_learnable,
    default_workers,
    number_type,
    parameter_groups,
    prepared,
    resolve,
    weights_of_classes,
)


@dataclass(frozen=True)
class TrainingStep:
    """What a callback gets after an iteration.

    Attributes:
        iteration: its number, from 1.
        iterations: how many there will be.
        loss: the batch's cross-entropy, mean (in nats) or sum.
        rate: the factor of the learning rate.

    >>> TrainingStep(iteration=1, iterations=6000, loss=3.04, rate=1.0).loss
    3.04
    """

    iteration: int
    iterations: int
    loss: float
    rate: float


Callback = Callable[[TrainingStep], None]


class StopTraining(Exception):
    """Raised by a callback to end the training, in good order, before its last iteration.

    >>> def stop(step: TrainingStep) -> None:
    ...     if step.loss < 0.1:
    ...         raise StopTraining
    """


def loss_at_stride(
    scores: Float[Tensor, "B C h w"],
    labels: Integer[Tensor, "B h w"],
    reduction: Literal["mean", "sum"] = "mean",
    weights: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy over the positions of the score map that are not void (section 3.1).

    Args:
        scores: raw scores (B, C, h, w).
        labels: class numbers at the same positions, (B, h, w); 255 is void.
        reduction: "mean" over the positions, by their weights, or "sum".
        weights: what a position of each class weighs; None: all the same.

    Returns:
        One number, in nats; 0 where all is void.

    >>> scores, labels = torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.int64)
    >>> round(float(loss_at_stride(scores, labels)), 4)    # two classes, and no idea: log 2
    0.6931
    """
    total = F.cross_entropy(scores, labels.long(), weights, ignore_index=VOID, reduction="sum")
    return total if reduction == "sum" else total / _not_zero(_weight(labels, weights))


def _weight(labels: Tensor, weights: Tensor | None) -> Tensor:
    """What all the positions that are not void weigh together: where all weigh the same, their number."""
    valid = labels != VOID
    return valid.sum() if weights is None else weights[labels[valid].long()].sum()


def _not_zero(weight: Tensor) -> Tensor:
    """1 for 0, so that a batch without any weight has a loss of 0, not of 0/0."""
    return weight.where(weight != 0, 1)


def train(
    net: Network,
    data: LabelledImages,
    recipe: Recipe,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    every: int = 100,
    *,
    device: str | torch.device = "auto",
    workers: int | None = None,
    accumulate: int = 1,
    keep_checkpoint: bool = False,
    origin: str = "",
) -> Network:
    """Train a segmentation network in place and return it (section 5).

    With `checkpoint`, the whole state is kept in that file, anew after every `every` iterations. A run that finds
    the file goes on from it and ends with the very weights of an uninterrupted one (on a CPU, with the same number
    of threads). The file is removed when the run is complete, unless `keep_checkpoint`.

    Under torchrun (`dlseg.training.distributed.joined`) each process computes its share of every batch, and all
    end with the same weights; every process calls its callbacks, with the same `TrainingStep`.

    Args:
        net: a segmentation network. Afterwards it is where it was, and plain: what the recipe put in is folded
            away.
        data: labelled pictures with as many classes.
        recipe: the solver's settings.
        callbacks: called with a `TrainingStep` each; one that raises `StopTraining` ends the run. Those with
            `state_dict` and `load_state_dict` are part of the checkpoint.
        checkpoint: the file that keeps the state.
        every: iterations between checkpoints.
        device: "auto" (a GPU where there is one), "cpu", "cuda:1", …
        workers: processes that make batches ahead of time; None: as the device needs. The result is the same.
        accumulate: compute each batch in this many parts, one after the other: less memory, the same gradient up
            to rounding.
        keep_checkpoint: leave the state after the last iteration in `checkpoint`.
        origin: what the network was initialised from, in words; a checkpoint keeps them, and only a run of the same
            origin goes on from it.

    Raises:
        ValueError: net, data and recipe do not go together, nothing can be learned from the labels (all are void,
            or of one class), or the checkpoint belongs to another run.
        FloatingPointError: the loss is no longer finite (the learning rate is too high).

    >>> from dlseg.datasets import load
    >>> from dlseg.networks import create
    >>> losses = []
    >>> recipe = Recipe.shapes(iterations=2, batch=2, crop=66)
    >>> net = create("deeplab-largefov", num_classes=13, width=1 / 64)
    >>> net = train(net, load("shapes", "train_sample"), recipe, [lambda step: losses.append(step.loss)])
    >>> len(losses)
    2
    """
    grid = check_fit(net, data, recipe, accumulate)
    place, dtype, mine = resolve(device), number_type(recipe), processes().share(recipe.batch)
    torch.manual_seed(recipe.seed)
    with prepared(net, data, recipe, place) as set_numbers:
        optimiser = torch.optim.SGD(parameter_groups(net, recipe), lr=recipe.lr, momentum=recipe.momentum)
        weights = weights_of_classes(data, recipe)
        weights = None if weights is None else weights.to(place, dtype)
        run = TrainingState(net, optimiser, recipe, fingerprint(net, data), callbacks, data.classes, origin)
        first = run.resume(checkpoint) if checkpoint else 0
        model = processes().wrap(net.train())
        stream = batches(data, recipe, first, default_workers(place, workers), mine, place.type == "cuda")
        for i, (images, labels) in enumerate(stream, first):
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * recipe.rate(i)
            optimiser.zero_grad()
            targets = grid.decimate(labels, net.score_size((recipe.crop, recipe.crop))).to(place)
            if i == first:
                check_learnable(data, targets)
            numbers = [i * recipe.batch + j for j in mine]
            loss = _add_gradients(
                model, images.to(place, dtype), targets, weights, numbers, recipe, accumulate, set_numbers
            )
            step = TrainingStep(i + 1, recipe.iterations, _finite(loss, i), recipe.rate(i))
            optimiser.step()
            try:
                for callback in callbacks:
                    callback(step)
            except StopTraining:
                break
            finally:  # after the callbacks, whose state belongs to it, and also where one of them raised
                if checkpoint and ((i + 1) % every == 0 or (keep_checkpoint and i + 1 == recipe.iterations)):
                    run.save(checkpoint, i + 1)
    if checkpoint and not keep_checkpoint:
        checkpoint.unlink(missing_ok=True)
    return net


def _add_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    numbers: Sequence[int],
    recipe: Recipe,
    parts: int,
    set_numbers: Callable[[Sequence[int]], None],
) -> float:
    """Forward and backward through each part of a batch; returns the loss over all parts and processes."""
    count = targets.new_ones(())
    if recipe.loss == "mean":
        count = _not_zero(processes().total(_weight(targets, weights)))
    total, parts = images.new_zeros(()), min(parts, len(numbers))
    for k in range(parts):
        part = slice(len(numbers) * k // parts, len(numbers) * (k + 1) // parts)
        set_numbers(numbers[part])
        with without_exchange(model) if k < parts - 1 else nullcontext():
            with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                scores = model(images[part]).to(images.dtype)
            loss = loss_at_stride(scores, targets[part], "sum", weights) / count
            (loss * processes().size).backward()  # the mean of the processes' gradients is then their sum
        total += loss.detach()
    return float(processes().total(total))


def _finite(loss: float, iteration: int) -> float:
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} at iteration {iteration}; a lower lr may help")
    return loss
