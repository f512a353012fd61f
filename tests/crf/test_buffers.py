"""Memory used again: never by two at once, never with anything of its last user in the result."""

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.lattice import buffers, state
from dlseg.crf.lattice.buffers import Workspace, borrow_workspace

P = CRFParams(5, 20, 15, 3, 3, 5)


class User:
    pass


@pytest.fixture(autouse=True)
def none_idle(monkeypatch):
    monkeypatch.setattr(buffers, "_idle", [])


def test_it_comes_back_when_its_user_goes():
    user, other = User(), User()
    mine, theirs = borrow_workspace(user), borrow_workspace(other)
    assert mine is not theirs
    del user
    assert borrow_workspace(User()) is mine


def test_the_same_memory_where_it_is_enough():
    kept = Workspace()
    first = kept.array("q", 1000)
    assert first.ctypes.data % 64 == 0
    assert np.shares_memory(first, kept.array("q", 900))
    assert not np.shares_memory(first, kept.array("unary", 900))
    assert not np.shares_memory(first, kept.array("q", 1001))


def test_neither_many_nor_large_ones_are_kept(monkeypatch):
    users = [User() for _ in range(buffers.MAX_IDLE + 2)]
    for user in users:
        borrow_workspace(user)
    del user
    users.clear()
    assert len(buffers._idle) == buffers.MAX_IDLE
    buffers._idle.clear()
    monkeypatch.setattr(buffers, "MAX_BYTES", 4000)
    user = User()
    borrow_workspace(user).array("q", 1001)
    del user
    assert not buffers._idle


@pytest.mark.parametrize("classes", [3, 7, 8])
def test_what_lies_in_it_does_not_matter(scene, classes):
    image, _, probs = scene(0, 40, 50, classes)
    if classes == 8:  # two rows of eight, the second one not full
        probs = np.concatenate([probs, probs[:3]]) / (1 + probs[:3].sum(axis=0))
    crf = DenseCRF(image, probs=probs, threads=1)
    expected = crf.infer(P)
    assert buffers._idle
    for array in buffers._idle[0].arrays.values():
        array[:] = np.nan
    np.testing.assert_array_equal(crf.infer(P), expected)


def test_two_runs_at_once(scene):
    image, _, probs = scene(0, 40, 50, 3)
    crf = DenseCRF(image, probs=probs, threads=1)
    alone = [step.q for step in crf.steps(P)]
    other = DenseCRF(image[::-1].copy(), probs=probs, threads=1)
    together = [(a.q, b.q) for a, b in zip(crf.steps(P), other.steps(P), strict=True)]
    for step, (q, _) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(q, step)


def test_what_every_run_starts_from_may_be_too_large_to_keep(scene, monkeypatch):
    image, _, probs = scene(0, 40, 50, 3)
    settings = [P, CRFParams(2, 20, 15, 3, 3, 5), P]
    kept = DenseCRF(image, probs=probs, threads=1)
    expected = [kept.infer(p) for p in settings]
    monkeypatch.setattr(state, "SMALL", 0)
    crf = DenseCRF(image, probs=probs, threads=1)
    for p, q in zip(settings, expected, strict=True):
        np.testing.assert_array_equal(crf.infer(p), q)
    np.testing.assert_array_equal(expected[0], expected[2])
