"""The photographs that ship, and their scribbles."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.datasets import voc
from dlseg.datasets.photos import load_photo, photos
from dlseg.datasets.shapes import png


def test_names() -> None:
    assert photos() == ["astronaut", "cat", "coffee", "rocket"]


@pytest.mark.parametrize("name", photos())
def test_every_photo_is_whole(name: str) -> None:
    image, scribbles, names = load_photo(name)
    assert 400 < max(image.shape[:2]) <= 512 and scribbles.shape == image.shape[:2]
    assert names[0] == "background"
    # every label has a scribble, most of the picture has none
    assert set(np.unique(scribbles).tolist()) == {*range(len(names)), 255}
    assert 0.02 < (scribbles != 255).mean() < 0.2


def test_every_photo_has_an_origin_and_a_licence(repo: Path) -> None:
    table = (repo / "data" / "photos" / "README.md").read_text(encoding="utf-8")
    for name in photos():
        row = next(line for line in table.splitlines() if f"`{name}.jpg`" in line)
        assert "CC0" in row or "public domain" in row


def test_a_photo_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="photo: got 'dog', expected one of astronaut, cat, coffee, rocket"):
        load_photo("dog")


def test_without_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="come with a checkout of dlseg"):
        photos(tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "photos.json").write_text(json.dumps({"me": ["background", "me"]}))
    Image.new("RGB", (30, 20)).save(tmp_path / "me.jpg")
    return tmp_path


def test_own_photos(own: Path) -> None:
    scribbles = np.full((20, 30), 255, np.uint8)
    scribbles[3, 4], scribbles[5, 6] = 1, 0
    (own / "me_scribbles.png").write_bytes(png.encode(scribbles, voc.palette()))
    photo = load_photo("me", own)
    assert (photo.scribbles == scribbles).all() and photo.names == ("background", "me")


def test_scribbles_that_do_not_fit(own: Path) -> None:
    for scribbles, message in [
        (np.zeros((20, 31), np.uint8), "the scribbles are 31×20 pixels, the photograph 30×20"),
        (np.full((20, 30), 2, np.uint8), r"values \[2\] are neither a class \(0 to 1\) nor void"),
    ]:
        (own / "me_scribbles.png").write_bytes(png.encode(scribbles, voc.palette()))
        with pytest.raises(ValueError, match=message):
            load_photo("me", own)


def test_the_crf_turns_scribbles_into_a_cut() -> None:
    """From a tenth of the pixels to all of them: the scribbles are kept, and what lies beside them joins them."""
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    image, scribbles, names = load_photo("rocket")
    probs = np.full((2, *scribbles.shape), 0.5, np.float32)
    for label in range(2):
        probs[label][scribbles != 255] = np.where(scribbles == label, 0.9, 0.1)[scribbles != 255]
    field = densecrf.DenseCRF2D(image.shape[1], image.shape[0], 2)
    field.setUnaryEnergy(np.ascontiguousarray(-np.log(probs).reshape(2, -1)))
    field.addPairwiseGaussian(3, 3, normalization=densecrf.NORMALIZE_AFTER)
    field.addPairwiseBilateral(50, 10, np.ascontiguousarray(image), 5, normalization=densecrf.NORMALIZE_AFTER)
    cut = np.array(field.inference(10)).argmax(0).reshape(scribbles.shape) == names.index("rocket")
    assert cut[scribbles == 1].mean() > 0.95 and cut[scribbles == 0].mean() < 0.01
    assert (scribbles == 1).sum() * 1.5 < cut.sum() < 0.05 * cut.size  # the whole rocket, and little else
