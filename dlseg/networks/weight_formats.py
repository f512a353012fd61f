"""Reading weights that others wrote: PyTorch's files as tensors only, Caffe's blobs by name, safetensors.

What a file is, its content says; its ending is asked only where the content says nothing.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dlseg.networks.caffe import by_our_names, read_blobs

State = dict[str, Tensor]
Origin = Literal["torch", "caffe", "checkpoint"]
KINDS = "safetensors, PyTorch (.pth, .pt, …), Caffe (.caffemodel, .npz of its blobs)"
# what people call the weights in a file that holds more, and what is put before every name
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
PREFIXES = ("module", "_orig_mod", "model", "net", "network", "backbone", "encoder")


@dataclass(frozen=True)
class Weights:
    """Tensors by name, what kind of file they are from, and what it says of their network."""

    state: State
    origin: Origin = "torch"
    info: dict[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> Weights:
    """The weights in a file of any of `KINDS`.

    Raises FileNotFoundError where there is none, ValueError for another kind of file, a damaged one, one that holds
    more than tensors, or blobs whose names say nothing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"weights: there is no file {path}")
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], Weights]:
    readers: dict[str, Callable[[Path], Weights]] = {
        ".safetensors": _read_safetensors,
        ".npz": _read_npz,
        ".pth": _read_pickle,
        ".pt": _read_pickle,
        ".caffemodel": _read_caffemodel,
        ".checkpoint": _read_pickle,
    }
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        return _read_npz if _holds_arrays(path) else _read_pickle
    if head.startswith(b"\x80"):  # PyTorch's files of before 1.6: a pickle
        return _read_pickle
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return _read_safetensors
    if path.suffix in readers:
        return readers[path.suffix]
    if head.startswith(b"\n"):  # a .caffemodel begins with its network's name, field 1
        return _read_caffemodel
    what = "an HDF5 file" if head.startswith(b"\x89HDF") else "no weights file that is known here"
    raise ValueError(f"weights: {path.name} is {what}; expected {KINDS}")


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except zipfile.BadZipFile:
        return path.suffix == ".npz"


def _read_safetensors(path: Path) -> Weights:
    try:
        return Weights(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"weights: {path.name} is not a whole safetensors file ({error})") from error


def _read_pickle(path: Path) -> Weights:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"weights: {path.name} holds more than tensors; it is not opened, "
            "since that would run code; save its state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"weights: {path.name} is not a whole {path.suffix} file ({error})") from error
    if isinstance(found, dict) and {"format", "iteration", "recipe", "run", "net"} <= set(found):
        return _of_a_run(found)
    return Weights(_without_prefix(unwrapped(found, path.name)))


def unwrapped(found: Any, file: str) -> State:
    """The tensors by name, out of the dictionaries that people put them into.

    Raises ValueError where there are none, or several sets of them and none has a usual name.
    """
    if isinstance(found, Mapping):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
        inner = {str(k): v for k, v in found.items() if isinstance(v, Mapping) and v}
        if tensors and not inner:
            return tensors
        for name in WRAPPERS:
            if name in inner:
                return unwrapped(inner[name], file)
        sets = [name for name, value in inner.items() if all(isinstance(v, Tensor) for v in value.values())]
        if len(sets) == 1:
            return unwrapped(inner[sets[0]], file)
        if sets:
            raise ValueError(
                f"weights: {file} holds several sets of tensors ({', '.join(sets)}); expected one, or "
                f"one that is called {' or '.join(WRAPPERS[:3])}"
            )
    raise ValueError(f"weights: {file} holds no tensors by name; got {type(found).__name__}")


def _without_prefix(state: State) -> State:
    """`module.` and the like taken off, where every name has it; VGG's features alone get their name back."""
    while len(first := {key.partition(".")[0] for key in state}) == 1 and (prefix := first.pop()) in PREFIXES:
        state = {key.removeprefix(f"{prefix}."): value for key, value in state.items()}
    if {"0.weight", "28.weight"} <= set(state):  # vgg16().features.state_dict()
        state = {f"features.{key}": value for key, value in state.items()}
    return state


def _of_a_run(found: dict[str, Any]) -> Weights:
    """A checkpoint of `dlseg train`: plain weights, with what the recipe put in for the training folded away."""
    run, recipe = json.loads(found["run"]), json.loads(found["recipe"])
    folded = _folded({key: value for key, value in found["net"].items() if value.is_floating_point()})
    state = {key: value.float() for key, value in folded.items()}
    if recipe.get("channels") == "bgr":
        for key in ("conv1_1.weight", "conv1.weight", "chain.conv1_1.weight", "branches.image.layers.conv1.weight"):
            if key in state:
                state[key] = state[key].flip(1)
    info = {key: run[key] for key in ("variant", "num_classes", "width", "geometry")}
    if found.get("classes"):
        info["classes"] = list(found["classes"])
    return Weights(state, "checkpoint", info | {"recipe": recipe, "iterations_done": found["iteration"]})


def _folded(state: State, eps: float = 1e-5) -> State:
    """`fold_batch_norm` on tensors: LAYER.0 is a convolution and LAYER.1 its normalisation."""
    for layer in [key.removesuffix(".1.running_mean") for key in state if key.endswith(".1.running_mean")]:
        part = {
            name: state.pop(f"{layer}.{name}")
            for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var")
        }
        scale = part["1.weight"] / torch.sqrt(part["1.running_var"] + eps)
        state[f"{layer}.weight"] = part["0.weight"] * scale[:, None, None, None]
        state[f"{layer}.bias"] = (part["0.bias"] - part["1.running_mean"]) * scale + part["1.bias"]
    return state


def _read_caffemodel(path: Path) -> Weights:
    return Weights(by_our_names(read_blobs(path), path.name), "caffe")


def _read_npz(path: Path) -> Weights:
    """Caffe's blobs by our names, from an .npz with keys `conv1_1/0` (weights) and `conv1_1/1` (bias).

    With pycaffe, `np.savez(path, **{f"{n}/{i}": b.data for n, bs in net.params.items() for i, b in enumerate(bs)})`
    writes it.
    """
    try:
        with np.load(path) as blobs:
            arrays = {key: blobs[key] for key in blobs.files}
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"weights: {path.name} is not a whole .npz of numbers ({error})") from error
    return Weights(by_our_names(arrays, path.name), "caffe")
