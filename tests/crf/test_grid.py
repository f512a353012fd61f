"""The grid CRF against loops over neighbours, and the paper's point about it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF

STEPS = {4: [(0, 1), (1, 0), (0, -1), (-1, 0)]}
STEPS[8] = STEPS[4] + [(1, 1), (1, -1), (-1, 1), (-1, -1)]


def slow_step(image, probs, p, neighbours):
    """One update with loops."""
    _, height, width = probs.shape

    def kernels(y, x, dy, dx):
        contrast = np.sum((image[y, x].astype(float) - image[y + dy, x + dx]) ** 2)
        away = dy * dy + dx * dx
        return np.exp([-away / 2 / p.sigma_alpha**2 - contrast / 2 / p.sigma_beta**2, -away / 2 / p.sigma_gamma**2])

    def around(y, x):
        return [(dy, dx) for dy, dx in STEPS[neighbours] if 0 <= y + dy < height and 0 <= x + dx < width]

    degree = np.zeros((height, width, 2))
    for y, x in np.ndindex(height, width):
        degree[y, x] = sum((kernels(y, x, *step) for step in around(y, x)), np.zeros(2)) + 1e-20
    q = np.empty_like(probs)
    for y, x in np.ndindex(height, width):
        message = np.zeros(len(probs))
        for dy, dx in around(y, x):
            here, there = degree[y, x], degree[y + dy, x + dx]
            scale = {"after": 1 / here, "before": 1 / there, "symmetric": 1 / np.sqrt(here * there), "none": 1}[
                p.normalization
            ]
            message += np.sum(kernels(y, x, dy, dx) * scale * [p.w1, p.w2]) * probs[:, y + dy, x + dx]
        e = probs[:, y, x] * np.exp(message)
        q[:, y, x] = e / e.sum()
    return q


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([4, 8]),
    st.sampled_from(["after", "symmetric", "before", "none"]),
)
def test_equals_the_loops(seed, height, width, neighbours, normalization):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    probs = rng.dirichlet(np.ones(3), (height, width)).transpose(2, 0, 1).clip(1e-5)
    p = CRFParams(4, 2, 80, 3, 1, 1, normalization)
    crf = DenseCRF(image, probs=probs, kernel="local", neighbours=neighbours)
    np.testing.assert_allclose(crf.infer(p), slow_step(image, probs / probs.sum(0), p, neighbours), atol=1e-4)


def test_affinity_is_the_row_that_makes_the_message(scene):
    image, _, probs = scene(0, 9, 8, 3)
    p = CRFParams(4, 5, 40, 3, 2, 1)
    crf = DenseCRF(image, probs=probs, kernel="local")
    for row, col in ((0, 0), (4, 5), (8, 7)):
        near = crf.affinity(p, row, col)
        e = probs[:, row, col] * np.exp(np.sum((near.appearance + near.smoothness) * probs, axis=(1, 2)))
        np.testing.assert_allclose(crf.infer(p)[:, row, col], e / e.sum(), atol=1e-6)
        assert np.count_nonzero(near.smoothness) in (3, 8)


def test_neighbours_are_four_or_eight(scene):
    image, _, probs = scene(0)
    with pytest.raises(ValueError, match="neighbours: got 6, expected 4 or 8"):
        DenseCRF(image, probs=probs, kernel="local", neighbours=6)


def test_the_fully_connected_crf_recovers_a_thin_line_that_the_grid_loses():
    image = np.full((40, 60, 3), 60, np.uint8)
    truth = np.zeros((40, 60), int)
    truth[20, 5:55] = 1
    image[truth == 1] = (220, 180, 40)
    rng = np.random.default_rng(0)
    guess = np.where((truth == 1) & (rng.random(truth.shape) < 0.2), 0, truth)  # the net misses a part of it
    probs = np.where(np.arange(2)[:, None, None] == guess, 0.7, 0.3)
    p = CRFParams(5, 30, 10, 0.5, 1, 10)
    found = {
        kernel: DenseCRF(image, probs=probs, kernel=kernel).infer(p).argmax(0)[truth == 1].mean()
        for kernel in ("lattice", "local")
    }
    assert found["lattice"] == 1
    assert found["local"] < 0.9
