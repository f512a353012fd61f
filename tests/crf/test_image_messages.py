"""An image that is not what it should be is told what it looks like, and what to do."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

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


def turned(picture, orientation):
    """The picture as Pillow opens a file whose EXIF tag says so."""
    exif, file = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    picture.save(file, "PNG", exif=exif)
    return Image.open(file)


def test_a_picture_that_its_exif_tag_says_to_turn():
    """numpy reads pixels as they are stored; read_image turns them. Half a turn would not even show in the size."""
    picture = Image.new("RGB", (W, H), (200, 100, 50))
    refused("image: got a picture that its EXIF tag says to turn (orientation 3), expected", turned(picture, 3))
    refused("ImageOps.exif_transpose(image)", turned(picture, 6))
    upright = ImageOps.exif_transpose(turned(picture, 3))
    for good in (turned(picture, 1), upright, np.asarray(turned(picture, 3))):
        DenseCRF(good, probs=PROBS)


@pytest.mark.parametrize("argument", ["labels", "confidence"])
def test_other_pictures_are_not_to_be_turned_either(argument):
    given = {"labels": np.zeros((H, W), np.uint8), "num_classes": 3, argument: turned(Image.new("L", (W, H)), 3)}
    with pytest.raises(ValueError, match=f"{argument}: got a picture that its EXIF tag says to turn"):
        DenseCRF(np.zeros((H, W, 3), np.uint8), **given)


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
