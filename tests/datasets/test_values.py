"""Labels whose values are not the classes: numbers, bits, 16 bits, colours; and where files lie in other places."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load
from dlseg.datasets.check import check
from dlseg.datasets.counts import count_labels

TRUTH = np.arange(48).reshape(6, 8).astype(np.uint8) % 3  # 0, 1, 2 in turn: background, cat, void
EXPECTED = np.where(TRUTH == 2, 255, TRUTH).astype(np.uint8)
COLOURS = np.array([(0, 0, 0), (128, 64, 128), (70, 70, 70)], np.uint8)


def palette(numbers: np.ndarray) -> Image.Image:
    picture = Image.fromarray(numbers)
    picture.putpalette(COLOURS.tobytes())
    return picture


MASKS: dict[str, tuple[Image.Image, dict[str, str]]] = {
    "grey from 1, void 0": (
        Image.fromarray(((TRUTH + 1) % 3).astype(np.uint8)),
        {"0": "void", "1": "background", "2": "cat"},
    ),
    "0, 255 and 128": (
        Image.fromarray(np.array([0, 255, 128], np.uint8)[TRUTH]),
        {"0": "background", "255": "cat", "128": "void"},
    ),
    "16 bits": (
        Image.fromarray(np.array([7, 33001, 0], np.uint16)[TRUTH]),
        {"7": "background", "33001": "cat", "*": "void"},
    ),
    "32 bits": (
        Image.fromarray(np.array([7, 70001, 2**24], np.int32)[TRUTH]),
        {"7": "background", "70001": "cat", "16777216": "void"},
    ),
    "colours": (Image.fromarray(COLOURS[TRUTH]), {"#000000": "background", "128, 64, 128": "cat", "*": "void"}),
    "colours of a palette": (palette(TRUTH), {"#000000": "background", "#804080": "cat", "#464646": "void"}),
    "indices of a palette": (palette(TRUTH), {"0": "background", "1": "cat", "2": "void"}),
    "grey kept as RGB": (
        Image.fromarray(np.stack([TRUTH * 100] * 3, -1)),
        {"0": "background", "100": "cat", "200": "void"},
    ),
    "several values a class": (
        Image.fromarray(np.arange(48).reshape(6, 8).astype(np.uint8)),
        {str(i): ("background", "cat", "void")[i % 3] for i in range(48)},
    ),
}


def folder(root: Path, mask: Image.Image, values: object, ending: str = ".png", **more: object) -> Path:
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", (8, 6)).save(root / "images" / f"{i}.jpg")
        mask.save(root / "masks" / f"{i}{ending}")
    description = {
        "classes": ["background", "cat"],
        "values": values,
        "label_ending": ending,
        "splits": {"train": {"images": "images", "labels": "masks"}},
    }
    (root / "dataset.json").write_text(json.dumps(description | more))
    return root


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_values_become_classes(tmp_path: Path, kind: str, ending: str) -> None:
    root = folder(tmp_path / "set", *MASKS[kind], ".tif" if kind == "32 bits" else ending)  # PNG has none
    assert all(np.array_equal(sample.label, EXPECTED) for sample in load(root, "train"))
    report = check(root, progress=False)
    assert report.faults == [] and report.labels["train"].startswith("2 labels: ")


def test_bits(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", Image.fromarray(TRUTH == 1), {"0": "background", "1": "cat"})
    assert Image.open(root / "masks" / "0.png").mode == "1"
    assert np.array_equal(load(root, "train")[0].label, (TRUTH == 1).astype(np.uint8))


def test_the_meaning_is_part_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    mask = Image.fromarray(TRUTH)
    root = folder(tmp_path / "set", mask, {"0": "background", "1": "cat", "2": "void"})
    assert count_labels(load(root, "train")).void == 32
    description = json.loads((root / "dataset.json").read_text()) | {
        "values": {"0": "background", "1": "cat", "2": "cat"}
    }
    (root / "dataset.json").write_text(json.dumps(description))
    assert count_labels(load(root, "train")).void == 0


GOOD = {"0": "background", "1": "cat", "*": "void"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"0": "background", "1": "dog"}, "values: '1': got 'dog', expected one of the classes, or 'void'"),
        ({"0": "background", "#000000": "cat"}, "values: got numbers and colours, expected one kind of them"),
        ({"x": "background", "1": "cat"}, "values: got 'x', expected a number such as \"7\", a colour such as"),
        ({"300,0,0": "background", "1,2,3": "cat"}, "values: got '300,0,0', expected a number"),
        ({"0": "background", "00": "cat"}, "values: got the same value twice, written in two ways"),
        ({"0": "background", "*": "void"}, "values: got none for cat, expected one or more for each class"),
        ([], r"values: got \[\], expected {\"0\": \"void\""),
        (GOOD, "got void and values, expected one of them; in values write"),
    ],
)
def test_a_wrong_meaning_is_named(tmp_path: Path, values: object, message: str) -> None:
    root = folder(tmp_path / "set", Image.fromarray(TRUTH), values, **({"void": [9]} if values is GOOD else {}))
    with pytest.raises(ValueError, match=message):
        load(root, "train")
    assert len(check(root, progress=False).faults) == 1


@pytest.mark.parametrize(
    ("mask", "values", "message"),
    [
        (Image.fromarray(TRUTH), {"0": "background", "1": "cat"}, r"0.png: got values 2, which `values` in"),
        (Image.fromarray(COLOURS[TRUTH]), {"#000000": "background", "#804080": "cat"}, "got values #464646, which"),
        (
            Image.fromarray(COLOURS[TRUTH]),
            {"0": "background", "1": "cat"},
            r"0.png: got a colour picture \(mode RGB\)",
        ),
    ],
)
def test_a_value_that_means_nothing_is_named(
    tmp_path: Path, mask: Image.Image, values: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(folder(tmp_path / "set", mask, values), "train")[0]


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Cityscapes' places and names, with its ids."""
    for split, towns in {"train": ("aachen", "ulm"), "val": ("bonn",)}.items():
        for town in towns:
            for part, tail, picture in (
                ("leftImg8bit", "leftImg8bit", Image.new("RGB", (8, 6))),
                ("gtFine", "gtFine_labelIds", Image.fromarray(TRUTH + 7)),
                ("gtFine", "gtFine_color", Image.new("RGB", (8, 6))),
            ):
                (tmp_path / part / split / town).mkdir(parents=True, exist_ok=True)
                picture.save(tmp_path / part / split / town / f"{town}_0_{tail}.png")
    description = {
        "classes": ["road", "sidewalk"],
        "values": {"7": "road", "8": "sidewalk", "*": "void"},
        "image_ending": "_leftImg8bit.png",
        "label_ending": "_gtFine_labelIds.png",
        "splits": {s: {"images": f"leftImg8bit/{s}", "labels": f"gtFine/{s}"} for s in ("train", "val")},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def test_nested_folders_and_endings(cityscapes: Path) -> None:
    data = load(cityscapes, "train")
    assert data.names == ["aachen_0", "ulm_0"] and np.array_equal(data[1].label, EXPECTED)
    assert CliRunner().invoke(main, ["data", "check", str(cityscapes)]).exit_code == 0
    (cityscapes / "leftImg8bit" / "train" / "ulm" / "._ulm_0_leftImg8bit.png").write_bytes(b"macOS was here")
    assert len(load(cityscapes, "train")) == 2


def test_a_pattern_of_images(cityscapes: Path) -> None:
    description = json.loads((cityscapes / "dataset.json").read_text())
    description["splits"] = {"train": {"images": "leftImg8bit/*/u*/*.png", "labels": "gtFine"}}
    (cityscapes / "dataset.json").write_text(json.dumps(description))
    data = load(cityscapes, "train")
    assert data.names == ["ulm_0"] and np.array_equal(data[0].label, EXPECTED)


def test_images_and_labels_in_one_folder_and_names_that_are_there_twice(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / "all" / place).mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(tmp_path / "all" / place / "1.png")
        Image.fromarray(TRUTH % 2).save(tmp_path / "all" / place / "1_mask.png")
    description = {
        "classes": ["x", "y"],
        "label_ending": "_mask.png",
        "splits": {"train": {"images": "all", "labels": "all"}},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    data = load(tmp_path, "train")
    assert data.names == ["a-1", "b-1"] and all(sample.label is not None for sample in data)
