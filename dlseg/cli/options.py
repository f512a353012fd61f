"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlseg.crf import CRFParams

if TYPE_CHECKING:
    from dlseg.networks import Network

DATA = "'shapes', 'tools', 'voc2012', 'voc2012-aug', or a folder."
threads = click.option("--threads", type=click.IntRange(1), default=None, help="CPU threads for torch.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
weights = click.option(
    "--weights",
    default="shapes",
    show_default=True,
    help="'shapes', 'tools', 'tools:VARIANT' (shipped), or a file: dlseg's or a checkpoint, PyTorch's, Caffe's.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace finished weights that are there.")
crf = click.option("--crf/--no-crf", default=False, help="Refine by the fully connected CRF.")
crf_params = click.option(
    "--crf-params",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file of CRF parameters; implies --crf.",
)
kernel = click.option("--kernel", default=None, help="The CRF's kernel: lattice, exact, local or pydensecrf.")


@dataclass(frozen=True)
class Labelling:
    """What commands that label pictures share: the network, and the CRF behind it."""

    weights: str
    crf: bool
    crf_params: Path | None
    kernel: str | None

    def open(self) -> tuple[Network, dict[str, Any], CRFParams | None]:
        """The network, what is known of it, and the CRF's parameters, or None."""
        net, info = open_segmentation_network(self.weights)
        return net, info, params_for(self.crf, self.crf_params, info)


def labelling(command: Callable[..., None]) -> Callable[..., None]:
    """The options of such a command, which gets them as `labelling: Labelling` (and `as_json`)."""

    @wraps(command)
    def collected(
        *, weights: str, crf: bool, crf_params: Path | None, kernel: str | None, threads: int | None, **others: Any
    ) -> None:
        use_threads(threads)
        command(labelling=Labelling(weights, crf, crf_params, kernel), **others)

    decorated: Callable[..., None] = collected
    for option in (as_json, threads, kernel, crf_params, crf, weights):  # --help lists the last one first
        decorated = option(decorated)
    return decorated


def use_threads(count: int | None) -> None:
    """Let torch use `count` threads; None leaves it as it is."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def open_segmentation_network(weights: str) -> tuple[Network, dict[str, Any]]:
    """The network of `--weights`, and what is known of it; what is only assumed is said on standard error."""
    from dlseg.networks import open_weights

    if weights == "imagenet":
        raise ValueError(
            "--weights: got 'imagenet', a classifier of whole images, expected a trained segmentation network; "
            "`dlseg train --init imagenet` makes one"
        )
    net, info = open_weights(weights)
    if info.get("assumed"):
        s = net.spec
        click.echo(
            f"{weights}: no .json beside it says which network it is; taken for {s.variant}, "
            f"{s.num_classes} classes, width {s.width:g}, geometry {s.geometry}",
            err=True,
        )
    return net, info


def params_for(crf: bool, file: Path | None, info: dict[str, Any]) -> CRFParams | None:
    """The CRF parameters asked for: the file's, else those kept with the weights, else the defaults."""
    if file is not None:
        return CRFParams.from_json(file.read_text(encoding="utf-8"))
    if not crf:
        return None
    return CRFParams.from_json(json.dumps(info["crf"])) if "crf" in info else CRFParams()


def show_json(document: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(document, indent=2))


def check_out(path: Path, overwrite: bool, checkpoint: Path | None = None) -> None:
    """Fail now, not after minutes of work, where the result could not be written, or would overwrite another.

    Weights of a run that has a checkpoint are those of a run that goes on.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"--out: got {path.name!r}, expected a name that ends in .safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"--out: the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not overwrite and (checkpoint is None or not checkpoint.exists()):
        raise FileExistsError(
            f"--out: {str(path)!r} holds the weights of a finished training; name another file, "
            "or --overwrite to replace them"
        )


def finish(net: Network, out: Path, info: dict[str, Any], show_all: bool) -> None:
    """Write the weights and what is known of them, and say how it went."""
    from dlseg.networks import save_weights

    path = save_weights(net, out, info)
    if show_all:
        show_json(info | {"weights": str(path)})
    else:
        figures = {k: v for k, v in info.items() if k in ("mean_iou", "accuracy", "train_seconds", "seconds")}
        click.echo(f"{path}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))
