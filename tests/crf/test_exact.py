"""The exact kernel against the equations written out with loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf import exact as exact_module

NORMALIZATIONS = ["after", "symmetric", "before", "none"]


def slow_mean_field(image, probs, p, *, self_term=True, mu=None):
    """Section 4 with four nested loops: no matrix, no trick."""
    classes, height, width = probs.shape
    at = [(y, x) for y in range(height) for x in range(width)]

    def kernels(i, j):
        (yi, xi), (yj, xj) = at[i], at[j]
        place = (yi - yj) ** 2 + (xi - xj) ** 2
        colour = float(np.sum((image[yi, xi].astype(float) - image[yj, xj].astype(float)) ** 2))
        if i == j and not self_term:
            return np.zeros(2)
        return np.exp([-place / 2 / p.sigma_alpha**2 - colour / 2 / p.sigma_beta**2, -place / 2 / p.sigma_gamma**2])

    n = len(at)
    k = np.array([[kernels(i, j) for j in range(n)] for i in range(n)])  # (N, N, 2)
    degree = k.sum(axis=1) + 1e-20
    scale = {
        "after": lambda i, j: 1 / degree[i],
        "before": lambda i, j: 1 / degree[j],
        "symmetric": lambda i, j: 1 / np.sqrt(degree[i] * degree[j]),
        "none": lambda i, j: 1.0,
    }[p.normalization]
    mu = 1 - np.eye(classes) if mu is None else mu
    unary = -np.log(np.maximum(np.array([probs[:, y, x] for y, x in at]), 1e-5))  # (N, C)
    q = np.exp(-unary) / np.exp(-unary).sum(axis=1, keepdims=True)
    for _ in range(p.iterations):
        message = np.zeros((n, classes))
        for i in range(n):
            for j in range(n):
                message[i] += float(k[i, j] * scale(i, j) @ [p.w1, p.w2]) * q[j]
        cost = unary + message @ mu.T
        q = np.exp(-cost + cost.min(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
    return q.T.reshape(classes, height, width)


def scene(rng, height, width, classes):
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    probs = rng.dirichlet(np.ones(classes), (height, width)).transpose(2, 0, 1)
    return image, probs


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(2, 4)),
    st.sampled_from(NORMALIZATIONS),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_equals_the_loops(shape, normalization, self_term, potts, seed):
    rng = np.random.default_rng(seed)
    image, probs = scene(rng, *shape)
    costs = rng.random((shape[2], shape[2]))
    mu = None if potts else costs + costs.T
    p = CRFParams(3, 4, 60, 2, 1.5, 3, normalization)
    crf = DenseCRF(image, probs=probs, kernel="exact", self_term=self_term, compatibility=mu)
    expected = slow_mean_field(image, probs, p, self_term=self_term, mu=mu)
    # the unary is rounded to single precision before the iterations in double: 1e-7, grown by the weights
    np.testing.assert_allclose(crf.infer(p), expected, atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_blocks_do_not_change_the_answer(normalization, monkeypatch):
    image, probs = scene(np.random.default_rng(1), 7, 9, 3)
    p = CRFParams(4, 5, 40, 3, 2, 4, normalization)
    whole = DenseCRF(image, probs=probs, kernel="exact").infer(p)
    monkeypatch.setattr(exact_module, "BLOCK", 63 * 5)
    monkeypatch.setattr(exact_module, "KEEP", 1)
    np.testing.assert_allclose(DenseCRF(image, probs=probs, kernel="exact").infer(p), whole, atol=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_affinity_is_the_row_that_makes_the_message(normalization):
    image, probs = scene(np.random.default_rng(2), 6, 5, 3)
    p = CRFParams(4, 5, 40, 3, 2, 1, normalization)
    crf = DenseCRF(image, probs=probs, kernel="exact")
    q = next(crf.steps(p)).q
    a = crf.affinity(p, 2, 3)
    cost = -np.log(probs[:, 2, 3]) - np.sum((a.appearance + a.smoothness) * q, axis=(1, 2))
    expected = np.exp(-cost) / np.exp(-cost).sum()
    np.testing.assert_allclose(crf.infer(p)[:, 2, 3], expected, atol=1e-6)
    if normalization == "after":
        np.testing.assert_allclose([a.appearance.sum(), a.smoothness.sum()], [4, 3], rtol=1e-5)


def test_changed_parameters_are_not_answered_from_what_was_kept():
    image, probs = scene(np.random.default_rng(3), 6, 6, 3)
    crf = DenseCRF(image, probs=probs, kernel="exact")
    for p in (
        CRFParams(),
        CRFParams(sigma_alpha=3),
        CRFParams(sigma_beta=90),
        CRFParams(w1=1),
        CRFParams(sigma_gamma=1),
        CRFParams(normalization="none"),
    ):
        np.testing.assert_array_equal(crf.infer(p), DenseCRF(image, probs=probs, kernel="exact").infer(p))


def test_too_many_pixels_is_refused():
    with pytest.raises(ValueError, match=r"kernel: .*lattice"):
        DenseCRF(np.zeros((300, 300, 3), np.uint8), probs=np.full((2, 300, 300), 0.5), kernel="exact")
