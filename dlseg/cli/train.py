"""`dlseg train`: a classifier becomes a segmentation network, under torchrun in several processes."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import torch
from tqdm.auto import tqdm

from dlseg.cli import options
from dlseg.common.files import tree_hash
from dlseg.common.json_objects import read_object_file
from dlseg.datasets import Dataset, load
from dlseg.datasets.counts import LabelCounts, count_labels, shared_pictures
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.images import image_size
from dlseg.networks import Network, create, save_weights
from dlseg.networks.imagenet import download
from dlseg.networks.weight_formats import Weights
from dlseg.networks.weights import SHIPPED, find_weights, initialise_from
from dlseg.predict.evaluate import evaluate
from dlseg.training import Callback, Recipe
from dlseg.training import train as train_net
from dlseg.training.callbacks import EarlyStop, JsonLog, ProgressBar, Validation, duration
from dlseg.training.checkpoint import changes
from dlseg.training.distributed import joined
from dlseg.training.setup import resolve, seconds_needed, weights_of_classes


@click.command()
@click.option("--data", default="shapes", show_default=True, help=options.DATA)
@click.option("--split", default="train", show_default=True, help="The list to train on.")
@click.option(
    "--init",
    default=None,
    show_default="the data's, or shapes-classifier",
    help="'shapes-classifier', 'tools-classifier', 'imagenet', 'none', or a file: dlseg's, PyTorch's or Caffe's.",
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
    help="'shapes', 'tools', 'laptop', 'paper', 'release', 'release-2' or a JSON file; default: the one named like "
    "the data; else the geometry's at --width 1, and laptop for narrower networks.",
)
@click.option("--iterations", type=int, default=None, help="Default: the recipe's; so are the next five.")
@click.option("--lr", type=float, default=None)
@click.option("--batch", type=int, default=None)
@click.option("--crop", type=int, default=None)
@click.option("--seed", type=int, default=None)
@click.option("--precision", type=click.Choice(["float32", "bfloat16", "float64"]), default=None)
@click.option(
    "--class-weights",
    default=None,
    help="'balanced', or a JSON file: a number for each class, in a list or by name. Default: the recipe's.",
)
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
@click.option(
    "--val-every",
    type=click.IntRange(1),
    default=None,
    help="Measure on the val split after every so many iterations too; the best weights are kept beside OUT.",
)
@options.threads
@options.as_json
def train(
    data: str,
    split: str,
    init: str | None,
    out: Path | None,
    overwrite: bool,
    variant: str,
    width: float,
    geometry: Any,
    source: str | None,
    class_weights: str | None,
    device: str,
    workers: int | None,
    accumulate: int,
    every: int,
    keep_checkpoint: bool,
    log_file: Path | None,
    patience: int | None,
    check: bool,
    val_every: int | None,
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
    checkpoint, best = out.with_suffix(".checkpoint"), out.with_name(f"{out.stem}-best.safetensors")
    if val_every is not None and not check:
        raise ValueError("--val-every: got it with --no-evaluate, expected one of the two")
    # a wrong number is named before a data set is made
    Recipe(**{name: value for name, value in asked.items() if value is not None})
    for path in (out, best) if val_every else (out,):
        options.check_out(path, overwrite, checkpoint)
    pictures = load(data, split)
    recipe, chosen = default_recipe(data, source, variant, width, geometry, pictures, asked)
    recipe = with_class_weights(recipe, class_weights, pictures.classes)
    dataset: LabelledImages = InMemory(pictures) if data in SHIPPED and pictures.labelled else pictures
    counts = trainable(dataset, split)
    val = measurable(data, dataset) if check else None
    torch.manual_seed(recipe.seed)
    net, initialised = start_network(
        variant, dataset.classes, width, geometry, init or f"{data if data in SHIPPED else 'shapes'}-classifier"
    )
    place, start = resolve(device), time.perf_counter()
    with ExitStack() as stack:
        group = stack.enter_context(joined(place))
        if group.rank == 0:
            notes = [f"{split}: {counts}", *([] if val is None else val.notes), initialised, chosen]
            notes += [
                changes(checkpoint, recipe),
                time_needed(net, recipe, place, "" if chosen or data in SHIPPED else "laptop"),
            ]
            click.echo("\n".join(filter(None, notes)), err=True)
        info = facts(data, pictures, counts, recipe, initialised) | {"processes": group.size}
        callbacks: list[Callback] = [] if patience is None else [EarlyStop(patience)]
        validation = None
        if val is not None and val_every is not None:
            show = _above_the_bar if group.rank == 0 else None
            validation = Validation(net, val.data, recipe, val_every, best, info, show)
            callbacks.insert(0, validation)  # before what may end the run
        if group.rank == 0:
            callbacks.insert(0, stack.enter_context(ProgressBar(recipe.iterations)))
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
            origin=initialised,
        )
    if group.rank:
        return
    info |= {"train_seconds": round(time.perf_counter() - start, 1), "data_sha256": tree_hash(pictures.root)}
    scores = {} if validation is None else validation.scores
    if scores:
        info["val_mean_iou"] = {str(i): round(score, 4) for i, score in scores.items()}
    if val is not None:
        save_weights(net, out, info)  # before anything else can go wrong
        try:
            if (score := scores.get(recipe.iterations)) is None:
                score = evaluate(net.to(place), val.data)["net"].whole.mean_iou()
            info["mean_iou"] = round(score, 4)
        except (ValueError, OSError) as error:
            _drop(checkpoint, keep_checkpoint)
            raise ValueError(
                f"{error}; the weights are saved in {str(out)!r}: mend this, and `dlseg evaluate "
                "--weights` measures them"
            ) from error
    options.finish(net, out, info, as_json)
    _drop(checkpoint, keep_checkpoint)


def facts(data: str, pictures: Dataset, counts: LabelCounts, recipe: Recipe, initialised: str) -> dict[str, Any]:
    """What is known of a training before it begins, for the JSON file beside the weights."""
    weights = weights_of_classes(pictures, recipe)
    weighted = {} if weights is None else dict(zip(pictures.classes, weights.tolist(), strict=True))
    return {
        "command": " ".join(["dlseg", *sys.argv[1:]]),
        "seed": recipe.seed,
        "classes": pictures.classes,
        "init": initialised,
        "data": data,
        "images": len(pictures),
        "label_shares": counts.shares(),
        "void_share": counts.void_share(),
        "recipe": dataclasses.asdict(recipe),
        **({"class_weights": weighted} if weighted else {}),
    }


def time_needed(net: Network, recipe: Recipe, place: torch.device, shorter: str) -> str:
    """How long the training will take, in words, and the shorter recipe; nothing where it is less than a minute."""
    seconds = seconds_needed(net, recipe, place)
    if seconds < 60:
        return ""
    hint = f"; --recipe {shorter} takes less" if shorter and seconds >= 3600 else ""
    return f"about {duration(seconds)} for {recipe.iterations} iterations on this machine{hint}"


def _above_the_bar(words: str) -> None:
    tqdm.write(words, file=sys.stderr)


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
    """The val split, all of its labels read: what is wrong with it is reported before the training."""
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


def default_recipe(
    data: str,
    source: str | None,
    variant: str,
    width: float,
    geometry: Any,
    pictures: Dataset,
    asked: dict[str, Any],
) -> tuple[Recipe, str]:
    """The recipe that --recipe names, or what goes with the data and the width; and words on the laptop's."""
    if source is None:
        source = data if data in SHIPPED else geometry if width == 1 else "laptop"
    if source != "laptop":
        return recipe_for(source, variant, asked), ""
    size = usual_size(pictures)
    recipe = Recipe.laptop(size, geometry, **{key: value for key, value in asked.items() if value is not None})
    return recipe, (
        f"recipe laptop, for pictures of {size[0]} × {size[1]} px: {recipe.iterations} iterations of "
        f"{recipe.batch} crops of {recipe.crop} px; the {geometry}'s own is --recipe {geometry}, for --width 1"
    )


