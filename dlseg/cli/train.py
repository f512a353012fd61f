"""`dlseg pretrain`: a classifier of shapes. `dlseg train`: a classifier becomes a dense labeller."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch
from tqdm.auto import tqdm

from dlseg.cli import options
from dlseg.datasets import load
from dlseg.datasets.memory import InMemory
from dlseg.datasets.whole import tree_hash
from dlseg.networks import Network, create, load_trunk, save_weights
from dlseg.networks.saved import open_weights
from dlseg.scoring import evaluate
from dlseg.training import Callback, Recipe, Step
from dlseg.training import train as train_net

WIDTH = 1 / 8


@contextmanager
def progress(total: int, what: str) -> Iterator[Callback]:
    """A bar on standard error that shows the loss, averaged over the last fifty iterations or so."""
    with tqdm(total=total, desc=what, unit="it", file=sys.stderr) as bar:
        smooth: list[float] = []

        def show(step: Step) -> None:
            bar.n = step.iteration - 1  # a run that was taken up does not start at 0
            smooth.append(step.loss if not smooth else 0.96 * smooth[-1] + 0.04 * step.loss)
            bar.set_postfix(loss=f"{smooth[-1]:.3f}", refresh=False)
            bar.update()

        yield show


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .safetensors file to write.")
@click.option("--images", default=8_000, show_default=True, type=click.IntRange(64), help="Pictures to make.")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1))
@click.option("--width", default=WIDTH, show_default=True, help="Channels, as a share of VGG-16's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes that make pictures.")
@options.threads
@options.as_json
def pretrain(
    out: Path, images: int, epochs: int, width: float, seed: int, jobs: int, threads: int | None, as_json: bool,
) -> None:
    """Train the fully convolutional VGG-16 classifier on single shapes: what ImageNet is to the paper."""
    from dlseg.datasets.shapes import CLASSES, classification
    from dlseg.training.pretraining import accuracy
    from dlseg.training.pretraining import pretrain as pretrain_net

    options.use_threads(threads)
    check_out(out)
    start = time.perf_counter()
    pictures, classes = classification(seed, images, jobs=jobs)
    unseen, their_classes = classification(seed + 1, 1000, jobs=jobs)
    torch.manual_seed(seed)
    net = create("vgg16-20m", len(CLASSES) - 1, width)  # a picture of background alone is no class
    with progress(epochs * (images // 32), "pretrain") as bar:
        pretrain_net(net, pictures, classes - 1, epochs=epochs, seed=seed, callbacks=[bar])
    info = {
        "command": " ".join(["dlseg", *sys.argv[1:]]), "seed": seed, "images": images, "classes": CLASSES[1:],
        "data_sha256": hashlib.sha256(pictures.tobytes()).hexdigest(),
        "accuracy": round(accuracy(net, unseen, their_classes - 1), 4),
        "seconds": round(time.perf_counter() - start),
    }
    _finish(net, out, info, as_json)


@click.command()
@click.option("--data", default="shapes", show_default=True, help="'shapes', 'voc2012' or a VOC-layout folder.")
@click.option("--init", default="shapes-classifier", show_default=True,
              help="'shapes-classifier', 'none', or a .safetensors file.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/labeller.safetensors"),
              show_default=True, help="A .safetensors file to write.")
@click.option("--variant", default="deeplab-largefov", show_default=True)
@click.option("--width", default=WIDTH, show_default=True, help="Channels, as a share of VGG-16's.")
@click.option("--geometry", type=click.Choice(["paper", "release"]), default="paper", show_default=True)
@click.option("--iterations", type=click.IntRange(1), default=None, help="Default: the recipe's.")
@click.option("--lr", type=float, default=None, help="Default: the recipe's.")
@click.option("--batch", type=int, default=None, help="Default: the recipe's.")
@click.option("--crop", type=int, default=None, help="Default: the recipe's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--evaluate/--no-evaluate", "check", default=True, help="Measure on the val split at the end.")
@options.threads
@options.as_json
def train(
    data: str, init: str, out: Path, variant: str, width: float, geometry: Any, iterations: int | None,
    lr: float | None, batch: int | None, crop: int | None, seed: int, check: bool, threads: int | None,
    as_json: bool,
) -> None:
    """Fine-tune a classifier into a labeller at stride 8, by the recipe scaled to the data set.

    A run that was interrupted goes on from its last checkpoint when the same command is given again.
    """
    options.use_threads(threads)
    check_out(out)
    classifier = open_classifier(init)
    asked = {"iterations": iterations, "lr": lr, "batch": batch, "crop": crop, "seed": seed}
    changes: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    recipe = Recipe.shapes(**changes) if data == "shapes" else dataclasses.replace(Recipe(), **changes)
    dataset = InMemory(load(data, "train")) if data == "shapes" else load(data, "train")
    torch.manual_seed(seed)
    net = create(variant, dataset.num_classes, width, geometry)
    poured = "nothing copied: random weights" if classifier is None else f"{init}: {load_trunk(net, classifier)}"
    start = time.perf_counter()
    with progress(recipe.iterations, "train") as bar:
        train_net(net, dataset, recipe, [bar], checkpoint=out.with_suffix(".checkpoint"))
    info: dict[str, Any] = {
        "command": " ".join(["dlseg", *sys.argv[1:]]), "seed": seed, "classes": dataset.classes, "init": poured,
        "data": data, "data_sha256": tree_hash(load(data, "train").root), "images": len(dataset),
        "recipe": dataclasses.asdict(recipe), "train_seconds": round(time.perf_counter() - start, 1),
    }
    if check:
        info["mean_iou"] = round(evaluate(net, load(data, "val"))["net"].whole.mean_iou(), 4)
    _finish(net, out, info, as_json)


def open_classifier(init: str) -> Network | None:
    """The network to start from; None for "none"."""
    if init == "none":
        return None
    return open_weights("shapes", "vgg16-20m")[0] if init == "shapes-classifier" else open_weights(init)[0]


def check_out(path: Path) -> None:
    """Say now, not after minutes of work, that the result could not be written."""
    if path.suffix != ".safetensors":
        raise ValueError(f"--out: got {path.name!r}, expected a name that ends in .safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"--out: the folder {str(path.parent)!r} cannot be written to")


def _finish(net: Network, out: Path, info: dict[str, Any], as_json: bool) -> None:
    path = save_weights(net, out, info)
    if as_json:
        options.show_json(info | {"weights": str(path)})
    else:
        figures = {k: v for k, v in info.items() if k in ("mean_iou", "accuracy", "train_seconds", "seconds")}
        click.echo(f"{path}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))
