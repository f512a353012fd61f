"""Pruned labels stay below the bound that was promised, in an inference that does not prune."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.lattice.inference import LatticeKernel, LatticeRun
from dlseg.crf.lattice.pruning import BUDGET, LEAST_SUM, MAX_MARGINAL, fill_rows, prune
from dlseg.crf.lattice.state import Unary


@given(st.lists(st.floats(1e-5, 1), min_size=2, max_size=30), st.floats(0, 50))
@example([1.0, 0.0078125], 40.0)  # slow to settle
def test_the_bound_bounds_the_recursion(peaks, row_sum):
    peaks = np.array(peaks, np.float32)
    pruning = prune(peaks, peaks * 0.1, row_sum)
    assert sorted([*pruning.active, *pruning.pruned]) == list(range(len(peaks)))
    for label in pruning.pruned:
        q = float(np.float32(peaks[label]))
        for _ in range(50):
            q = float(np.float32(peaks[label])) * np.exp(row_sum * q)
            assert q <= pruning.bound
    assert pruning.bound <= min(MAX_MARGINAL, 1 / len(peaks))


def with_faint_labels(scene, seed, faint):
    image, _, probs = scene(seed, 60, 60, 3)
    rng = np.random.default_rng(seed)
    extra = rng.uniform(0, faint, (9, 60, 60)).astype(np.float32)
    return image, np.concatenate([probs * (1 - extra.sum(axis=0)), extra])


@pytest.mark.parametrize("normalization", ["after", "symmetric", "before"])
@pytest.mark.parametrize("seed", range(3))
def test_pruned_labels_stay_below_the_bound(scene, alike, normalization, seed):
    image, probs = with_faint_labels(scene, seed, 0.001)
    p = CRFParams(5, 20, 15, 3, 3, 10, normalization)
    run = LatticeRun(LatticeKernel(image.astype(np.float32), 1), Unary(probs.reshape(12, -1)), p, None)
    for step in DenseCRF(image, probs=probs).steps(p):  # which prunes nothing
        assert step.q.reshape(12, -1)[run.pruning.pruned].max(initial=0) <= run.pruning.bound
    agreement, difference = alike(DenseCRF(image, probs=probs).infer(p), step.q)
    assert agreement == 1
    assert difference <= BUDGET / 12  # what a whole run costs is far below what an iteration might
    if normalization == "after":
        assert set(run.pruning.pruned) <= set(range(3, 12))
        assert len(run.pruning.active) == 7  # the three that might win, and the likeliest others in their row


def test_a_label_that_could_win_is_not_pruned(scene):
    image, probs = with_faint_labels(scene, 0, 0.02)
    probs[11, 5, 5] = 0.2
    probs /= probs.sum(axis=0)
    kernel = LatticeKernel(image.astype(np.float32), 1)
    run = LatticeRun(kernel, Unary(probs.reshape(12, -1)), CRFParams(5, 20, 15), None)
    assert 11 in run.pruning.active


@given(st.lists(st.floats(1e-5, 1), min_size=2, max_size=30), st.floats(0, 20), st.sampled_from([4, 8]))
def test_active_labels_fills_the_row(peaks, row_sum, row):
    peaks = np.array(peaks, np.float32)
    least = prune(peaks, peaks * 0.01, row_sum)
    full = fill_rows(least, peaks, row)
    rows = -(-len(least.active) // row) * row
    assert sorted([*full.active, *full.pruned]) == list(range(len(peaks)))
    assert set(least.active) <= set(full.active)
    assert len(full.active) <= rows
    if len(least.active) < rows:
        assert len(full.active) == (len(peaks) if len(peaks) <= rows else rows - 1)
    more = sorted(set(full.active) - set(least.active))
    if more and len(full.pruned):
        assert peaks[more].min() >= peaks[full.pruned].max()
    assert full.bound <= least.bound


@pytest.mark.parametrize("total", [0.991, 1, 1.009])
@pytest.mark.parametrize("classes", [2, 21, 60])
def test_a_label_stays_live_where_all_are_faint(total, classes):
    """Probabilities that are even, and sum to a little less than 1: each is below 1 / C, and one of them wins."""
    probs = np.full((classes, 20, 20), total / classes, np.float16)
    image = np.zeros((20, 20, 3), np.uint8)
    for p in (CRFParams(1e-3, 3, 3, 1e-3, 1), CRFParams(0, 3, 3, 0, 1), CRFParams()):
        crf = DenseCRF(image, probs=probs)
        assert np.all(crf.label(p) == 0)
        np.testing.assert_allclose(crf.infer(p), 1 / classes, atol=1e-6)
        for step in crf.steps(p):
            np.testing.assert_allclose(step.q, 1 / classes, atol=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_many_faint_labels_together_are_not_pruned(share):
    """Each is far below what may be pruned; what they cost adds up, if only on a part of the image."""
    faint, near = np.full((40, 60, 60), 0.9 / 40, np.float32), slice(0, max(1, int(60 * share)))
    probs = np.concatenate([np.full((2, 60, 60), 0.499, np.float32), faint * 0.002 / 0.9])
    probs[:2, near] = 0.05
    probs[2:, near] = 0.9 / 40
    image = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    probs[2, near, ::2] *= 1.2
    probs /= probs.sum(axis=0)
    p = CRFParams(6, 30, 30, 3, 3)
    crf = DenseCRF(image, probs=probs)
    *_, step = crf.steps(p)
    assert np.abs(crf.infer(p) - step.q).mean() * 42 / 2 <= BUDGET


def test_the_budget_is_kept():
    peaks, means = np.array([0.9, 0.9, 0.01, 0.01, 0.01], np.float32), np.array([0.5, 0.45, 1e-3, 5e-4, 1e-5])
    pruning = prune(peaks, means, 7.0)
    rise = np.exp(7.0 * pruning.bound)
    costs = means[pruning.pruned] / LEAST_SUM * rise * (rise - 1)
    assert pruning.pruned.tolist() == [3, 4]
    assert costs.sum() <= BUDGET < costs.sum() + means[2] * rise * (rise - 1)
