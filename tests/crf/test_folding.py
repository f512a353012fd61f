"""Folded labels stay below the bound that was promised, in an inference that does not fold."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.folding import MOST, filled, fold
from dlseg.crf.fused import LatticeKernel, LatticeRun
from dlseg.crf.unary import Unary


@given(st.lists(st.floats(1e-5, 1), min_size=2, max_size=30), st.floats(0, 50))
@example([1.0, 0.0078125], 40.0)  # slow to settle
def test_the_bound_bounds_the_recursion(peaks, reach):
    folding = fold(np.array(peaks, np.float32), reach)
    assert sorted([*folding.live, *folding.folded]) == list(range(len(peaks)))
    for label in folding.folded:
        q = float(np.float32(peaks[label]))
        for _ in range(50):
            q = float(np.float32(peaks[label])) * np.exp(reach * q)
            assert q <= folding.bound
    assert folding.bound <= min(MOST, 1 / len(peaks))


def with_faint_labels(scene, seed, faint):
    image, _, probs = scene(seed, 60, 60, 3)
    rng = np.random.default_rng(seed)
    extra = rng.uniform(0, faint, (9, 60, 60)).astype(np.float32)
    return image, np.concatenate([probs * (1 - extra.sum(axis=0)), extra])


@pytest.mark.parametrize("normalization", ["after", "symmetric", "before"])
@pytest.mark.parametrize("seed", range(3))
def test_folded_labels_stay_below_the_bound(scene, alike, normalization, seed):
    image, probs = with_faint_labels(scene, seed, 0.02)
    p = CRFParams(5, 20, 15, 3, 3, 10, normalization)
    run = LatticeRun(LatticeKernel(image.astype(np.float32), 1), Unary(probs.reshape(12, -1)), p, None)
    every = 1 - np.eye(12)  # the same CRF with Potts written as a matrix: nothing is folded
    for step in DenseCRF(image, probs=probs, compatibility=every).steps(p):
        assert step.q.reshape(12, -1)[run.folding.folded].max(initial=0) <= run.folding.bound
    agreement, difference = alike(DenseCRF(image, probs=probs).infer(p), step.q)
    assert agreement == 1
    assert difference <= 1e-4
    if normalization == "after":
        assert set(run.folding.folded) <= set(range(3, 12))
        assert len(run.folding.live) == 7  # the three that might win, and the likeliest others in their row


def test_a_label_that_could_win_is_not_folded(scene):
    image, probs = with_faint_labels(scene, 0, 0.02)
    probs[11, 5, 5] = 0.2
    probs /= probs.sum(axis=0)
    kernel = LatticeKernel(image.astype(np.float32), 1)
    run = LatticeRun(kernel, Unary(probs.reshape(12, -1)), CRFParams(5, 20, 15), None)
    assert 11 in run.folding.live


@given(st.lists(st.floats(1e-5, 1), min_size=2, max_size=30), st.floats(0, 20), st.sampled_from([4, 8]))
def test_what_is_live_fills_the_row(peaks, reach, row):
    peaks = np.array(peaks, np.float32)
    least = fold(peaks, reach)
    full = filled(least, peaks, row)
    rows = -(-len(least.live) // row) * row
    assert sorted([*full.live, *full.folded]) == list(range(len(peaks)))
    assert set(least.live) <= set(full.live)
    assert len(full.live) <= rows
    if len(least.live) < rows:
        assert len(full.live) == (len(peaks) if len(peaks) <= rows else rows - 1)
    more = sorted(set(full.live) - set(least.live))
    if more and len(full.folded):
        assert peaks[more].min() >= peaks[full.folded].max()
    assert full.bound <= least.bound
