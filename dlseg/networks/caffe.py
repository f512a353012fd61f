"""Caffe's weights by our names: from a `.caffemodel` (protocol buffers, all generations) or an .npz of its blobs.

The messages of `caffe.proto` that hold weights, with the numbers of the fields that are read here:

    NetParameter: layer = 100 (LayerParameter), layers = 2 (V1LayerParameter, before 2015)
    LayerParameter: name = 1, blobs = 7          V1LayerParameter: name = 4, blobs = 6, layer = 1 (V0LayerParameter)
    V0LayerParameter: name = 1, blobs = 50
    BlobProto: shape = 7 (BlobShape: dim = 1), data = 5, double_data = 8; num, channels, height, width = 1 … 4
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4, groups, are in no Caffe file
SIZES = (1, 2, 3, 4)  # fields of a BlobProto without shape: num, channels, height, width
Blobs = dict[str, np.ndarray]


class WireError(ValueError):
    """Bytes that are no message of protocol buffers."""


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of a message: a whole number, or the bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise WireError(f"wire type {kind} at byte {at}")
        if not number or size > len(message) - at:
            raise WireError(f"field {number} needs {size} bytes at byte {at}, {len(message) - at} are left")
        yield number, kind, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise WireError("the message ends in a number")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise WireError(f"a number of more than 10 bytes at byte {at}")


def read_blobs(path: Path) -> Blobs:
    """The blobs of a `.caffemodel`, by `layer/0` (weights), `layer/1` (bias), …, in the order of the layers.

    Raises ValueError for a file that is none, or that is cut short.
    """
    try:
        found = dict(_blobs(memoryview(path.read_bytes())))
    except (WireError, UnicodeDecodeError, struct.error) as error:
        raise ValueError(f"weights: {path.name} is not a whole .caffemodel ({error})") from error
    if not found:
        raise ValueError(
            f"weights: {path.name} holds no layer with weights; expected a trained .caffemodel (a "
            ".prototxt describes a network and has none)"
        )
    return found


def _blobs(net: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    for number, kind, value in fields(net):
        if kind == BYTES and number in (2, 100):
            assert isinstance(value, memoryview)
            yield from _layer(value, 1, 7) if number == 100 else _old_layer(value)


def _old_layer(layer: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    """Of before 2015; the oldest have their content in a message of its own."""
    inner = [value for number, kind, value in fields(layer) if number == 1 and kind == BYTES]
    for value in inner:
        assert isinstance(value, memoryview)
        yield from _layer(value, 1, 50)
    if not inner:
        yield from _layer(layer, 4, 6)


def _layer(layer: memoryview, name_field: int, blobs_field: int) -> Iterator[tuple[str, np.ndarray]]:
    name, blobs = "", []
    for number, kind, value in fields(layer):
        if kind == BYTES and number == name_field:
            name = bytes(value).decode() if isinstance(value, memoryview) else ""
        elif kind == BYTES and number == blobs_field:
            assert isinstance(value, memoryview)
            blobs.append(_blob(value))
    for index, blob in enumerate(blobs):
        yield f"{name}/{index}", blob


def _blob(message: memoryview) -> np.ndarray:
    sizes, shape = dict.fromkeys(SIZES, 0), None
    parts: list[np.ndarray] = []
    for number, kind, value in fields(message):
        if number in SIZES and isinstance(value, int):
            sizes[number] = value
        elif number == 7 and isinstance(value, memoryview):
            shape = _dimensions(value)
        elif number in (5, 8) and isinstance(value, memoryview):  # packed in one piece, or a field a number
            single = kind == FIXED32 or (number == 5 and kind == BYTES)
            parts.append(np.frombuffer(value, "<f4" if single else "<f8"))
    data = np.concatenate(parts) if len(parts) != 1 else parts[0]
    dimensions = tuple(sizes.values()) if shape is None else shape
    if int(np.prod(dimensions)) != data.size:
        raise WireError(f"a blob of shape {dimensions} has {data.size} numbers")
    return data.astype(np.float32).reshape(dimensions)


def _dimensions(message: memoryview) -> tuple[int, ...]:
    found: list[int] = []
    for number, _, value in fields(message):
        if number == 1 and isinstance(value, int):
            found.append(value)
        elif number == 1 and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                size, at = _varint(value, at)
                found.append(size)
    return tuple(found)


def by_our_names(blobs: Mapping[str, np.ndarray], file: str) -> dict[str, Tensor]:
    """Caffe's blobs as a state dict of ours.

    Caffe's images are BGR: the first convolution's channels are turned round. A classifier whose name begins with
    fc8 (fc8_voc12) is fc8, where it is the only one.

    Raises ValueError for blobs that are no weights and biases.
    """
    layers = dict.fromkeys(key.rpartition("/")[0] for key in blobs)
    last = [layer for layer in layers if layer.startswith("fc8")]
    state: dict[str, Tensor] = {}
    for key, blob in blobs.items():
        layer, _, index = key.rpartition("/")
        if not layer or not index.isdecimal():
            raise ValueError(f"weights: {file} holds {key!r}; expected layer/0 (weights) and layer/1 (bias)")
        if blob.dtype.kind not in "fiu":
            raise ValueError(f"weights: {file}: {key} holds {blob.dtype.str}, expected numbers")
        name = "fc8" if last == [layer] else layer
        kind = {"0": "weight", "1": "bias"}.get(index, f"blob{index}")
        state[f"{name}.{kind}"] = _tensor(name, kind, blob)
    return state


def _tensor(layer: str, kind: str, blob: np.ndarray) -> Tensor:
    """Caffe's old files fill shapes up with ones in front: (1, 1, O, I) for a fully connected layer."""
    tensor = torch.from_numpy(np.array(blob))
    if kind != "weight":
        return tensor.reshape(-1)
    if layer.startswith("fc") and tensor.ndim == 4 and tensor.shape[:2] == (1, 1):
        return tensor.reshape(tensor.shape[2:])
    first = layer in ("conv1_1", "conv1") and tensor.ndim == 4
    return tensor.flip(1) if first else tensor
