"""The confusion matrix against a slow count, the conventions by hand, the trimap band against dilation."""

from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.ndimage import binary_dilation

from dlseg.evaluation import ConfusionMatrix, trimap_band, trimap_curve

labels = hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 2, 3]))
truths = hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(labels, truths)
def test_counts_equal_a_slow_count(prediction: np.ndarray, truth: np.ndarray) -> None:
    slow = np.zeros((4, 4), dtype=int)
    for p, t in zip(prediction.flat, truth.flat, strict=True):
        if t != 255:
            slow[t, p] += 1
    m = ConfusionMatrix(4).update(prediction, truth)
    assert np.array_equal(m.counts, slow)
    for c in range(4):
        in_p, in_t = (prediction == c) & (truth != 255), truth == c
        union = (in_p | in_t).sum()
        assert np.isnan(m.iou()[c]) if union == 0 else m.iou()[c] == (in_p & in_t).sum() / union


@given(labels, truths, labels, truths)
def test_image_after_image_is_one_matrix(p1: np.ndarray, t1: np.ndarray, p2: np.ndarray, t2: np.ndarray) -> None:
    both = ConfusionMatrix(4).update(np.stack([p1, p2]), np.stack([t1, t2]))
    assert np.array_equal(ConfusionMatrix(4).update(p1, t1).update(p2, t2).counts, both.counts)


def test_three_conventions_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1, 255]])
    prediction = np.array([[0, 2, 1, 1, 3]])  # class 2 only predicted, classes 3 and 4 in neither
    m = ConfusionMatrix(5).update(prediction, truth)
    assert m.mean_iou() == m.mean_iou("voc") == pytest.approx((0.5 + 1 + 0 + 0 + 0) / 5)
    assert m.mean_iou("present") == pytest.approx((0.5 + 1) / 2)
    assert m.mean_iou("nan") == pytest.approx((0.5 + 1 + 0) / 3)
    assert m.pixel_accuracy() == 0.75 and m.mean_accuracy() == 0.75


def test_void_in_the_prediction_is_an_error_but_not_under_void_truth() -> None:
    m = ConfusionMatrix(3)
    m.update(np.array([255]), np.array([255]))
    with pytest.raises(ValueError, match="prediction: got label 255, expected 0 … 2"):
        m.update(np.array([255]), np.array([0]))
    with pytest.raises(ValueError, match="truth: got label 7"):
        m.update(np.array([0]), np.array([7]))
    assert m.counts.sum() == 0


def test_shape_and_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"prediction: got shape \(2, 3\), expected the truth's \(3, 2\)"):
        ConfusionMatrix(3).update(np.zeros((2, 3), int), np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="num_classes: got 0"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match="width: got 0"):
        trimap_band(np.zeros((3, 3), np.uint8), 0)


def test_before_the_first_image() -> None:
    m = ConfusionMatrix(3)
    assert np.isnan(m.pixel_accuracy()) and np.isnan(m.mean_iou("present")) and m.mean_iou() == 0


small_truths = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.sampled_from([0, 1, 255])
)


@settings(max_examples=50)
@given(small_truths, st.integers(1, 12))
def test_band_equals_dilation_by_a_square(truth: np.ndarray, width: int) -> None:
    void = truth == 255
    square = np.ones((2 * width + 1, 2 * width + 1), bool)
    assert np.array_equal(trimap_band(truth, width), binary_dilation(void, square) & ~void)


@settings(max_examples=50)
@given(small_truths, st.integers(1, 6))
def test_band_round_edges_by_the_slow_definition(truth: np.ndarray, width: int) -> None:
    """A set without void rings: within `width` of a pair of neighbours of two classes, counted from 1 beside it."""
    slow = np.zeros(truth.shape, bool)
    places = [(int(y), int(x)) for y, x in np.argwhere(truth != 255)]
    edge = [
        (y, x)
        for y, x in places
        if any(truth[v, u] != truth[y, x] for v, u in places if max(abs(v - y), abs(u - x)) == 1)
    ]
    for y, x in places:
        slow[y, x] = any(max(abs(v - y), abs(u - x)) < width for v, u in edge)
    assert np.array_equal(trimap_band(truth, width, "edges"), slow)


@pytest.mark.usefixtures("as_users_see_it")
def test_the_curve_round_edges() -> None:
    truth = np.array([[0, 0, 0, 1, 1, 1]])
    assert np.isnan(trimap_curve([truth], [truth], (1,), 2)[1])  # no void, no band
    assert trimap_curve([np.array([[0, 0, 1, 1, 1, 1]])], [truth], (1, 3), 2, around="edges") == {
        1: 0.25,
        3: pytest.approx((2 / 3 + 3 / 4) / 2),
    }
    with pytest.raises(ValueError, match="around: got 'edge', expected 'void' or 'edges'"):
        trimap_band(truth, 1, "edge")


def test_real_labels(samples: Path) -> None:
    paths = sorted((samples / "voc" / "SegmentationClass").glob("*.png"))
    truths_ = [np.asarray(Image.open(path)) for path in paths]
    perfect = [np.where(t == 255, 0, t) for t in truths_]
    assert set(trimap_curve(perfect, truths_, widths=(1, 5)).values()) == {1.0}
    shifted = [np.roll(p, 3, axis=1) for p in perfect]
    curve = trimap_curve(shifted, truths_, widths=(1, 5, 20))
    assert curve[1] < curve[5] < curve[20] < 1  # a small shift hurts most next to the boundary


def test_trimap_counts_must_match() -> None:
    with pytest.raises(ValueError):
        trimap_curve([np.zeros((2, 2), np.uint8)], [])


@pytest.mark.parametrize("fraction", [np.array([0.9, 1.0]), np.array([np.nan, 0.0]), np.array(["a", "b"])])
def test_labels_that_are_no_whole_numbers_are_refused(fraction: np.ndarray) -> None:
    whole, matrix = np.array([0, 1]), ConfusionMatrix(2)
    for name, pair in (("prediction", (fraction, whole)), ("truth", (whole, fraction))):
        with pytest.raises(TypeError, match=f"{name}: got {fraction.dtype}.*, expected whole numbers"):
            unwrap(ConfusionMatrix.update)(matrix, *pair)  # as without checks of types at run time
    assert not matrix.counts.any()


def test_a_label_beyond_the_signed_numbers_is_named_as_it_is() -> None:
    with pytest.raises(ValueError, match=f"prediction: got label {2**63}, expected"):
        ConfusionMatrix(2).update(np.array([2**63], np.uint64), np.array([1]))
