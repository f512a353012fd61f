"""A few strokes on a photograph, as they come from a file, are enough of a unary."""

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF, refine
from dlseg.datasets.photos import load_photo, photos


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int16])
def test_any_whole_number_type(dtype: type) -> None:
    image, scribbles, names = load_photo("cat")
    part = np.s_[100:164, 150:214]
    crf = DenseCRF(
        image[part],
        labels=np.where(scribbles[part] == 255, 255, scribbles[part]).astype(dtype),
        num_classes=len(names),
    )
    assert crf.infer(CRFParams()).shape == (len(names), 64, 64)


@pytest.mark.parametrize("name", photos())
def test_the_strokes_spread_over_the_photograph(name: str) -> None:
    image, scribbles, names = load_photo(name)
    labels = refine(image, labels=scribbles, params=CRFParams(w1=10, sigma_alpha=60, sigma_beta=15))
    given = scribbles != 255
    assert set(np.unique(labels)) == set(range(len(names)))
    # and most stay what they were said to be: with red on red, in the coffee, 17 % do not
    assert np.mean(labels[given] == scribbles[given]) > 0.8


def test_nothing_but_unknown_is_an_error() -> None:
    with pytest.raises(ValueError, match="labels: got values"):
        DenseCRF(np.zeros((4, 4, 3), np.uint8), labels=np.full((4, 4), 255, np.uint8))


def test_however_labels_lie_in_memory() -> None:
    image, scribbles, names = load_photo("cat")
    part = np.s_[100:164, 150:224]
    image, labels = image[part], scribbles[part]
    expected = DenseCRF(image, labels=labels, num_classes=len(names)).infer(CRFParams())
    got = DenseCRF(image, labels=np.asfortranarray(labels), num_classes=len(names)).infer(CRFParams())
    np.testing.assert_array_equal(got, expected)
    assert np.isfinite(got).all()
