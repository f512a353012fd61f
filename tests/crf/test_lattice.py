"""The lattice against a slow one written with dictionaries, and its parts against what they promise."""

from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlseg.crf.lattice.jit import lattice_points, splat_blur_slice
from dlseg.crf.lattice.jit.lanes import exp, load, log, store
from dlseg.crf.lattice.structure import Lattice


def slow_filter(features, field):
    """Splat, blur and slice with a dictionary from lattice points to values; features (N, d), field (N, L).

    Also the smallest weight that is not zero: single precision may take it for zero, or zero for it, and then one
    lattice point more or less is there to carry the blur.
    """
    d = features.shape[1]
    points, corners = {}, []
    for f in features:
        scaled = [f[i] * np.sqrt(2 / 3) * (d + 1) / np.sqrt((i + 1) * (i + 2)) for i in range(d)]
        e = [sum(scaled[j:]) - (j * scaled[j - 1] if j else 0) for j in range(d + 1)]
        whole = [int(np.round(x / (d + 1))) * (d + 1) for x in e]
        rest = [a - b for a, b in zip(e, whole, strict=True)]
        by_size = sorted(range(d + 1), key=lambda j: (-rest[j], j))
        rank = {j: r + sum(whole) // (d + 1) for r, j in enumerate(by_size)}
        for j in range(d + 1):
            turn = (rank[j] < 0) - (rank[j] > d)
            rank[j] += turn * (d + 1)
            whole[j] += turn * (d + 1)
        rest = sorted((e[j] - whole[j] for j in range(d + 1)), reverse=True)
        weight = [1 + (rest[d] - rest[0]) / (d + 1)]
        weight += [(rest[d - k] - rest[d + 1 - k]) / (d + 1) for k in range(1, d + 1)]
        keys = [tuple(whole[j] + k - (d + 1) * (rank[j] > d - k) for j in range(d + 1)) for k in range(d + 1)]
        corners.append(list(zip(keys, weight, strict=True)))
    for pixel, mixture in enumerate(corners):
        for key, w in mixture:
            points[key] = points.get(key, 0) + w * field[pixel]
    for axis in range(d + 1):

        def beside(key, sign, axis=axis, points=points):
            other = tuple(c - sign + sign * (d + 1) * (j == axis) for j, c in enumerate(key))
            return points.get(other, 0)

        points = {key: value + 0.5 * (beside(key, 1) + beside(key, -1)) for key, value in points.items()}
    weights = np.array([w for mixture in corners for _, w in mixture])
    result = np.array([sum(w * points[key] for key, w in mixture) for mixture in corners]) / (1 + 2.0**-d)
    return result, weights[weights != 0].min()


def build(image, sigmas, threads=1):
    width = image.shape[1]
    return Lattice(image.reshape(-1, 3)[:, : len(sigmas) - 2].astype(np.float32), width, sigmas, threads)


def features_of(image, sigmas):
    height, width, _ = image.shape
    ys, xs = np.mgrid[:height, :width]
    parts = [xs.ravel(), ys.ravel(), *image.reshape(-1, 3).T.astype(float)][: len(sigmas)]
    return np.stack([part / s for part, s in zip(parts, sigmas, strict=True)], 1)


def picture(seed, height, width, spread):
    return np.random.default_rng(seed).normal(120, spread, (height, width, 3)).clip(0, 255).astype(np.uint8)


pictures = st.builds(
    picture, st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0, 5, 80])
)


