"""How arguments and results cross between parent and worker: JSON and safetensors, never pickle.

A frame is a magic word, two lengths, JSON text, and a safetensors blob with the arrays that the JSON names.
The receiving side checks every length before it reads, and every word before it believes.
"""

from __future__ import annotations

import array
import collections
import decimal
import itertools
import json
import numbers
import struct
from collections.abc import Callable, KeysView, ValuesView
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save

MAGIC = b"dlsg"
HEAD = struct.Struct("<4sIQ")
MAX_TEXT = 1 << 20
MAX_BLOB = 32 << 20
MAX_DEPTH = 8
MAX_ITEMS = 1 << 20
SEQUENCES = (list, tuple, collections.deque, range, map, zip, filter, reversed, KeysView, ValuesView)
MAX_REQUEST_TEXT = 64 << 20  # of what the grader asks: a whole notebook, each character perhaps escaped


class FrameError(ValueError):
    """What came through the pipe is not a frame."""


class TooLarge(FrameError):
    """A frame announces more than the cap."""


def encode(value: dict[str, Any], *, max_blob: int = MAX_BLOB, max_text: int = MAX_TEXT) -> bytes:
    """The frame of a dict of plain values, numpy arrays and torch tensors, in lists, tuples and dicts."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(pack(value, arrays)).encode()
    size = sum(array.nbytes for array in arrays.values())
    if size > max_blob - MAX_TEXT or len(text) > max_text:
        raise TooLarge(f"{size >> 20} MB of arrays and {len(text) >> 10} kB besides are too much to return")
    blob = save(arrays)
    return HEAD.pack(MAGIC, len(text), len(blob)) + text + blob


def pack(value: Any, arrays: dict[str, np.ndarray], depth: int = 0) -> Any:
    """`value` as JSON can hold it; arrays go into `arrays` and leave their key."""
    if depth > MAX_DEPTH:
        raise FrameError(f"values are nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool | int | float | str):
        return _plain(value)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise FrameError(f"keys of a dict: got {list(value)[:3]}, expected strings")
        return {"dict": {key: pack(item, arrays, depth + 1) for key, item in value.items()}}
    if isinstance(value, SEQUENCES):
        items = list(itertools.islice(value, MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            raise TooLarge(f"more than {MAX_ITEMS} values in one {type(value).__name__} are too much to return")
        return {type_name(value): [pack(item, arrays, depth + 1) for item in items]}
    return _pack_array(value, arrays)


def type_name(value: Any) -> str:
    """'tuple' for a tuple or any kind of it, else 'list'."""
    return "tuple" if isinstance(value, tuple) else "list"


def _plain(value: Any) -> Any:
    # a subclass of a plain type could lie about itself later: what crosses is the plain value
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def _pack_array(value: Any, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    kind = "array"
    if hasattr(value, "detach"):
        value = value.detach().cpu().to_dense()
        value = value.float() if "bfloat16" in str(value.dtype) else value  # numpy has no bfloat16
        kind, value = "tensor", value.numpy()
    elif isinstance(value, numbers.Real | decimal.Decimal):
        value = np.float64(float(value))
    elif hasattr(value, "todense"):  # scipy's sparse matrices
        value = np.asarray(value.todense())
    elif isinstance(value, array.array | memoryview) or (
        hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic)
    ):
        value = np.asarray(value)
    elif not isinstance(value, np.ndarray | np.generic):
        raise FrameError(f"a {type(value).__name__} cannot be given back: return arrays, tensors or numbers")
    plain = np.array(value, order="C", subok=False)
    if plain.dtype.kind not in "biuf":
        raise FrameError(f"an array of {plain.dtype} cannot be given back: return numbers")
    if plain.dtype.itemsize > 8:
        plain = plain.astype(np.float64)
    key = str(len(arrays))
    arrays[key] = plain
    return {kind: key}


def decode(
    read: Callable[[int], bytes], *, max_blob: int = MAX_BLOB, max_text: int = MAX_TEXT, tensors: bool = False
) -> dict[str, Any] | None:
    """The next frame of `read(n)` (exactly n bytes, fewer only at the end), or None at a clean end.

    With `tensors`, what left as a torch tensor arrives as one; else everything arrives as numpy.
    """
    head = read(HEAD.size)
    if not head:
        return None
    if len(head) < HEAD.size:
        raise FrameError("cut short")
    magic, text_size, blob_size = HEAD.unpack(head)
    if magic != MAGIC:
        raise FrameError("not a frame")
    if text_size > max_text or blob_size > max_blob:
        raise TooLarge(f"a frame of {text_size + blob_size} bytes, more than {max_blob} allowed")
    text, blob = read(text_size), read(blob_size)
    if len(text) < text_size or len(blob) < blob_size:
        raise FrameError("cut short")
    return _unpack_frame(text, blob, tensors)


def _unpack_frame(text: bytes, blob: bytes, tensors: bool) -> dict[str, Any]:
    try:
        arrays = load(blob)
        value = unpack(json.loads(text), arrays, tensors)
    except Exception as error:  # whatever it is, it comes from bytes that a student's code may have written
        raise FrameError(f"malformed: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise FrameError("malformed: not a dict")
    return value


def unpack(value: Any, arrays: dict[str, np.ndarray], tensors: bool, depth: int = 0) -> Any:
    """The inverse of `pack`; anything that `pack` would not have written is refused."""
    if depth > MAX_DEPTH + 1:
        raise FrameError("nested too deep")
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise FrameError("a bare list")
        return value
    (kind, body), *more = value.items()
    if more:
        raise FrameError("ambiguous")
    if kind == "dict":
        return {key: unpack(item, arrays, tensors, depth + 1) for key, item in body.items()}
    if kind in ("list", "tuple"):
        items = [unpack(item, arrays, tensors, depth + 1) for item in body]
        return tuple(items) if kind == "tuple" else items
    if kind not in ("array", "tensor"):
        raise FrameError(f"unknown kind {kind!r}")
    array = arrays.pop(body)  # once each, as `pack` writes them: a list of one array n times is n times as large
    return _as_tensor(array) if tensors and kind == "tensor" else array


def _as_tensor(array: np.ndarray) -> Any:
    return torch.from_numpy(array.copy())
