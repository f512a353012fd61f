"""`dlseg train`: a classifier becomes a segmentation network, under torchrun in several processes."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import torch

from dlseg.cli import options
from dlseg.common.files import tree_hash
from dlseg.datasets import Dataset, load
from dlseg.datasets.counts import LabelCounts, count_labels, shared_pictures
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.networks import Network, create, save_weights
from dlseg.networks.imagenet import download
from dlseg.networks.weight_formats import Weights
from dlseg.networks.weights import find_weights, initialise_from
from dlseg.predict.evaluate import evaluate
from dlseg.training import Callback, Recipe
from dlseg.training import train as train_net
from dlseg.training.callbacks import EarlyStop, JsonLog, ProgressBar
from dlseg.training.checkpoint import changes
from dlseg.training.distributed import joined
from dlseg.training.setup import resolve


@click.command()
@click.option("--data", default="shapes", show_default=True, help=options.DATA)
@click.option("--split", default="train", show_default=True, help="The list to train on.")
@click.option(
    "--init",
    default="shapes-classifier",
    show_default=True,
    help="'shapes-classifier', 'imagenet', 'none', or a weights file: dlseg's, PyTorch's or Caffe's.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="A .safetensors file to write; default: runs/DATA-VARIANT.safetensors.",
)
@options.overwrite
@click.option("--variant", default="deeplab-largefov", show_default=True)
@click.option("--width", default=1 / 8, show_default=True, help="Channels, as a share of VGG-16's.")
@click.option("--geometry", type=click.Choice(["paper", "release"]), default="paper", show_default=True)
@click.option(
    "--recipe",
    "source",
    default=None,
    help="'shapes', 'paper', 'release', 'release-2' or a JSON file; default: shapes for the shapes, "
    "else the geometry's.",
)
@click.option("--iterations", type=int, default=None, help="Default: the recipe's; so are the next five.")
@click.option("--lr", type=float, default=None)
@click.option("--batch", type=int, default=None)
@click.option("--crop", type=int, default=None)
@click.option("--seed", type=int, default=None)
@click.option("--precision", type=click.Choice(["float32", "bfloat16", "float64"]), default=None)
@click.option("--device", default="auto", show_default=True, help="'cpu', 'cuda', 'cuda:1', …")
@click.option("--workers", type=click.IntRange(0), default=None, help="Processes that read pictures ahead.")
@click.option("--accumulate", default=1, show_default=True, help="Compute each batch in this many parts.")
@click.option("--every", default=100, show_default=True, type=click.IntRange(1), help="Iterations a checkpoint.")
@click.option(
    "--keep-checkpoint", is_flag=True, help="Keep the last checkpoint: a larger --iterations extends the run."
)
@click.option("--log-file", type=click.Path(path_type=Path), default=None, help="A file of JSON lines.")
@click.option("--patience", type=int, default=None, help="Stop when the loss has not fallen for so long.")
@click.option("--evaluate/--no-evaluate", "check", default=True, help="Measure on the val split at the end.")
@options.threads
@options.as_json
def train(
    data: str,
    split: str,
    init: str,
    out: Path | None,
    overwrite: bool,
    variant: str,
    width: float,
    geometry: Any,
    source: str | None,
    device: str,
    workers: int | None,
    accumulate: int,
    every: int,
    keep_checkpoint: bool,
    log_file: Path | None,
    patience: int | None,
    check: bool,
    threads: int | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Fine-tune a classifier into a segmentation network at stride 8.

    A run that was interrupted goes on from its last checkpoint when the same command is given again; another
    --iterations or --lr then holds from there on.

    `torchrun --nproc-per-node=2 -m dlseg train …` shares every batch among two processes.
    """
    options.use_threads(threads)
    out = out or Path("runs") / f"{Path(data).resolve().name}-{variant}.safetensors"
    options.check_out(out, overwrite)
    recipe = recipe_for(source or ("shapes" if data == "shapes" else geometry), variant, asked)
    pictures = load(data, split)
    dataset: LabelledImages = InMemory(pictures) if data == "shapes" and pictures.labelled else pictures
    counts = trainable(dataset, split)
    val = measurable(data, dataset) if check else None
    torch.manual_seed(recipe.seed)
    net, initialised = start_network(variant, dataset.classes, width, geometry, init)
    checkpoint, place, start = out.with_suffix(".checkpoint"), resolve(device), time.perf_counter()
    with ExitStack() as stack:
        team = stack.enter_context(joined(place))
        if team.rank == 0:
            notes = [
                f"{split}: {counts}",
                *([] if val is None else val.notes),
                initialised,
                changes(checkpoint, recipe),
            ]
            click.echo("\n".join(filter(None, notes)), err=True)
        callbacks: list[Callback] = [] if patience is None else [EarlyStop(patience)]
        if team.rank == 0:
            callbacks.append(stack.enter_context(ProgressBar(recipe.iterations)))
            callbacks += [JsonLog(log_file)] if log_file else []
        train_net(
            net,
            dataset,
            recipe,
            callbacks,
            checkpoint,
            every,
            device=place,
            workers=workers,
            accumulate=accumulate,
            keep_checkpoint=True,
        )
    if team.rank:
        return
    info: dict[str, Any] = {
        "command": " ".join(["dlseg", *sys.argv[1:]]),
        "seed": recipe.seed,
        "classes": dataset.classes,
        "init": initialised,
        "data": data,
        "data_sha256": tree_hash(pictures.root),
        "images": len(dataset),
        "label_shares": counts.shares(),
        "void_share": counts.void_share(),
        "processes": team.size,
        "recipe": dataclasses.asdict(recipe),
        "train_seconds": round(time.perf_counter() - start, 1),
    }
    if val is not None:
        save_weights(net, out, info)  # before anything else can go wrong
        try:
            info["mean_iou"] = round(evaluate(net, val.data)["net"].whole.mean_iou(), 4)
        except (ValueError, OSError) as error:
            _drop(checkpoint, keep_checkpoint)
            raise ValueError(
                f"{error}; the weights are saved in {str(out)!r}: mend this, and `dlseg evaluate "
                "--weights` measures them"
            ) from error
    options.finish(net, out, info, as_json)
    _drop(checkpoint, keep_checkpoint)


