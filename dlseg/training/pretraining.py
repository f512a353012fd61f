"""A classifier of single things to start a segmentation network from, as ImageNet's VGG-16 is the paper's start.

Batch normalisation is used while it learns and folded away at the end (`dlseg.networks.batch_norm`).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.common.checks import message, number, one_of, whole_number
from dlseg.common.constants import MEAN_PIXEL
from dlseg.networks import Network
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training.checkpoint import read_state, write_state
from dlseg.training.loop import Callback, TrainingStep
from dlseg.training.setup import resolve

Images = UInt8[np.ndarray, "N H W 3"]
Classes = Integer[np.ndarray, " N"]
Optimiser = Literal["sgd", "adamw"]
Precision = Literal["float32", "bfloat16"]


def single_things(
    name: str, seed: int, count: int, size: int, jobs: int = 1
) -> tuple[Images, Classes, tuple[str, ...]]:
    """Pictures of one thing each and their classes from 0 on, of a data set that makes such ones.

    Args:
        name: the data set's, such as "shapes": `classification` and `CLASSES` of `dlseg.datasets.NAME` make them.
        seed: which pictures.
        count: how many.
        size: side in pixels.
        jobs: processes; -1 for one per core.

    Returns:
        Images (N, size, size, 3), class numbers (N,) and the classes' names; background is no class here.

    Raises:
        ValueError: a data set that makes no pictures of single things.

    >>> images, classes, names = single_things("shapes", seed=0, count=3, size=64)
    >>> images.shape, classes.shape, len(names)
    ((3, 64, 64, 3), (3,), 12)
    """
    try:
        module = importlib.import_module(f"dlseg.datasets.{name}")
        make, names = module.classification, tuple(module.CLASSES[1:])
    except (ImportError, AttributeError) as error:
        raise ValueError(
            message("singles", repr(name), "a data set that makes pictures of single things")
        ) from error
    images, classes = make(seed, count, size, jobs)
    return images, classes - 1, names


def to_inputs(images: Images) -> Float[Tensor, "N 3 H W"]:
    """A batch of RGB images less the mean pixel.

    >>> to_inputs(np.zeros((1, 2, 2, 3), np.uint8))[0, :, 0, 0]
    tensor([-122.6750, -116.6690, -104.0080])
    """
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() - torch.tensor(MEAN_PIXEL)[:, None, None]


def pretrain(
    net: Network,
    images: Images,
    classes: Classes,
    *,
    epochs: int = 12,
    batch: int = 32,
    lr: float = 0.1,
    optimiser: Optimiser = "sgd",
    dropout: float = 0.5,
    precision: Precision = "float32",
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    every: int = 100,
    keep_checkpoint: bool = False,
    device: str | torch.device = "auto",
) -> Network:
    """Train a classifier in place and return it: one-cycle schedule, every image mirrored half the time.

    Args:
        net: a classifier; afterwards it is where it was, and plain.
        images: (N, H, W, 3) RGB.
        classes: (N,) class numbers from 0 on.
        epochs: how often every image is seen.
        batch: images an iteration.
        lr: the highest learning rate.
        optimiser: "sgd" (Nesterov momentum 0.9) or "adamw".
        dropout: share of fc6's and fc7's units left out; a narrow network can spare fewer of them.
        precision: "bfloat16" computes the network in it (autocast); weights and loss stay float32. About twice as
            fast on a processor that has instructions for it.
        seed: of order, mirroring and dropout.
        callbacks: called with a `TrainingStep` after every iteration.
        checkpoint: the file that keeps the state; a run that finds it goes on from it and ends with the same
            weights. It is removed at the end, unless `keep_checkpoint`.
        every: iterations between checkpoints.
        keep_checkpoint: leave the state after the last iteration in `checkpoint`.
        device: "auto" is a GPU where there is one.

    Raises:
        ValueError: fewer images than a batch, or a checkpoint of another run.

    >>> from dlseg.networks import create
    >>> images, classes, _ = single_things("shapes", seed=0, count=4, size=64)
    >>> net = pretrain(create("vgg16-20m", 12, width=1 / 64), images, classes, epochs=1, batch=2)
    >>> 0 <= accuracy(net, images, classes) <= 1
    True
    """
    one_of("optimiser", optimiser, ("sgd", "adamw"))
    one_of("precision", precision, ("float32", "bfloat16"))
    whole_number("batch", batch, low=2, high=len(images))  # one image alone has no statistics to normalise by
    number("dropout", dropout, low=0, high=1)
    place, home = resolve(device), next(net.parameters()).device
    torch.manual_seed(seed)
    layers = [(layer, layer.p) for layer in net.modules() if isinstance(layer, nn.Dropout)]
    for layer, _ in layers:
        layer.p = dropout
    insert_batch_norm(net).train().to(place)
    total = epochs * (len(images) // batch)
    solver: torch.optim.Optimizer
    if optimiser == "sgd":
        solver = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    else:
        solver = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(solver, lr, total)
    run = {"net": net, "optimiser": solver, "schedule": schedule}
    settings = {
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "optimiser": optimiser,
        "dropout": dropout,
        "precision": precision,
        "seed": seed,
    }
    settings |= net.spec.to_dict() | {"images": hashlib.sha256(images.tobytes() + classes.tobytes()).hexdigest()}
    first = 0 if checkpoint is None else _resume(checkpoint, run, settings)
    for i, chosen in enumerate(islice(_shuffled(len(images), batch, epochs, seed), first, None), first):
        x = to_inputs(images[chosen])
        mirrored = torch.rand(len(x)) < 0.5
        x[mirrored] = x[mirrored].flip(-1)
        with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bfloat16"):
            scores = net(x.to(place))
        loss = F.cross_entropy(scores.float(), torch.from_numpy(classes[chosen]).long().to(place))
        solver.zero_grad()
        loss.backward()
        solver.step()
        schedule.step()
        for callback in callbacks:
            callback(TrainingStep(i + 1, total, float(loss.detach()), float(schedule.get_last_lr()[0]) / lr))
        if checkpoint is not None and ((i + 1) % every == 0 or (keep_checkpoint and i + 1 == total)):
            state = {name: part.state_dict() for name, part in run.items()}
            gpu = torch.cuda.get_rng_state(place) if place.type == "cuda" else None
            random = {"rng": torch.get_rng_state(), "gpu_rng": gpu}
            write_state(checkpoint, state | random | {"iteration": i + 1, "settings": settings})
    if checkpoint is not None and not keep_checkpoint:
        checkpoint.unlink(missing_ok=True)
    for layer, own in layers:
        layer.p = own
    return fold_batch_norm(net).eval().to(home)


def _resume(path: Path, run: dict[str, Any], settings: dict[str, Any]) -> int:
    """Take up the state in `path`, if there is one; the number of iterations done."""
    if not path.exists():
        return 0
    state = read_state(path)
    there = state.get("settings") or {}
    if differing := [key for key in settings if there.get(key) != settings[key]]:
        raise ValueError(
            f"checkpoint: {str(path)!r} belongs to another run (other {', '.join(differing)}); "
            "name another file, or remove it to start afresh"
        )
    for name, part in run.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["rng"])
    if state["gpu_rng"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["gpu_rng"])
    return int(state["iteration"])


def _shuffled(size: int, batch: int, epochs: int, seed: int) -> Iterator[np.ndarray]:
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(size)
        yield from np.split(order[: size // batch * batch], size // batch)


@torch.inference_mode()
def accuracy(net: Callable[[Tensor], Tensor], images: Images, classes: Classes, batch: int = 64) -> float:
    """Share of images whose class scores highest, on the network's own device.

    >>> scores = lambda x: torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)    # dark, light
    >>> pictures = np.stack([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)])
    >>> accuracy(scores, pictures, np.array([0, 1]))
    1.0
    """
    place = next(net.parameters()).device if isinstance(net, Network) else torch.device("cpu")
    hits = 0
    for first in range(0, len(images), batch):
        scores = net(to_inputs(images[first : first + batch]).to(place))
        hits += int((scores.argmax(1).cpu().numpy() == classes[first : first + batch]).sum())
    return hits / len(images)
