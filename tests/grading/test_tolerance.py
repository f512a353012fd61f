"""The comparison against a slow element-by-element one, and the words for every kind of wrong answer."""

import math
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.grading.tolerance import Tolerance, difference, exact, numeric, shape, statistical

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, max_side=4)
VALUES = st.floats(-100, 100).map(lambda v: round(v, 2))


@given(st.data(), st.floats(0, 0.2), st.floats(0, 0.5), st.floats(0, 1))
def test_equals_the_slow_comparison(data: st.DataObject, rtol: float, atol: float, share: float) -> None:
    reference = data.draw(arrays.arrays(np.float64, SHAPES, elements=VALUES))
    own = reference + data.draw(arrays.arrays(np.float64, reference.shape, elements=st.floats(-1, 1)))
    close = [abs(a - b) <= atol + rtol * abs(b) for a, b in zip(own.flat, reference.flat, strict=True)]
    right = sum(close) / len(close) >= share
    said = difference(own, reference, Tolerance("statistical", "test", rtol, atol, share))
    assert (said is None) == right
    if said and own.ndim:
        first = list(np.unravel_index(close.index(False), own.shape))
        assert f"at {[int(i) for i in first]}" in said


@pytest.mark.parametrize(
    ("own", "reference", "words"),
    [
        (None, np.zeros(3), "forget to return"),
        (np.zeros((3, 1)), np.zeros(3), "shape (3, 1), expected (3,)"),
        (np.array([0, math.nan, 0]), np.zeros(3), "at [1]: 1 of 3 values are not finite"),
        (np.array([0.5, 1.0]), np.array([0, 1]), "expected whole ones"),
        (np.array(["a"]), np.zeros(1), "expected an array of shape (1,)"),
        (np.zeros(2, complex), np.zeros(2), "complex128"),
        (np.array([True]), np.array([1]), "holds bool, expected int64"),
        ("a", 3, "'a', expected one number"),
        ((1, 2), 3, "2 values, expected one number"),
        ([1, 2], [1, 2, 3], "2 values, expected 3"),
        ([[1, 2], [3]], np.zeros((2, 2)), "ragged"),
        ({"a": 1}, {"b": 1}, "keys ['a'], expected a dict with keys ['b']"),
        ({"a": 2}, {"a": 1}, "the result['a'] is 2, expected 1"),
        (5, None, "5, expected None"),
        ("yes", "no", "'yes', expected 'no'"),
    ],
)
def test_words(own: Any, reference: Any, words: str) -> None:
    said = difference(own, reference, exact("test"))
    assert said is not None and words in said


@pytest.mark.parametrize(
    ("own", "reference"),
    [
        (3, 3),
        (np.int64(3), 3),
        (np.array(3), 3),
        (3, 3.0),
        ([1, 2], np.array([1, 2])),
        (np.array([1, 2]), (1, 2)),
        ((1, (2, 3)), [1, [2, 3]]),
        (np.float32(0.1), np.float64(np.float32(0.1))),
        (None, None),
        ({"a": [1]}, {"a": [1]}),
        (np.zeros((0, 3)), np.ones((0, 3))),
        (True, True),
    ],
)
def test_equal_kinds(own: Any, reference: Any) -> None:
    assert difference(own, reference, exact("test")) is None


def test_tiers() -> None:
    reference, own = np.zeros(100), np.zeros(100)
    own[:4] = 5
    assert difference(own, reference, statistical("ties", 0.95)) is None
    assert "at least 97% must agree" in (difference(own, reference, statistical("ties", 0.97)) or "")
    assert difference(own, reference, shape("free")) is None
    assert difference(own[:5], reference, shape("free")) == "the result has shape (5,), expected (100,)"
    assert difference(np.full(3, 1e-6), np.zeros(3), numeric("sums")) is None
    assert "3 of 3 values differ" in (difference(np.full(3, 1e-4), np.zeros(3), numeric("sums")) or "")
