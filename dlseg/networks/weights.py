"""Weights on disk: a safetensors file and, beside it, a JSON file that says which network it belongs to."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dlseg.networks.imagenet import adopt, download, pour, vgg16_shapes
from dlseg.networks.network import Network
from dlseg.networks.transfer import Transfer
from dlseg.networks.weight_formats import State, Weights, read_weights

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

    `source` is the path of a weights file of any kind that `dlseg.networks.weight_formats` reads; "shapes" for
    data/weights/{variant}-shapes.safetensors; or "imagenet" to download VGG-16's public weights. Those, also
    from a path, are poured in as the paper did: fully connected → convolution, decimated, other classes anew.

    Raises FileNotFoundError where there is no file, ValueError for one that is damaged or another network's.
    """
    if source == "imagenet":
        pour_weights(net, Weights(download()), "imagenet")
        return
    path = WEIGHTS / f"{net.spec.variant}-shapes.safetensors" if source == "shapes" else Path(source)
    found = read_weights(path)
    if PUBLIC in found.state:
        pour_weights(net, found, path.name)
    else:
        fill(net, found, path)


PUBLIC = "features.0.weight"  # VGG-16's public weights have a layer of this name


def fill(net: Network, found: Weights, path: Path) -> None:
    """Give `net` the weights that were read from `path`: every one of its layers, and no other."""
    _check_spec(net, path, found)
    _compare(
        net.state_dict(),
        found.state,
        f"{path.name} does not fit {net.spec.variant} (width {net.spec.width:g}, {net.spec.num_classes} classes)",
    )
    net.load_state_dict(found.state)


def pour_weights(net: Network, found: Weights, name: str, same_classes: bool = True) -> Transfer:
    """Copy into `net` whatever layers fit; VGG-16's public weights as the paper did, see `load_weights`.

    Raises ValueError where nothing fits, or the weights are damaged.
    """
    if PUBLIC not in found.state:
        state = {key: value for key, value in found.state.items() if value.is_floating_point()}
        _compare(state, state, f"{name} is damaged")
        return pour(net, state, same_classes)
    classes = found.state["classifier.6.weight"].shape[0] if "classifier.6.weight" in found.state else 1000
    wanted = vgg16_shapes(classes)
    if not any(key.startswith("classifier") for key in found.state):
        wanted = {key: value for key, value in wanted.items() if key.startswith("features")}
    _compare(wanted, found.state, f"{name} is not VGG-16's public state dict")
    return adopt(net, found.state)


def infer_spec(found: Weights, name: str) -> dict[str, Any]:
    """Which network weights without a JSON beside them belong to, by the shapes of their layers.

    Caffe's are taken for geometry "release", others for "paper": shapes do not tell these apart.

    Raises ValueError for layers of no network here, or without a classifier.
    """
    if found.info:
        return found.info
    state = {key.removeprefix("chain."): value for key, value in found.state.items()}
    missing = [key for key in ("conv1_1.weight", "fc6.weight", "fc8.weight") if key not in state]
    if PUBLIC in state or missing == ["fc8.weight"]:
        raise ValueError(
            f"weights: {name} has no classifier fc8 for the classes of a labeller; expected a trained "
            "labeller (as --init these weights can begin the training of one)"
        )
    if missing:
        raise ValueError(
            f"weights: {name} has no {', '.join(missing)}; got {', '.join(list(state)[:3])}, …; "
            "expected a network of dlseg or of DeepLab's release"
        )
    fc6 = state["fc6.weight"]
    kernel = fc6.shape[2] if fc6.ndim == 4 else 0
    branches = "-msc" if any(key.startswith("branches.") for key in state) else ""
    skips = len({key.split(".")[1] for key in state if key.startswith("skips.")})
    variant = {0: "vgg16", 3: f"deeplab{branches}-largefov", 4: f"deeplab{branches}", 7: "deeplab-7x7"}.get(kernel)
    if "last.weight" in state:
        variant = f"fcn-{32 >> skips}s"
    if variant is None:
        raise ValueError(f"weights: {name} has an fc6 of {kernel}×{kernel}; expected 3×3, 4×4 or 7×7")
    return {
        "variant": variant,
        "num_classes": int(state["fc8.weight"].shape[0]),
        "width": state["conv1_1.weight"].shape[0] / 64,
        "geometry": "release" if found.origin == "caffe" else "paper",
    }


def _check_spec(net: Network, path: Path, found: Weights) -> None:
    said: dict[str, Any] = found.info
    note = path.with_suffix(".json")
    if path.suffix == ".safetensors" and note.is_file():
        try:
            said = dict(json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"weights: {note.name} is not a JSON object ({error})") from error
    wanted = spec_of(net)
    off = [f"{k}={said[k]!r} (asked for {wanted[k]!r})" for k in wanted if k in said and said[k] != wanted[k]]
    if off:
        raise ValueError(f"weights: {path.name} was made with {', '.join(off)}")


def _compare(wanted: dict[str, Tensor], given: State, complaint: str) -> None:
    """Every key, every shape, finite numbers; or one ValueError that lists what does not fit."""
    problems = [f"missing {k}" for k in wanted if k not in given]
    problems += [f"unexpected {k}" for k in given if k not in wanted]
    problems += [
        f"{k} is {tuple(given[k].shape)}, expected {tuple(wanted[k].shape)}"
        for k in wanted
        if k in given and given[k].shape != wanted[k].shape
    ]
    problems += [
        f"{k} holds {str(v.dtype).removeprefix('torch.')}, expected float"
        for k, v in given.items()
        if not v.is_floating_point()
    ]
    problems += [
        f"{k} holds values that are not finite"
        for k, v in given.items()
        if v.is_floating_point() and not bool(torch.isfinite(v).all())
    ]
    if problems:
        raise ValueError(f"weights: {complaint}:\n  " + "\n  ".join(problems))
