"""The free energy: what lowers it surely, and what may not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.mean_field import free_energy, pairwise_energy

seeds, sides, labels = st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 4)


def problem(seed, height, width, classes):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    probs = rng.dirichlet(np.ones(classes), (height, width)).transpose(2, 0, 1)
    costs = rng.uniform(-1, 1, (classes, classes))
    w1, alpha, beta, w2, gamma = np.exp(rng.uniform(-1, 2.5, 5))
    return rng, image, probs, costs + costs.T, CRFParams(w1, 3 * alpha, 30 * beta, w2, gamma, 8, "symmetric")


def falls(steps):
    """Never rises, up to what double precision loses in sums of this size."""
    energies = np.array([step.free_energy for step in steps])
    assert (np.diff(energies) <= 1e-9 * (1 + np.abs(energies).max())).all(), energies


@settings(max_examples=60, deadline=None)
@given(seeds, sides, sides, labels, st.booleans(), st.sampled_from(["symmetric", "none"]))
def test_one_pixel_after_another_never_raises_it(seed, height, width, classes, potts, normalization):
    _, image, probs, mu, p = problem(seed, height, width, classes)
    p = CRFParams(p.w1, p.sigma_alpha, p.sigma_beta, p.w2, p.sigma_gamma, 8, normalization)
    crf = DenseCRF(image, probs=probs, kernel="exact", self_term=False, compatibility=None if potts else mu)
    falls(crf.steps(p, update="sequential"))


@settings(max_examples=60, deadline=None)
@given(seeds, sides, sides, labels, st.booleans(), st.booleans())
def test_damped_updates_never_raise_it(seed, height, width, classes, potts, self_term):
    """relax <= 2 / (1 + r), r the largest eigenvalue of the pair term; the kernels' own are at most w1 + w2."""
    _, image, probs, mu, p = problem(seed, height, width, classes)
    r = (p.w1 + p.w2) * (1 if potts else np.abs(np.linalg.eigvalsh(mu)).max())
    crf = DenseCRF(image, probs=probs, kernel="exact", self_term=self_term, compatibility=None if potts else mu)
    falls(crf.steps(p, relax=min(1.0, 2 / (1 + r))))


@settings(max_examples=40, deadline=None)
@given(seeds, sides, sides, labels, st.floats(0.05, 1))
def test_with_potts_and_the_self_term_parallel_updates_never_raise_it(seed, height, width, classes, relax):
    """The pair term is concave then: each update minimises a bound that touches it."""
    _, image, probs, _, p = problem(seed, height, width, classes)
    falls(DenseCRF(image, probs=probs, kernel="exact").steps(p, relax=relax))


def tug_of_war():
    """Two pixels alike that prefer different labels, each hearing the other only: in parallel they swap."""
    image = np.full((1, 2, 3), 50, np.uint8)
    probs = np.array([[[0.6, 0.3]], [[0.4, 0.7]]])
    return (
        DenseCRF(image, probs=probs, kernel="exact", self_term=False),
        CRFParams(8, 10, 10, 0, 1, 6, "symmetric"),
    )


def test_parallel_updates_may_raise_it_and_damped_or_sequential_ones_do_not():
    crf, p = tug_of_war()
    rises = np.diff([step.free_energy for step in crf.steps(p)])
    assert rises.max() > 0.1
    with pytest.raises(AssertionError):
        falls(crf.steps(p))
    falls(crf.steps(p, relax=2 / 9))
    falls(crf.steps(p, update="sequential"))
    assert "may rise" in DenseCRF.steps.__doc__


def test_after_has_no_energy_that_falls():
    """Normalised by the receiver the kernel is not symmetric; this picture's value rises once it has fallen."""
    rises = []
    for seed in range(30):
        _, image, probs, _, p = problem(seed, 5, 6, 3)
        p = CRFParams(p.w1, p.sigma_alpha, p.sigma_beta, p.w2, p.sigma_gamma, 8, "after")
        energies = [step.free_energy for step in DenseCRF(image, probs=probs, kernel="exact").steps(p)]
        rises.append(np.diff(energies).max() / np.abs(energies[0]))
    assert max(rises) > 1e-6


@given(seeds, st.integers(1, 6), labels, st.booleans())
def test_equals_the_sum_over_pairs(seed, pixels, classes, potts):
    rng = np.random.default_rng(seed)
    k = rng.random((pixels, pixels))
    k = k + k.T
    q, unary = rng.dirichlet(np.ones(classes), pixels).T, rng.random((classes, pixels))
    mu = 1 - np.eye(classes) if potts else rng.random((classes, classes))
    mu = (mu + mu.T) / 2
    expected = sum(q[a, i] * (np.log(q[a, i]) + unary[a, i]) for i in range(pixels) for a in range(classes))
    expected += sum(
        k[i, j] * (q[:, i] @ mu @ q[:, j]) * (0.5 if i == j else 1) for i in range(pixels) for j in range(i, pixels)
    )
    assert free_energy(q, unary, pairwise_energy(q, q @ k, None if potts else mu)) == pytest.approx(expected)
