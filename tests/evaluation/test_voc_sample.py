"""Eighty real VOC images: the matrix against an independent count, three conventions, the trimap by dilation."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from dlseg.datasets import load
from dlseg.evaluation import ConfusionMatrix, Trimap


@pytest.fixture(scope="module")
def pairs(samples: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(prediction, truth): the truth shifted by a few pixels, its horses taken for cows; void as background."""
    found = []
    for split in ("train", "val"):
        for sample in load(samples / "voc", split):
            guess = np.roll(np.where(sample.label == 255, 0, sample.label), (3, 5), (0, 1))
            found.append((np.where(guess == 13, 10, guess).astype(np.uint8), sample.label))
    return found


@pytest.fixture(scope="module")
def matrix(pairs: list[tuple[np.ndarray, np.ndarray]]) -> ConfusionMatrix:
    found = ConfusionMatrix(21)
    for prediction, truth in pairs:
        found.update(prediction, truth)
    return found


def test_an_independent_count(pairs: list[tuple[np.ndarray, np.ndarray]], matrix: ConfusionMatrix) -> None:
    """Class by class with masks, no histogram."""
    assert len(pairs) == 80
    counts = np.zeros((21, 21), np.int64)
    for prediction, truth in pairs:
        for t in range(21):
            for p in range(21):
                counts[t, p] += np.count_nonzero((truth == t) & (prediction == p))
    assert np.array_equal(matrix.counts, counts)
    assert matrix.counts.sum() == sum(np.count_nonzero(truth != 255) for _, truth in pairs)


def test_three_conventions_three_numbers(samples: Path) -> None:
    """The documented rules on the first ten validation images, where some classes do not occur."""
    val, m = load(samples / "voc", "val"), ConfusionMatrix(21)
    for i in range(10):
        truth = val[i].label
        guess = np.where(truth == 255, 0, truth)
        m.update(np.where((guess == 0) & (np.arange(truth.shape[1]) < 20), 19, guess).astype(np.uint8), truth)
    iou, in_truth = m.iou(), m.counts.sum(1) > 0
    in_either = in_truth | (m.counts.sum(0) > 0)
    assert m.mean_iou("voc") == pytest.approx(np.nan_to_num(iou).sum() / 21)
    assert m.mean_iou("present") == pytest.approx(np.nansum(iou[in_truth]) / in_truth.sum())
    assert m.mean_iou("nan") == pytest.approx(np.nansum(iou) / in_either.sum())
    assert in_truth.sum() < in_either.sum() < 21
    assert m.mean_iou("voc") < m.mean_iou("nan") < m.mean_iou("present")


def test_the_trimap_is_a_dilation(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The authors' script in numpy: a square of 2w + 1 px round void, less void, then one matrix."""
    trimap = Trimap(21, (1, 4, 15))
    for prediction, truth in pairs[:30]:
        trimap.update(prediction, truth)
    for width, found in trimap.matrices.items():
        direct = ConfusionMatrix(21)
        for prediction, truth in pairs[:30]:
            void = truth == 255
            rows = binary_dilation(void, np.ones((2 * width + 1, 1), bool))
            band = binary_dilation(rows, np.ones((1, 2 * width + 1), bool)) & ~void
            direct.update(prediction[band], truth[band])
        assert np.array_equal(found.counts, direct.counts)
        assert trimap.mean_iou()[width] == direct.mean_iou("nan")
        assert trimap.pixel_accuracy()[width] == direct.pixel_accuracy()