def usual_size(pictures: Dataset, looked_at: int = 20) -> tuple[int, int]:
    """The size (height, width) in the middle of those of the first pictures."""
    sizes = sorted((image_size(path) for path in pictures.images[:looked_at]), key=lambda size: size[0] * size[1])
    return sizes[len(sizes) // 2]


def with_class_weights(recipe: Recipe, asked: str | None, classes: Sequence[str]) -> Recipe:
    """The recipe with what --class-weights says.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not give a number for each class.
    """
    if asked is None:
        return recipe
    if asked == "balanced":
        return dataclasses.replace(recipe, class_weights="balanced")
    path = Path(asked)
    if not path.is_file():
        raise FileNotFoundError(f"--class-weights: got {asked!r}, expected 'balanced' or a JSON file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            named = read_object_file(path, classes)
            if missing := [name for name in classes if name not in named]:
                raise ValueError(f"{path}: lacks {', '.join(missing)}, expected a number for each class")
            found = [named[name] for name in classes]
        if not isinstance(found, list) or len(found) != len(classes):
            got = f"{len(found)} numbers" if isinstance(found, list) else type(found).__name__
            raise ValueError(f"{path}: got {got}, expected one for each of the {len(classes)} classes, or by name")
        return dataclasses.replace(recipe, class_weights=tuple(found))
    except (ValueError, TypeError) as error:
        raise ValueError(f"--class-weights: {error}") from error


def recipe_for(source: str, variant: str, asked: dict[str, Any]) -> Recipe:
    """The recipe of that name or file, with what the command line asks for instead."""
    changes = {key: value for key, value in asked.items() if value is not None}
    drawn = {"shapes": Recipe.shapes, "tools": Recipe.tools}
    if source in drawn:
        return drawn[source](**changes)
    if source == "paper":
        return Recipe.paper(variant, **changes)
    if source in ("release", "release-2"):
        return Recipe.release(variant, 1 if source == "release" else 2, **changes)
    if not Path(source).is_file():
        raise FileNotFoundError(
            f"--recipe: got {source!r}, expected 'shapes', 'tools', 'laptop', 'paper', 'release', 'release-2' or a "
            "JSON file"
        )
    return dataclasses.replace(Recipe.from_json(Path(source).read_text(encoding="utf-8")), **changes)


def start_network(
    variant: str, classes: Sequence[str], width: float, geometry: Any, init: str
) -> tuple[Network, str]:
    """A new network with what `init` has for it, and words that say what was copied.

    Raises ValueError where `init` has nothing for it.
    """
    if init == "imagenet" and width != 1:  # before half a gigabyte is fetched
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
    path, found, info = find_weights(f"{init}-classifier" if init in SHIPPED else init)
    return path.name, found, info
