"""The label files: any reader gives the indices back, and their bytes hang on nothing but the labels."""

import hashlib
import io
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dlseg.datasets.shapes.png import deflate, encode
from dlseg.datasets.voc import palette


@given(st.binary(min_size=1, max_size=2000))
def test_zlib_inflates_any_bytes(data: bytes) -> None:
    assert zlib.decompress(deflate(data), wbits=-15) == data


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 1300)), min_size=1, max_size=12))
def test_zlib_inflates_long_runs(runs: list[tuple[int, int]]) -> None:
    data = b"".join(bytes([value]) * length for value, length in runs)
    assert zlib.decompress(deflate(data), wbits=-15) == data


def test_every_run_length() -> None:
    for length in range(1, 600):
        data = b"\x07" + b"\xc8" * length
        assert zlib.decompress(deflate(data), wbits=-15) == data


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_pillow_reads_the_indices_back(label: np.ndarray) -> None:
    with Image.open(io.BytesIO(encode(label, palette()))) as file:
        assert file.mode == "P"
        assert (np.array(file) == label).all()
        assert file.getpalette() == palette().ravel().tolist()


def test_bytes_are_fixed() -> None:
    label = (np.arange(64 * 48).reshape(48, 64) // 100 % 13).astype(np.uint8)
    assert hashlib.sha256(encode(label, palette())).hexdigest()[:16] == "ffb179103648af67"


def test_runs_are_small() -> None:
    label = np.zeros((128, 128), np.uint8)
    label[30:90, 40:100] = 5
    assert len(encode(label, palette())) < 2000  # 850 of them are the palette and the frame
