"""Lists of pictures: names with blanks stay whole, two columns are one picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.datasets import load, voc
from dlseg.datasets.lists import Entry, read_entries, stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n", [Entry("a", None), Entry("b", None)]),
        ("\ufeffmy photo 1\r\n\r\n  two  \r\n", [Entry("my photo 1", None), Entry("two", None)]),
        ("my photo.jpg my photo_L.png\n", [Entry("my photo.jpg", "my photo_L.png")]),
        ("/a b/x 1.PNG   /c d/x 1.png", [Entry("/a b/x 1.PNG", "/c d/x 1.png")]),
        ("a 1\tb 1\n", [Entry("a 1", "b 1")]),
        ("photo 1.png", [Entry("photo 1.png", None)]),
        ("v1.2 final", [Entry("v1.2 final", None)]),
    ],
)
def test_lines(tmp_path: Path, text: str, expected: list[Entry]) -> None:
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    assert read_entries(tmp_path / "list.txt") == expected


@pytest.mark.parametrize("name", ["x", "/a/x.png", "a\\\\x.JPG", "x.jpeg"])
def test_stems(name: str) -> None:
    assert stem(name) == "x" and stem("img.v2") == "img.v2" and stem("img.v2.tif") == "img.v2"


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i, name in enumerate(("0016E5 07959", "b")):
        Image.fromarray(np.full((6, 8, 3), 40 * i, np.uint8)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(np.full((6, 8), i, np.uint8)).save(tmp_path / "masks" / f"{name}_L.png")
    description = {
        "classes": ["a", "b"],
        "splits": {"val": {"images": "images", "labels": "masks", "list": "val.txt"}},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def test_camvids_own_list(camvid: Path) -> None:
    names = ("0016E5 07959", "b")
    lines = [f"/SegNet/CamVid/val/{name}.png /SegNet/CamVid/valannot/{name}_L.png" for name in names]
    (camvid / "val.txt").write_text("\n".join(lines))
    data = load(camvid, "val")
    assert data.names == ["0016E5 07959", "b"] and [int(sample.label.max()) for sample in data] == [0, 1]


def test_a_list_that_is_not_there(camvid: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.json: split val: list: no file 'val.txt' in"):
        load(camvid, "val")


def test_names_with_blanks_in_vocs_layout(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "JPEGImages" / "my photo.jpg")
    voc.write_indices(np.ones((6, 8), np.uint8), tmp_path / "SegmentationClass" / "my photo.png")
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("my photo\n")
    assert load(tmp_path, "train")[0].label.all()
