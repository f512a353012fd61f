"""`dlseg pretrain`: a classifier of single things, to the embedded data what ImageNet's VGG-16 is to the paper."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import click
import torch

from dlseg.cli import options
from dlseg.networks import create
from dlseg.networks.architectures import VARIANTS
from dlseg.networks.weights import find_weights, initialise_from
from dlseg.training.callbacks import ProgressBar

SIDE = 128  # of the pictures, for a classifier that takes any size
CLASSIFIERS = [v.name for v in VARIANTS.values() if v.kind == "classifier"]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .safetensors file to write.")
@click.option(
    "--data", default="shapes", show_default=True, help="A data set that makes pictures of single things."
)
@click.option("--variant", type=click.Choice(CLASSIFIERS), default="vgg16-20m", show_default=True)
@click.option("--images", default=8_000, show_default=True, type=click.IntRange(64), help="Pictures to make.")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1))
@click.option("--width", default=1 / 8, show_default=True, help="Channels, as a share of VGG-16's.")
@click.option("--optimiser", type=click.Choice(["sgd", "adamw"]), default="sgd", show_default=True)
@click.option("--lr", default=0.1, show_default=True, help="The highest learning rate.")
@click.option("--init", default=None, help="A weights file to begin from: whatever layers fit are copied.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="'cpu', 'cuda', 'cuda:1', …")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes that make pictures.")
@options.overwrite
@options.threads
@options.as_json
def pretrain(
    out: Path,
    data: str,
    variant: str,
    images: int,
    epochs: int,
    width: float,
    optimiser: str,
    lr: float,
    init: str | None,
    seed: int,
    device: str,
    jobs: int,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train a classifier on single things: what ImageNet is to the paper.

    The default is the fully convolutional VGG-16 of 128 px pictures that the shipped networks begin from. 'vgg16'
    and 'alexnet' are the papers' own, with fully connected layers for 224 and 227 px. A run that was interrupted
    goes on from its last checkpoint when the same command is given again.
    """
    from dlseg.training.pretraining import accuracy, single_things
    from dlseg.training.pretraining import pretrain as pretrain_net
    from dlseg.training.setup import resolve

    options.use_threads(threads)
    checkpoint, place = out.with_suffix(".checkpoint"), resolve(device)
    options.check_out(out, overwrite, checkpoint)
    connected = VARIANTS[variant].fc6.padding is None
    side = VARIANTS[variant].paper.crop if connected else SIDE
    start = time.perf_counter()
    pictures, classes, names = single_things(data, seed, images, side, jobs)
    unseen, their_classes, _ = single_things(data, seed + 1, images // 8, side, jobs)
    torch.manual_seed(seed)
    net = create(variant, len(names), width)
    copied = "nothing copied: random weights"
    if init is not None:
        path, found, info = find_weights(init)
        copied = f"{init}: {initialise_from(net, found, path.name, info.get('classes') == list(names))}"
    click.echo(copied, err=True)
    with ProgressBar(epochs * (images // 32), "pretrain") as bar:
        pretrain_net(
            net,
            pictures,
            classes,
            epochs=epochs,
            lr=lr,
            optimiser=optimiser,  # type: ignore[arg-type]
            seed=seed,
            callbacks=[bar],
            checkpoint=checkpoint,
            keep_checkpoint=True,
            device=place,
        )
    document = {
        "command": " ".join(["dlseg", *sys.argv[1:]]),
        "seed": seed,
        "images": images,
        "classes": names,
        "init": copied,
        "data": data,
        "data_sha256": hashlib.sha256(pictures.tobytes()).hexdigest(),
        "accuracy": round(accuracy(net.to(place), unseen, their_classes), 4),
        "seconds": round(time.perf_counter() - start),
    }
    options.finish(net, out, document, as_json)
    checkpoint.unlink(missing_ok=True)
