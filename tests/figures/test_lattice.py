"""The lattice that is drawn blurs as a lattice should: beside the Gaussian it stands for, and in its sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.figures import lattice, lattice_figure


@given(st.integers(0, 2**32 - 1))
def test_weights_put_a_point_between_its_corners(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-50, 50, (40, 2))
    found, weights = lattice.corners(points)
    assert weights.min() >= -1e-12
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    at = found @ lattice.BASIS.T
    np.testing.assert_allclose((at * weights[..., None]).sum(axis=1), points, atol=1e-10)
    sides = np.linalg.norm(at - np.roll(at, 1, axis=1), axis=-1)
    np.testing.assert_allclose(sides, 1, atol=1e-10)


@given(st.integers(0, 2**32 - 1))
def test_what_is_read_back_is_nearly_a_gaussian(seed: int) -> None:
    """Within a tenth of the height: three short blurs and two linear interpolations are no exact Gaussian."""
    points = np.random.default_rng(seed).uniform(-3, 3, (400, 2))
    splat, blurred, heard, _ = lattice.splat_blur_slice(points, 0)
    assert splat.sum() == pytest.approx(1) and blurred.sum() == pytest.approx(1)
    gaussian = np.exp(-((points - points[0]) ** 2).sum(axis=1) / 2)
    assert np.corrcoef(heard, gaussian)[0, 1] > 0.98
    assert abs(heard / heard[0] - gaussian).max() < 0.2


def test_telling_and_hearing_are_the_same() -> None:
    points = np.random.default_rng(0).uniform(0, 4, (30, 2))
    pairs = np.array([lattice.splat_blur_slice(points, n)[2] for n in range(30)])
    np.testing.assert_allclose(pairs, pairs.T, atol=1e-12)


def test_the_figure_shows_its_pixels() -> None:
    row = np.random.default_rng(1).integers(0, 256, (40, 3), dtype=np.uint8)
    figure = lattice_figure(row, 7, 10.0, 40.0)
    titles = [axes.get_title().split(":")[0] for axes in figure.axes[:3]]
    assert titles == ["splat", "blur", "slice"]
    points = lattice.row_features(row, 10.0, 40.0)
    for axes in figure.axes[:3]:
        shown = max(axes.collections, key=lambda c: len(c.get_offsets()))
        np.testing.assert_allclose(shown.get_offsets(), points)
    picture = figure.pixels()
    assert abs(picture.astype(int) - lattice_figure(row, 25, 10.0, 40.0).pixels()).max() > 50


def test_mistakes_are_named() -> None:
    row = np.zeros((5, 3), np.uint8)
    with pytest.raises(ValueError, match="pixel: got 5, expected 0 to 4"):
        lattice_figure(row, 5, 10.0, 10.0)
    with pytest.raises(ValueError, match="got 0, 10, expected both > 0"):
        lattice_figure(row, 1, 0.0, 10.0)
