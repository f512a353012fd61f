"""Weights on disk: a safetensors file and, beside it, a JSON file that says which network it belongs to."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dlseg.networks.files import State, read_state
from dlseg.networks.imagenet import adopt, download, vgg16_shapes
from dlseg.networks.network import Network

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
    note.write_text(text, encoding="utf-8")
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
    """Fill `net` in place.

    `source` is the path of a .safetensors, .pth (tensors only) or .npz (Caffe's blobs) file; "shapes" for
    data/weights/{variant}-shapes.safetensors; or "imagenet" to download VGG-16's public weights. Those, also
    from a path, are poured in as the paper did: fully connected → convolution, decimated, other classes anew.

    Raises FileNotFoundError where there is no file, ValueError for one that is damaged or another network's.
    """
    if source == "imagenet":
        _adopt(net, download(), "imagenet")
        return
    path = WEIGHTS / f"{net.spec.variant}-shapes.safetensors" if source == "shapes" else Path(source)
    state = read_state(path)
    if "features.0.weight" in state:
        _adopt(net, state, path.name)
        return
    _check_spec(net, path)
    _compare(net.state_dict(), state, f"{path.name} does not fit {net.spec.variant} (width {net.spec.width:g}, "
                                      f"{net.spec.num_classes} classes)")
    net.load_state_dict(state)


def _adopt(net: Network, state: State, name: str) -> None:
    classes = state["classifier.6.weight"].shape[0] if "classifier.6.weight" in state else 1000
    _compare(vgg16_shapes(classes), state, f"{name} is not VGG-16's public state dict")
    adopt(net, state)


def _check_spec(net: Network, path: Path) -> None:
    note = path.with_suffix(".json")
    if path.suffix != ".safetensors" or not note.is_file():
        return
    try:
        said, wanted = dict(json.loads(note.read_text(encoding="utf-8"))), spec_of(net)
    except (ValueError, TypeError) as error:
        raise ValueError(f"weights: {note.name} is not a JSON object ({error})") from error
    off = [f"{k}={said[k]!r} (asked for {wanted[k]!r})" for k in wanted if k in said and said[k] != wanted[k]]
    if off:
        raise ValueError(f"weights: {path.name} was made with {', '.join(off)}")


def _compare(wanted: dict[str, Tensor], given: State, complaint: str) -> None:
    """Every key, every shape, finite numbers; or one ValueError that lists what does not fit."""
    problems = [f"missing {k}" for k in wanted if k not in given]
    problems += [f"unexpected {k}" for k in given if k not in wanted]
    problems += [f"{k} is {tuple(given[k].shape)}, expected {tuple(wanted[k].shape)}"
                 for k in wanted if k in given and given[k].shape != wanted[k].shape]
    problems += [f"{k} holds {str(v.dtype).removeprefix('torch.')}, expected float"
                 for k, v in given.items() if not v.is_floating_point()]
    problems += [f"{k} holds values that are not finite"
                 for k, v in given.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
    if problems:
        raise ValueError(f"weights: {complaint}:\n  " + "\n  ".join(problems))
