"""Reading weights that others wrote: .pth as tensors only, Caffe's blobs by name from .npz, safetensors."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """Tensors by name from a weights file; its ending says how.

    Raises FileNotFoundError where there is none, ValueError for another ending, a damaged file, one that holds
    more than tensors, or blobs whose names say nothing.
    """
    readers: dict[str, Callable[[Path], State]] = {
        ".safetensors": _read_safetensors, ".npz": read_caffe, ".pth": _read_pickle, ".pt": _read_pickle}
    if not path.is_file():
        raise FileNotFoundError(f"weights: there is no file {path}")
    if path.suffix not in readers:
        raise ValueError(f"weights: {path.name} must end in one of {', '.join(readers)}")
    return readers[path.suffix](path)


def _read_safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights: {path.name} is not a whole safetensors file ({error})") from error


def _read_pickle(path: Path) -> State:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"weights: {path.name} holds more than tensors; it is not opened, "
                         "since that would run code") from error
    except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"weights: {path.name} is not a whole {path.suffix} file ({error})") from error
    return _state(found, path)


def _state(found: Any, path: Path) -> State:
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"weights: {path.name} holds no tensors by name; got {type(found).__name__}")
    return {str(k): v for k, v in found.items()}


def read_caffe(path: Path) -> State:
    """Caffe's blobs by our names, from an .npz with keys `conv1_1/0` (weights) and `conv1_1/1` (bias).

    With pycaffe, `np.savez(path, **{f"{n}/{i}": b.data for n, bs in net.params.items() for i, b in enumerate(bs)})`
    writes it. Caffe's images are BGR: the first convolution's channels are turned round. A classifier whose
    name begins with fc8 (fc8_voc12) is fc8.
    """
    state: State = {}
    for key, blob in _read_npz(path).items():
        layer, _, index = key.rpartition("/")
        if index not in ("0", "1") or not layer:
            raise ValueError(f"weights: {path.name} holds {key!r}; expected layer/0 (weights) and layer/1 (bias)")
        if blob.dtype.kind not in "fiu":
            raise ValueError(f"weights: {path.name}: {key} holds {blob.dtype.str}, expected numbers")
        name = "fc8" if layer.startswith("fc8") else layer
        state[f"{name}.weight" if index == "0" else f"{name}.bias"] = _blob(name, index, blob)
    return state


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as blobs:
            return {key: blobs[key] for key in blobs.files}
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"weights: {path.name} is not a whole .npz of numbers ({error})") from error


def _blob(layer: str, index: str, blob: np.ndarray) -> Tensor:
    """Caffe's old files fill shapes up with ones in front: (1, 1, O, I) for a fully connected layer."""
    tensor = torch.from_numpy(blob)
    if index == "1":
        return tensor.reshape(-1)
    if layer.startswith("fc") and tensor.ndim == 4 and tensor.shape[:2] == (1, 1):
        return tensor.reshape(tensor.shape[2:])
    first = layer in ("conv1_1", "conv1") and tensor.ndim == 4
    return tensor.flip(1) if first else tensor
