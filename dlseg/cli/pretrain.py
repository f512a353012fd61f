"""`dlseg pretrain`: a classifier of shapes, to the embedded data what ImageNet's VGG-16 is to the paper."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import click
import torch

from dlseg.cli import options
from dlseg.networks import create
from dlseg.training.callbacks import ProgressBar


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .safetensors file to write.")
@click.option("--images", default=8_000, show_default=True, type=click.IntRange(64), help="Pictures to make.")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1))
@click.option("--width", default=1 / 8, show_default=True, help="Channels, as a share of VGG-16's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes that make pictures.")
@options.overwrite
@options.threads
@options.as_json
def pretrain(
    out: Path,
    images: int,
    epochs: int,
    width: float,
    seed: int,
    jobs: int,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train the fully convolutional VGG-16 classifier on single shapes: what ImageNet is to the paper."""
    from dlseg.datasets.shapes import CLASSES, classification
    from dlseg.training.pretraining import accuracy
    from dlseg.training.pretraining import pretrain as pretrain_net

    options.use_threads(threads)
    options.check_out(out, overwrite)
    start = time.perf_counter()
    pictures, classes = classification(seed, images, jobs=jobs)
    unseen, their_classes = classification(seed + 1, 1000, jobs=jobs)
    torch.manual_seed(seed)
    net = create("vgg16-20m", len(CLASSES) - 1, width)  # a picture of background alone is no class
    with ProgressBar(epochs * (images // 32), "pretrain") as bar:
        pretrain_net(net, pictures, classes - 1, epochs=epochs, seed=seed, callbacks=[bar])
    info = {
        "command": " ".join(["dlseg", *sys.argv[1:]]),
        "seed": seed,
        "images": images,
        "classes": CLASSES[1:],
        "data_sha256": hashlib.sha256(pictures.tobytes()).hexdigest(),
        "accuracy": round(accuracy(net, unseen, their_classes - 1), 4),
        "seconds": round(time.perf_counter() - start),
    }
    options.finish(net, out, info, as_json)
