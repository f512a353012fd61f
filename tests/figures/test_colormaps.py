"""Numbers as colours: the scale's own table, shared limits, and entropy against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import colormaps
from scipy.stats import entropy as scipy_entropy

from dlseg.figures import entropy, heat, scale_table
from dlseg.figures.colormaps import SCALES

VALUES = arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.floats(-10, 10, width=32))


@pytest.mark.parametrize("name", SCALES)
def test_the_table_is_matplotlibs(name: str) -> None:
    wanted = np.floor(colormaps[name](np.arange(256))[:, :3] * 255 + 0.5)
    assert np.abs(scale_table(name) - wanted).max() <= 1  # matplotlib rounds its bytes in its own way


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma", "gray"])
def test_brightness_rises_along_the_scale(name: str) -> None:
    """What makes a scale readable without colour vision, and in a grey print."""
    luma = scale_table(name).astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luma) > -0.8).all() and luma[-1] - luma[0] > 150


@settings(deadline=None)
@given(VALUES)
def test_heat_equals_a_loop(values: np.ndarray) -> None:
    picture = heat(values, -5.0, 5.0)
    for r, c in np.ndindex(values.shape):
        step = min(max((float(values[r, c]) + 5) / 10, 0), 1) * 255
        assert (picture[r, c] == scale_table()[int(step + 0.5)]).all() or abs(step % 1 - 0.5) < 1e-4


def test_shared_limits_make_pictures_comparable() -> None:
    low, high = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    assert (heat(low, 0.0, 1.0) != heat(high, 0.0, 1.0)).any()
    assert (heat(low) == heat(high)).all()  # each on its own extremes: what sharing prevents


@settings(deadline=None)
@given(arrays(np.float64, (5, 3, 4), elements=st.floats(0, 1)).filter(lambda a: (a.sum(0) > 0.01).all()))
def test_entropy(weights: np.ndarray) -> None:
    probs = weights / weights.sum(0)
    np.testing.assert_allclose(entropy(probs), scipy_entropy(probs, base=2, axis=0), atol=1e-12)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="scale: got 'jet', expected one of viridis"):
        scale_table("jet")
    with pytest.raises(ValueError, match=r"low, high: got 2\.0 and 1\.0, expected low ≤ high"):
        heat(np.zeros((2, 2), np.float32), 2.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        heat(np.full((2, 2), np.nan, np.float32))
    holed = np.zeros((2, 2))
    holed[1] = np.nan, np.inf
    with pytest.raises(ValueError, match="values: got 2 that are NaN or infinite, expected finite numbers"):
        heat(holed, 0.0, 1.0)