def _drop(checkpoint: Path, keep: bool) -> None:
    """Not before the weights are there: a kill must lose nothing."""
    if not keep:
        checkpoint.unlink(missing_ok=True)


def trainable(data: LabelledImages, split: str) -> LabelCounts:
    """What the labels of a split hold; all of them are read.

    Raises ValueError where nothing can be learned from them, and what reading a faulty one raises.
    """
    if not getattr(data, "labelled", True):
        raise ValueError(
            f"--split {split}: got pictures without labels, expected labelled ones to train on{_looked(data)}"
        )
    counts = count_labels(data, progress=True)
    if counts.fault():
        raise ValueError(f"--split {split}: {counts.fault()}")
    return counts


def _looked(data: object) -> str:
    """Where the labels of a folder were looked for."""
    folder, names = getattr(data, "labels", ""), getattr(data, "names", [""])
    return f"; looked for {folder}/{names[0]}.png and {len(names) - 1} more" if folder else ""


@dataclasses.dataclass(frozen=True)
class Measured:
    """The split to measure on, and what is odd about it."""

    data: Dataset
    notes: list[str]


def measurable(data: str, trained: LabelledImages) -> Measured:
    """The val split, all of its labels read: what is wrong with it is said before the training, not after it."""
    how = "; --no-evaluate trains without measuring"
    try:
        val = load(data, "val")
        if not val.labelled:
            raise ValueError(
                f"split 'val': got pictures without labels, expected labelled ones to measure on{_looked(val)}"
            )
        counts = count_labels(val, progress=True)
    except (ValueError, OSError) as error:
        raise ValueError(f"{error}{how}") from error
    if not any(counts.pixels):
        raise ValueError(f"split 'val': {counts.fault()}{how}")
    shared = shared_pictures(trained, val)
    note = f"note: {len(shared)} pictures are in val too ({', '.join(shared[:3])}, …): what is measured is too good"
    return Measured(val, [f"val: {counts}", *([note] if shared else [])])


def recipe_for(source: str, variant: str, asked: dict[str, Any]) -> Recipe:
    """The recipe of that name or file, with what the command line asks for instead."""
    changes = {key: value for key, value in asked.items() if value is not None}
    if source == "shapes":
        return Recipe.shapes(**changes)
    if source == "paper":
        return Recipe.paper(variant, **changes)
    if source in ("release", "release-2"):
        return Recipe.release(variant, 1 if source == "release" else 2, **changes)
    if not Path(source).is_file():
        raise FileNotFoundError(
            f"--recipe: got {source!r}, expected 'shapes', 'paper', 'release', 'release-2' or a JSON file"
        )
    return dataclasses.replace(Recipe.from_json(Path(source).read_text(encoding="utf-8")), **changes)


def start_network(
    variant: str, classes: Sequence[str], width: float, geometry: Any, init: str
) -> tuple[Network, str]:
    """A new network with what `init` has for it, and words that say what was copied.

    Raises ValueError where `init` has nothing for it.
    """
    if init == "imagenet" and width != 1:  # said before half a gigabyte is fetched
        raise ValueError(f"--init imagenet: VGG-16's weights need --width 1; got {width:g}")
    net = create(variant, len(classes), width, geometry)
    if init == "none":
        return net, "nothing copied: random weights"
    name, found, info = _given(init)
    same = info.get("classes") in (None, list(classes))
    try:
        done = initialise_from(net, found, name, same)
    except ValueError as error:
        raise ValueError(
            f"--init {init}: {error}; give its --variant and --width, or --init none for random weights"
        ) from error
    others = not same and info["num_classes"] == len(classes)
    return net, f"{init}: {done}" + (" (its classes have other names)" if others else "")


def _given(init: str) -> tuple[str, Weights, dict[str, Any]]:
    """The weights that --init names: what they are called, their tensors, and what is known of them."""
    if init == "imagenet":
        return init, Weights(download()), {}
    shipped = init in ("shapes-classifier", "shapes")
    path, found, info = find_weights("shapes", "vgg16-20m") if shipped else find_weights(init)
    return path.name, found, info
