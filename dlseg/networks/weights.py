"""Weights on disk: a safetensors file and, beside it, a JSON file that says which network it belongs to.

Files of other origin are read too (`dlseg.networks.weight_formats`); where nothing says which network they belong
to, the shapes of their layers do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dlseg.common.checks import message
from dlseg.common.files import whole_file, write_whole
from dlseg.common.json_objects import read_object_file
from dlseg.common.shipped import shipped
from dlseg.networks.architectures import Spec
from dlseg.networks.build import build
from dlseg.networks.imagenet import FIRST, download, from_imagenet, public_shapes
from dlseg.networks.network import Network
from dlseg.networks.transfer import Transfer, decimated_for, load_trunk
from dlseg.networks.weight_formats import State, Weights, read_weights

WEIGHTS = shipped("data") / "weights"
SHIPPED = {"shapes": "vgg16-20m", "tools": "vgg16"}  # data set: the classifier that its networks began from
SPEC = ("variant", "num_classes", "width", "geometry")


def save_weights(net: Network, path: str | Path, info: dict[str, Any] | None = None, *, half: bool = False) -> Path:
    """Write a network's weights, and beside them the JSON file that says whose they are; each whole or not at all.

    Args:
        net: the network.
        path: a name that ends in .safetensors; the folder is made where it is missing.
        info: what else to keep in the JSON file, such as the names of the classes.
        half: write float16, half as large: weights keep three digits, those under 6e-8 become 0.

    Returns:
        The path.

    Raises:
        ValueError: another ending, `info` contradicts the network, or a weight is too large for float16. Nothing is
            written then.

    >>> import tempfile
    >>> from dlseg.networks import create
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.safetensors"
    ...     net, info = open_weights(save_weights(create("deeplab", 2, 1 / 64), path, {"classes": ["sky", "sea"]}))
    >>> net.spec.variant, info["classes"]
    ('deeplab', ['sky', 'sea'])
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise ValueError(message("path", repr(target.name), "a name that ends in .safetensors"))
    document = {**net.spec.to_dict(), **(info or {})}
    if contradicting := {k: document[k] for k, v in net.spec.to_dict().items() if document[k] != v}:
        raise ValueError(message("info", contradicting, f"nothing that contradicts the network, {net.spec}"))
    text = json.dumps(document, indent=2) + "\n"  # before anything is written: info may not be JSON
    state = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    if half:
        largest = max(float(value.abs().max()) for value in state.values())
        if largest > torch.finfo(torch.float16).max:
            raise ValueError(message("half", f"a weight of {largest:g}", "at most 65504, float16's largest number"))
        state = {key: value.half() for key, value in state.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as draft:
        save_file(state, draft)
    write_whole(target.with_suffix(".json"), text)
    return target


def load_weights(net: Network, source: str | Path) -> None:
    """Fill a network with weights, in place (section 3.1 for a classifier's).

    Args:
        net: the network; where anything is wrong it stays as it is.
        source: the path of a weights file of any kind that `dlseg.networks.weight_formats` reads; "shapes" or
            "tools" for the shipped ones of the network's variant; or "imagenet" to download VGG-16's public
            weights. Those, also from a path, initialise the network as the paper does: fully connected →
            convolution, decimated, other classes new.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or another network's.

    >>> from dlseg.networks import create
    >>> net = create("deeplab-largefov", num_classes=13, width=0.125)
    >>> load_weights(net, "shapes")
    """
    if source == "imagenet":
        initialise_from(net, Weights(download()), "imagenet")
        return
    path = _path(source, net.spec.variant)
    found = read_weights(path)
    if FIRST in found.state:
        initialise_from(net, found, path.name)
        return
    note = path.with_suffix(".json")
    stated = _read_note(note) if path.suffix == ".safetensors" and note.is_file() else found.info
    _fill(net, found, path.name, stated)


def open_weights(source: str | Path, variant: str = "deeplab-largefov") -> tuple[Network, dict[str, Any]]:
    """The network that a weights file belongs to, with its weights, and what is known of it.

    Args:
        source: the path of a weights file of any kind that `dlseg.networks.weight_formats` reads, a checkpoint of
            `dlseg train` among them, or "shapes" or "tools" for the shipped one of `variant`, which may also stand
            after a colon: "tools:deeplab-msc". "shapes-classifier" and "tools-classifier" are what they began
            from.
        variant: of a shipped network.

    Returns:
        The network, and what the JSON beside the file says, or the file itself. Where neither says which network it
        is, the shapes of its layers do: then `info["assumed"]` is True.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or no network of this library.

    >>> net, info = open_weights("shapes")
    >>> net.spec.variant, info["classes"][:3]
    ('deeplab-largefov', ['background', 'aeroplane', 'cat'])
    """
    path, found, info = find_weights(source, variant)
    if not set(info) >= set(SPEC):
        info = infer_spec(found, path.name) | info | {"assumed": True}
    try:
        net = build(Spec(*(info[key] for key in SPEC)))
    except ValueError as error:
        raise ValueError(f"weights: {path.name} is of no network here: {error}") from error
    _fill(net, found, path.name, info)
    return net, info


def find_weights(source: str | Path, variant: str = "deeplab-largefov") -> tuple[Path, Weights, dict[str, Any]]:
    """A weights file, its tensors, and what is known of it; see `open_weights`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or the JSON beside it does not say which network it belongs to.
    """
    path = _path(source, variant)
    if not path.is_file():
        raise FileNotFoundError(f"weights: no file {str(path)!r}")
    found, note = read_weights(path), path.with_suffix(".json")
    if not note.is_file():
        return path, found, found.info
    info = _read_note(note)
    if missing := sorted(set(SPEC) - set(info)):
        raise ValueError(f"weights: {str(note)!r} lacks {', '.join(missing)}")
    return path, found, info


def _path(source: str | Path, variant: str) -> Path:
    """The file that a source names."""
    name, _, asked = str(source).partition(":")
    if (data := name.removesuffix("-classifier")) not in SHIPPED:
        return Path(source)
    if data != name:
        name, asked = data, SHIPPED[data]
    path, ending = WEIGHTS / f"{asked or variant}-{name}.safetensors", f"-{name}.safetensors"
    if not path.is_file():
        there = sorted(file.name.removesuffix(ending) for file in WEIGHTS.glob(f"*{ending}"))
        raise FileNotFoundError(
            message("weights", f"{asked or variant} of {name}", f"one of {', '.join(there) or 'none'}")
        )
    return path


def _read_note(note: Path) -> dict[str, Any]:
    try:
        return read_object_file(note)
    except ValueError as error:
        raise ValueError(f"weights: {error}") from error


def _fill(net: Network, found: Weights, name: str, stated: dict[str, Any]) -> None:
    """Give `net` the weights that were read from the file `name`: every one of its layers, and no other."""
    wanted = net.spec.to_dict()
    off = [f"{k}={stated[k]!r} (asked for {wanted[k]!r})" for k in wanted if k in stated and stated[k] != wanted[k]]
    if off:
        raise ValueError(f"weights: {name} was made with {', '.join(off)}")
    _compare(
        net.state_dict(),
        found.state,
        f"{name} does not fit {net.spec.variant} (width {net.spec.width:g}, {net.spec.num_classes} classes)",
    )
    net.load_state_dict(found.state)


def initialise_from(net: Network, found: Weights, name: str, same_classes: bool = True) -> Transfer:
    """The paper's initialisation: copy into `net` whatever layers fit; VGG-16's fc6 and fc7 are decimated first.

    Args:
        net: the network, in place.
        found: weights as they were read.
        name: what a message calls them.
        same_classes: False where the classes are as many, but others: the classifier is then new.

    Raises:
        ValueError: nothing fits, or the weights are damaged.
    """
    if FIRST not in found.state:
        state = {key: value for key, value in found.state.items() if value.is_floating_point()}
        _compare(state, state, f"{name} is damaged")
        return load_trunk(net, decimated_for(net, state), same_classes)
    _compare(public_shapes(found.state), found.state, f"{name} is not VGG-16's public state dict")
    if "alexnet" in net.spec.variant or net.spec.width != 1:
        raise ValueError(
            f"weights: VGG-16's fit a VGG network of width 1; got {net.spec.variant} of width {net.spec.width:g}"
        )
    return load_trunk(net, decimated_for(net, from_imagenet(found.state)), same_classes)


def infer_spec(found: Weights, name: str) -> dict[str, Any]:
    """Which network weights without a JSON beside them belong to, by the shapes of their layers.

    Caffe's are taken for geometry "release", others for "paper": shapes do not tell these apart.

    Raises:
        ValueError: layers of no network here, or without a classifier.
    """
    if found.info:
        return found.info
    state = {key.removeprefix("chain."): value for key, value in found.state.items()}
    missing = [key for key in ("conv1_1.weight", "fc6.weight", "fc8.weight") if key not in state]
    if FIRST in state or missing == ["fc8.weight"]:
        raise ValueError(
            f"weights: {name} has no classifier fc8 for the classes of a segmentation network; expected a trained "
            "segmentation network (as --init these weights can begin the training of one)"
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
