"""What crosses between parent and worker comes back the same; anything else is refused, never believed."""

import io
import json
import math
import struct
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from dlseg.grading import frames

DTYPES = st.sampled_from([np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
ARRAYS = DTYPES.flatmap(lambda d: arrays.arrays(d, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0)))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def decode(data: bytes, **options: Any) -> dict[str, Any] | None:
    return frames.decode(io.BytesIO(data).read, **options)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        numbers = isinstance(b, np.ndarray) and a.dtype == b.dtype
        return numbers and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and (a == b or math.isnan(a))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
def test_round_trip(value: dict[str, Any]) -> None:
    assert same(decode(frames.encode(value)), value)


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    if noise:
        with pytest.raises(frames.FrameError):
            decode(noise)


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    good = bytearray(frames.encode({"a": np.arange(6), "b": [1, (2.5, "x")]}))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        value = decode(bytes(good[: data.draw(st.integers(1, len(good)))]))
    except frames.FrameError:
        return
    assert isinstance(value, dict)


def frame(text: bytes, blob: bytes) -> bytes:
    return struct.pack("<4sIQ", b"dlsg", len(text), len(blob)) + text + blob


@pytest.mark.parametrize(
    "text",
    [
        b"[1]",
        b"3",
        b'{"dict": {"a": [1]}}',
        b'{"dict": {"a": {"array": "7"}}}',
        b'{"dict": {"a": {"evil": 1}}}',
        b'{"dict": {"a": {"list": 3}}}',
        b'{"dict": 3}',
        b'{"dict": {}, "list": []}',
        b"{}",
        b"[" * 5000,
        b"\xff",
        b'{"dict": {"a": ' + b'{"list": [' * 20 + b"]}" * 20 + b"}}",
        b'{"dict": {"a": {"array": {}}}}',
        b"9" * 5000,
    ],
)
def test_false_words_are_refused(text: bytes) -> None:
    with pytest.raises(frames.FrameError):
        decode(frame(text, save({"0": np.zeros(2)})))


def test_lengths_are_checked_before_reading() -> None:
    asked: list[int] = []

    def read(count: int) -> bytes:
        asked.append(count)
        return struct.pack("<4sIQ", b"dlsg", 10, 1 << 60)

    with pytest.raises(frames.TooLarge):
        frames.decode(read)
    assert asked == [16]


def test_a_shape_that_lies_is_refused() -> None:
    head = json.dumps({"0": {"dtype": "I64", "shape": [1 << 40], "data_offsets": [0, 8]}}).encode()
    blob = struct.pack("<Q", len(head)) + head + b"1" * 8
    with pytest.raises(frames.FrameError):
        decode(frame(b'{"dict": {"a": {"array": "0"}}}', blob))


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([None]), np.zeros(2, complex), lambda: 0, b"bytes"])
def test_what_cannot_cross(value: Any) -> None:
    with pytest.raises(frames.FrameError):
        frames.encode({"value": value})


def test_self_containing_and_large() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(frames.FrameError, match="deeper"):
        frames.encode({"value": loop})
    with pytest.raises(frames.TooLarge):
        frames.encode({"value": np.zeros(frames.MAX_BLOB, np.uint8)})
    with pytest.raises(frames.TooLarge):
        frames.encode({"value": "a" * frames.MAX_TEXT})


def test_tensors() -> None:
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    data = frames.encode({"t": tensor, "half": torch.ones(2, dtype=torch.bfloat16)})
    back, plain = decode(data, tensors=True), decode(data)
    assert back and plain
    assert torch.equal(back["t"], tensor.detach()) and not back["t"].requires_grad
    assert isinstance(plain["t"], np.ndarray) and plain["half"].dtype == np.float32


def test_subclasses_cross_as_what_they_are() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    back = decode(frames.encode({"a": Liar(3), "b": np.zeros(2).view(np.matrix)}))
    assert back and type(back["a"]) is int and type(back["b"]) is np.ndarray