@settings(max_examples=60, deadline=None)
@given(pictures, st.floats(0.3, 60), st.floats(0.5, 60), st.booleans())
def test_equals_the_dictionary(image, place, colour, flat):
    place *= np.sqrt(1.1)  # a round number puts pixels right on the borders of cells
    sigmas = (place, place) if flat else (place, place, colour, colour, colour)
    field = np.random.default_rng(1).random(image.shape[0] * image.shape[1]).astype(np.float32)
    got = build(image, sigmas).filter(field)
    expected, smallest = slow_filter(features_of(image, sigmas), field)
    assume(smallest > 1e-4)
    # single precision: coordinates up to a few hundred are off by 1e-5 of a cell, weights by as much
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(pictures, st.floats(0.5, 60), st.floats(0.5, 60))
def test_transposed_filter_is_the_transposed_matrix(image, place, colour):
    lattice = build(image, (place, place, colour, colour, colour))
    eye = np.eye(lattice.pixels, dtype=np.float32)
    k = np.stack([lattice.filter(column) for column in eye], 1)
    kt = np.stack([lattice.filter(column, transpose=True) for column in eye], 1)
    np.testing.assert_allclose(kt, k.T, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("sigmas", [(3.0, 3.0), (40.0, 40.0, 7.0, 7.0, 7.0)])
def test_every_list_holds_everything_once(threads, sigmas):
    image = np.random.default_rng(0).integers(0, 256, (150, 131, 3), dtype=np.uint8)
    lattice = build(image, sigmas, threads)
    corners = lattice.dimensions + 1
    np.testing.assert_allclose(lattice.weights.sum(axis=1), 1, atol=1e-5)
    assert lattice.weights.min() > -1e-5
    listed = np.repeat(np.arange(lattice.points), np.diff(lattice.start_of))
    by_point = sorted(zip(listed, lattice.pixel_of, lattice.weight_of, strict=True))
    by_pixel = sorted(
        (v, p, w)
        for p, (ids, ws) in enumerate(zip(lattice.ids, lattice.weights, strict=True))
        for v, w in zip(ids, ws, strict=True)
    )
    assert by_point == by_pixel
    assert np.all(np.diff(lattice.start_of) > 0), "a point without a pixel"
    for runs, cuts in zip(lattice.runs, lattice.run_parts, strict=True):
        listed = runs[: cuts[-1][1]]
        members = np.where(listed < 0, ~listed, listed)
        assert len(set(members.tolist())) == len(members)
        assert cuts[0][0] == 0 and cuts[-1][1] == len(runs) - splat_blur_slice.AHEAD
        assert all(a[1] == b[0] and (a[1] == 0 or runs[a[1] - 1] < 0) for a, b in pairwise(cuts))
        assert runs.min() >= -lattice.points and runs.max() < lattice.points, "what is read ahead exists"
    assert len(lattice.runs) == corners


@pytest.mark.parametrize("sigmas", [(3.0, 3.0), (40.0, 40.0, 7.0, 7.0, 7.0)])
def test_threads_do_not_change_the_map(sigmas):
    image = np.random.default_rng(0).integers(0, 256, (150, 131, 3), dtype=np.uint8)
    field = np.random.default_rng(1).random(150 * 131).astype(np.float32)
    one, three = build(image, sigmas, 1), build(image, sigmas, 3)
    assert one.points == three.points
    np.testing.assert_array_equal(one.filter(field), three.filter(field))


def test_keys_that_do_not_fit_64_bits_still_find_their_neighbours():
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    image[:, :30] = 90  # neighbours to find, in position alone
    sigmas = (0.11, 0.11, 0.002, 0.002, 0.002)
    scales = lattice_points.lift_scales(5)
    low, high = np.zeros(5), np.array([59, 59, 255, 255, 255]) / sigmas * scales
    assert any(stride % 2 and abs(stride) > 2**40 for stride in lattice_points.key_strides(low, high)[:1])
    lattice = build(image, sigmas)
    assert lattice.points > 60 * 30 * 4
    np.testing.assert_allclose(
        lattice.filter(np.ones(3600, np.float32))[-1],
        slow_filter(features_of(image, sigmas)[-1:], np.ones(1))[0],
        rtol=0.05,
    )


@given(st.lists(st.integers(1, 2**12), min_size=5, max_size=5))
def test_packed_keys_are_distinct(spans):
    low, high = -np.array(spans) / 2, np.array(spans) / 2
    strides = lattice_points.key_strides(low, high)
    rng = np.random.default_rng(0)
    bound = int(np.abs(np.concatenate([low, high])).sum()) + 6
    points = rng.integers(-min(bound, 40), min(bound, 40) + 1, (2000, 5))
    keys = points @ strides[:5]
    assert len(np.unique(keys)) == len(np.unique(points, axis=0))


@numba.njit
def both(x, e, n):
    for i in range(0, len(x), 8):
        store(e, i, exp(load(x, i)))
        store(n, i, log(load(e, i)))


def test_exp_and_log():
    x = np.linspace(-59.9, 0, 1 << 12).astype(np.float32)
    e, n = np.empty_like(x), np.empty_like(x)
    both(x, e, n)
    np.testing.assert_allclose(e, np.exp(x.astype(float)), rtol=3e-7)
    np.testing.assert_allclose(n, np.log(e.astype(float)), rtol=3e-7, atol=1e-7)
    far = np.full(8, -1000, np.float32)
    both(far, e[:8], n[:8])
    assert np.all(e[:8] == 0) and np.all(np.isfinite(n[:8]))
