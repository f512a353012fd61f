"""An image that is not what it should be is told what it looks like, and what to do."""

import re

import numpy as np
import pytest
from PIL import Image

from dlseg.crf import CRFParams, DenseCRF

H, W = 20, 30
PROBS = np.full((2, H, W), 0.5, np.float32)


def refused(words, image, error=ValueError):
    with pytest.raises(error, match=re.escape(words)):
        DenseCRF(image, probs=PROBS)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((H, W, 3), 40000, np.uint16), "image: got values up to 40000 (uint16), expected colours 0..255"),
        (np.full((H, W, 3), 3000, np.int32), "image / 257 for 16-bit colours"),
        (np.full((H, W, 3), -0.5, np.float32), "for one scaled to -1..1, (image + 1) * 127.5"),
        (np.full((H, W, 3), -100.0), "not one with the mean subtracted"),
        (np.full((H, W, 3), np.nan), "image: got NaN or infinity at 600 pixels"),
        (np.full((H, W, 3), 0.5), "multiply by 255"),
        (np.zeros((4, H, W)), "move the channels last: image.transpose(1, 2, 0)"),
        (np.zeros((3, H, W), np.uint8), "move the channels last: image.transpose(1, 2, 0)"),
        (np.zeros((1, H, W), np.uint8), "the one grey channel comes first: image[0]"),
        (np.zeros((1, H, W, 3), np.uint8), "no batch axis: image[0]"),
        (np.zeros((2, 3, H, W), np.uint8), "one image at a time: image[0].transpose(1, 2, 0)"),
        (np.zeros((0, W, 3), np.uint8), "of at least one pixel"),
    ],
)
def test_arrays(image, words):
    refused(words, image)


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_pictures_of_other_modes(mode):
    picture = Image.new("RGB", (W, H), (200, 100, 50)).convert(mode)
    refused(f'image: got a picture of mode "{mode}"', picture)
    assert DenseCRF(picture.convert("RGB"), probs=PROBS).label(CRFParams()).shape == (H, W)


def test_grey_has_a_way_in():
    grey = np.random.default_rng(0).integers(0, 256, (H, W), dtype=np.uint8)
    expected = DenseCRF(grey, probs=PROBS).infer(CRFParams())
    np.testing.assert_array_equal(DenseCRF(grey[..., None], probs=PROBS).infer(CRFParams()), expected)
    np.testing.assert_array_equal(DenseCRF(Image.fromarray(grey), probs=PROBS).infer(CRFParams()), expected)
