"""Weights on disk: a safetensors file and, beside it, a JSON file that says which network it belongs to."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlseg.networks.vgg import Network

WEIGHTS = Path(__file__).resolve().parents[2] / "data" / "weights"


def save_weights(net: Network, path: str | Path, info: dict[str, Any] | None = None) -> Path:
    """Write `net` to `path` (.safetensors), its spec and `info` to the .json beside it, each whole or not."""
    target = Path(path)
    if target.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors; got {target.name!r}")
    document = {**spec_of(net), **(info or {})}
    if {k: document[k] for k in spec_of(net)} != spec_of(net):
        raise ValueError(f"info must not contradict the network: {spec_of(net)}; got {info}")
    text = json.dumps(document, indent=2) + "\n"  # before anything is written: info may not be JSON
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    draft = target.with_name(target.name + ".tmp")
    save_file(tensors, draft)
    _replace(draft, target)
    note = target.with_suffix(".json.tmp")
    note.write_text(text)
    _replace(note, target.with_suffix(".json"))
    return target


def _replace(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)


def spec_of(net: Network) -> dict[str, Any]:
    """What must agree between a network and a weights file."""
    s = net.spec
    return {"variant": s.variant, "num_classes": s.num_classes, "width": s.width, "geometry": s.geometry}


def load_weights(net: Network, source: str | Path) -> None:
    """Fill `net` from a .safetensors file, or from data/weights/{variant}-shapes.safetensors for "shapes".

    Raises FileNotFoundError where there is none, ValueError where it belongs to another network.
    """
    shipped = WEIGHTS / f"{net.spec.variant}-{source}.safetensors"
    path = shipped if source == "shapes" else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"weights: there is no file {path}")
    _check_spec(net, path)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights: {path.name} is not a whole safetensors file ({error})") from error
    fill(net, tensors, path.name)


def _check_spec(net: Network, path: Path) -> None:
    note = path.with_suffix(".json")
    if not note.is_file():
        return
    said, wanted = json.loads(note.read_text()), spec_of(net)
    off = [f"{k}={said[k]!r} (asked for {wanted[k]!r})" for k in wanted if k in said and said[k] != wanted[k]]
    if off:
        raise ValueError(f"weights: {path.name} was made with {', '.join(off)}")


def fill(net: Network, tensors: dict[str, Tensor], source: str) -> None:
    """Copy `tensors` into `net`: every key, every shape, or a ValueError that lists what does not fit."""
    wanted = net.state_dict()
    problems = [f"missing {k}" for k in wanted if k not in tensors]
    problems += [f"unexpected {k}" for k in tensors if k not in wanted]
    problems += [f"{k} is {tuple(tensors[k].shape)}, expected {tuple(wanted[k].shape)}"
                 for k in wanted if k in tensors and tensors[k].shape != wanted[k].shape]
    problems += [f"{k} holds {str(v.dtype).removeprefix('torch.')}, expected float"
                 for k, v in tensors.items() if not v.is_floating_point()]
    problems += [f"{k} holds values that are not finite"
                 for k, v in tensors.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
    if problems:
        raise ValueError(f"weights: {source} does not fit {net.spec.variant} (width {net.spec.width}, "
                         f"{net.spec.num_classes} classes):\n  " + "\n  ".join(problems))
    net.load_state_dict(tensors)
