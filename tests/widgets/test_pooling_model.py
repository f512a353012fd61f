"""What the pooling explorer shows, against slow loops and the classifier itself."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.datasets import load
from dlseg.datasets.transforms import to_input
from dlseg.networks import open_weights
from dlseg.widgets import pooling_explorer
from dlseg.widgets.pooling_explorer import SCENE, way
from dlseg.widgets.pooling_model import (
    VOID,
    best_labels,
    between,
    first_centre,
    moved,
    outer_taps,
    scores_at,
    spread,
)

RANDOM = np.random.default_rng(2)


@settings(deadline=None, max_examples=30)
@given(st.integers(-5, 5), st.integers(-5, 5))
def test_moved_equals_a_loop(down: int, right: int) -> None:
    values = RANDOM.integers(0, 99, (7, 8))
    result = moved(values, down, right, "constant", constant_values=VOID)
    for r, c in np.ndindex(7, 8):
        inside = 0 <= r - down < 7 and 0 <= c - right < 8
        assert result[r, c] == (values[r - down, c - right] if inside else VOID)


def test_at_stride_32_the_scores_are_the_classifiers_own() -> None:
    image = load("shapes", "val")[SCENE].image
    net, _ = open_weights("shapes", "vgg16-20m")
    with torch.inference_mode():
        wanted = net.eval().score_map(to_input(image)[None])[0].numpy()
    np.testing.assert_allclose(scores_at(image, 32), wanted, atol=1e-4)


@pytest.mark.parametrize("stride", [16, 8])
def test_finer_scores_hold_the_coarse_ones(stride: int) -> None:
    """The hole algorithm is exact: between the old scores new ones appear, and the old ones stay (float32)."""
    image = load("shapes", "val")[SCENE].image
    np.testing.assert_allclose(
        scores_at(image, stride)[:, :: 32 // stride, :: 32 // stride], scores_at(image, 32), atol=2e-4
    )


def test_the_centre_is_the_same_at_every_stride() -> None:
    assert {first_centre(stride) for stride in (32, 16, 8)} == {15.5}


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40), st.integers(1, 5), st.sampled_from([8, 16]), st.floats(0, 20))
def test_upsampling_weights_are_bilinear(pixels: int, cells: int, stride: int, centre: float) -> None:
    weights = between(pixels, cells, stride, centre)
    np.testing.assert_allclose(weights.sum(1), 1)
    for p in range(pixels):
        wanted = np.interp(p, centre + stride * np.arange(cells), np.eye(cells)[0])  # what cell 0 adds to pixel p
        assert weights[p, 0] == pytest.approx(wanted, abs=1e-9)


def test_the_best_labels_equal_a_loop() -> None:
    label = RANDOM.choice(np.array([0, 2, 5, VOID], np.uint8), (40, 48))
    stride, centre, size = 16, 7.5, (2, 3)
    shares = {v: np.zeros(size) for v in (0, 2, 5)}
    cell = [
        [min(range(n), key=lambda k: abs(p - centre - stride * k)) for p in range(m)]
        for n, m in zip(size, label.shape, strict=True)
    ]
    for v, share in shares.items():
        for r, c in np.ndindex(size):
            mine = label[np.ix_([k == r for k in cell[0]], [k == c for k in cell[1]])]
            share[r, c] = (mine == v).mean()
    best = best_labels(label, size, stride, centre)
    for y, x in np.ndindex(label.shape):
        top, left = ((p - centre) / stride for p in (y, x))
        r, c = (min(max(at, 0), n - 1) for at, n in ((top, 2), (left, 3)))
        r0, c0 = min(int(r), 0), min(int(c), 1)
        fr, fc = r - r0, c - c0
        votes = {
            v: (
                s[r0, c0] * (1 - fr) * (1 - fc)
                + s[r0 + 1, c0] * fr * (1 - fc)
                + s[r0, c0 + 1] * (1 - fr) * fc
                + s[r0 + 1, c0 + 1] * fr * fc
            )
            for v, s in shares.items()
        }
        assert votes[int(best[y, x])] >= max(votes.values()) - 1e-12


def test_a_finer_map_cuts_better_and_spread_repeats_it() -> None:
    label = load("shapes", "val")[SCENE].label
    assert label is not None
    wrong = {}
    for stride in (32, 16, 8):
        cells = (128 - 32) // stride + 1
        best = best_labels(label, (cells, cells), stride, 15.5)
        wrong[stride] = (best != label)[label != VOID].mean()
    assert wrong[32] > wrong[16] > wrong[8] > 0
    values = np.arange(16.0).reshape(4, 4)
    assert np.array_equal(spread(values, (128, 128), 32, 15.5), values.repeat(32, 0).repeat(32, 1))


def test_a_shift_by_the_stride_moves_the_scores_by_a_cell() -> None:
    """A shift by less than the stride must not: that is what pooling sells."""
    sample = load("shapes", "val")[SCENE]
    explorer = pooling_explorer(sample.image, sample.label)
    explorer.controls["right"].value = 12
    assert explorer.answer.peak_moved == (0, 0)
    explorer.controls["right"].value = 32
    answer = explorer.answer
    moved_along, stayed = (np.corrcoef(answer.scores[:, 2], answer.before[:, c])[0, 1] for c in (1, 2))
    assert moved_along > 0.8 and moved_along > stayed + 0.3
    assert answer.answer.argmax() == 4 and 0 < answer.best_iou < 1  # the hammer is still a hammer
    explorer.close()


def test_moves_in_words() -> None:
    assert [way(0, 0), way(0, -2), way(3, 0), way(-1, 4)] == [
        "not moved",
        "moved 2 px left",
        "moved 3 px down",
        "moved 4 px right and 1 px up",
    ]


def test_the_window_walks_cell_by_cell() -> None:
    explorer = pooling_explorer()
    scores = explorer.answer.scores
    count = scores.size
    assert explorer.state.walked == explorer.controls["walked"].max == explorer.play.max == count
    explorer.controls["walked"].value = 6
    row, column = divmod(5, scores.shape[1])
    _ = explorer.answer
    assert explorer.pictures[1].status == f"window 6 of {count}: score {scores[row, column]:.2f}"
    assert explorer.pictures[1].names[1:3] == ["still to come", "the window"]
    explorer.controls["stride"].value = 8
    _ = explorer.answer
    assert explorer.state.walked == explorer.answer.scores.size == explorer.controls["walked"].max
    assert explorer.pictures[1].status.startswith("the highest score")
    explorer.close()


def test_why_outer_rows_stand_out_is_said_where_they_do_and_the_still_has_room_for_it() -> None:
    explorer = pooling_explorer()
    said = {}
    for stride in (32, 16, 8):
        explorer.state = replace(explorer.state, stride=stride)
        assert explorer.answer is not None
        said[stride] = "fc6's outer taps, 96 px away" in explorer.pictures[1].status
    assert said == {32: False, 16: True, 8: True} and outer_taps(8) == 96
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert explorer.still().pixels(dpi=50).std() > 10
    explorer.close()
