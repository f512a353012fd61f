"""`dlseg data describe` looks at folders as people have them; what it proposes loads, and says what was guessed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load
from dlseg.datasets.describe import CAMVID, describe

RNG = np.random.default_rng(0)
COLOURS = np.array([(0, 0, 0), (128, 64, 128), (64, 128, 64)], np.uint8)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)


def label(path: Path, values: Any = (0, 1, 2), mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values)
    pixels = values[np.arange(600).reshape(20, 30) % len(values)]
    Image.fromarray(pixels if values.dtype != np.int64 else pixels.astype(np.uint8)).convert(mode).save(path)


def camvid(root: Path) -> None:
    for split in ("train", "val", "test"):
        for i in range(3):
            image(root / split / f"0001TP_00{i}.png")
            label(root / f"{split}annot" / f"0001TP_00{i}.png", [0, 1, 2, 11])
        (root / f"{split}.txt").write_text("".join(f"/x/{split}/0001TP_00{i}.png\n" for i in range(3)))


def camvid_raw(root: Path) -> None:
    for i in range(3):
        image(root / "701_StillsRaw_full" / f"0001TP_00{i}.png")
        label(root / "LabeledApproved_full" / f"0001TP_00{i}_L.png", COLOURS)
    (root / "label_colors.txt").write_text("64 128 64\tAnimal\n0 0 0\t\tVoid\n128 64 128\tRoad\n")


def kaggle(root: Path) -> None:
    for split in ("train", "val"):
        for i in range(2):
            image(root / split / f"{i}.png")
            label(root / f"{split}_labels" / f"{i}_L.png", COLOURS)
    (root / "class_dict.csv").write_text("name,r,g,b\nAnimal,64,128,64\nVoid,0,0,0\nRoad,128,64,128\n")


def cityscapes(root: Path) -> None:
    for split in ("train", "val"):
        for city in ("aachen", "bochum") if split == "train" else ("ulm",):
            name = f"{city}_000000_000019"
            image(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
            folder = root / "gtFine" / split / city
            label(folder / f"{name}_gtFine_labelIds.png", [0, 7, 26])
            label(folder / f"{name}_gtFine_color.png", COLOURS, "RGBA")
            label(folder / f"{name}_gtFine_instanceIds.png", np.array([0, 7, 26001], np.uint16))


def one_folder(root: Path) -> None:
    for i in range(3):
        image(root / f"{i}.jpg")
        label(root / f"{i}.png", [0, 255])


def suffix_in_one_folder(root: Path) -> None:
    for i in range(3):
        image(root / f"{i}.jpg")
        label(root / f"{i}_mask.png", [0, 255], "1")


def split_first(root: Path) -> None:
    for split in ("training", "validation"):
        for i in range(2):
            image(root / "data" / split / "images" / f"{i}.jpg")
            label(root / "data" / split / "masks" / f"{i}.png")


def split_last_with_lists(root: Path) -> None:
    for i in range(4):
        image(root / "images" / f"a b{i}.jpg")
        label(root / "masks" / f"a b{i}.png", [0, 10, 200])
    (root / "lists").mkdir()
    (root / "lists" / "train.txt").write_text("a b0\na b1\n")
    (root / "lists" / "val_list.txt").write_text("a b2.jpg\na b3.jpg\n")
    (root / "readme.txt").write_text("Not a list.\n")


def named(root: Path) -> None:
    for split in ("train", "val"):
        image(root / "images" / split / "0.jpg")
        label(root / "annotations" / split / "0.png")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")


def two(part: str = "") -> dict[str, dict[str, str]]:
    return {split: {"images": split, "labels": f"{split}{part}"} for split in ("train", "val")}


CITY = {split: {"images": f"leftImg8bit/{split}", "labels": f"gtFine/{split}"} for split in ("train", "val")}
LAYOUTS: list[tuple[Callable[[Path], None], dict[str, Any], str]] = [
    (
        camvid,
        {
            "classes": list(CAMVID),
            "splits": {s: {"images": s, "labels": f"{s}annot"} for s in ("train", "val", "test")},
            "values": {str(i): name for i, name in enumerate(CAMVID)} | {"11": "void", "255": "void"},
        },
        "taken for CamVid's; 11, unlabelled, is void",
    ),
    (
        camvid_raw,
        {
            "classes": ["Animal", "Road"],
            "splits": {"train": {"images": "701_StillsRaw_full", "labels": "LabeledApproved_full"}},
            "label_ending": "_L.png",
            "values": {"#000000": "void", "#408040": "Animal", "#804080": "Road"},
        },
        "no split: nothing says which pictures are for validation",
    ),
    (
        kaggle,
        {
            "classes": ["Animal", "Road"],
            "splits": two("_labels"),
            "label_ending": "_L.png",
            "values": {"#000000": "void", "#408040": "Animal", "#804080": "Road"},
        },
        "",
    ),
    (
        cityscapes,
        {"splits": CITY, "image_ending": "_leftImg8bit.png", "label_ending": "_gtFine_labelIds.png"},
        "taken for Cityscapes' ids",
    ),
    (
        one_folder,
        {
            "classes": ["background", "object"],
            "splits": {"train": {"images": ".", "labels": "."}},
            "image_ending": ".jpg",
            "values": {"0": "background", "255": "object"},
        },
        "0 and 255 are taken for two classes",
    ),
    (
        suffix_in_one_folder,
        {
            "classes": ["class_0", "class_1"],
            "splits": {"train": {"images": ".", "labels": "."}},
            "label_ending": "_mask.png",
            "values": {"0": "class_0", "1": "class_1"},
        },
        "rename them, in the order of their values",
    ),
    (
        split_first,
        {
            "classes": ["class_0", "class_1", "class_2"],
            "splits": {
                "train": {"images": "data/training/images", "labels": "data/training/masks"},
                "val": {"images": "data/validation/images", "labels": "data/validation/masks"},
            },
        },
        "rename",
    ),
    (
        split_last_with_lists,
        {
            "splits": {
                "train": {"images": "images", "labels": "masks", "list": "lists/train.txt"},
                "val": {"images": "images", "labels": "masks", "list": "lists/val_list.txt"},
            },
            "values": {"0": "class_0", "10": "class_10", "200": "class_200"},
        },
        "guess",
    ),
    (
        named,
        {
            "classes": ["sky", "road", "car"],
            "splits": {s: {"images": f"images/{s}", "labels": f"annotations/{s}"} for s in ("train", "val")},
        },
        "",
    ),
]


def dlseg(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.mark.parametrize(("make", "expected", "note"), LAYOUTS, ids=[make.__name__ for make, _, _ in LAYOUTS])
def test_what_is_proposed_loads(tmp_path: Path, make: Callable[[Path], None], expected: dict, note: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    make(root)
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    done = dlseg("describe", root)
    assert done.exit_code == 0, done.output
    proposed = json.loads(done.stdout)
    assert {key: proposed.get(key) for key in expected} == expected
    optional = {"values", "image_ending", "label_ending"}
    assert set(proposed) - {"classes", "splits"} - set(expected) <= ({"values"} if make is cityscapes else set())
    assert optional >= set(proposed) - {"classes", "splits"}
    assert note in done.stderr and "nothing was written" in done.stderr
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before
    out = root / "dataset.json"
    assert dlseg("describe", root, "--out", out).exit_code == 0
    for split in proposed["splits"]:
        data = load(root, split)
        for sample in data:
            assert sample.label is not None and sample.label.shape == (20, 30)
            assert set(np.unique(sample.label)) <= {*range(data.num_classes), 255}
    checked = dlseg("check", root)
    assert checked.exit_code == 0, checked.output
    again = dlseg("describe", root)
    assert again.exit_code == 1 and "dataset.json: is there already" in again.output


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    named(tmp_path / "set")
    (tmp_path / "mine.json").write_text("mine")
    done = dlseg("describe", tmp_path / "set", "--out", tmp_path / "mine.json")
    assert done.exit_code == 1 and "is there already; name another file" in done.output
    assert (tmp_path / "mine.json").read_text() == "mine"


def test_pictures_without_label_are_counted(tmp_path: Path) -> None:
    named(tmp_path)
    image(tmp_path / "images" / "train" / "more.jpg")
    image(tmp_path / "images" / "test" / "1.jpg")
    found = describe(tmp_path)
    assert found.description["splits"]["test"] == {"images": "images/test"}
    assert "train: 1 of 2 images have no label, as more.jpg" in found.notes


def test_what_cannot_be_described(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for i in range(3):
        image(tmp_path / "photos" / f"{i}.jpg")
        image(tmp_path / "instances" / "images" / f"{i}.jpg")
        label(tmp_path / "instances" / "labels" / f"{i}.png", np.arange(400, dtype=np.uint16))
        image(tmp_path / "flat" / "images" / f"{i}.jpg")
        label(tmp_path / "flat" / "labels" / f"{i}.png", [0])
    for part in ("ImageSets/Segmentation", "SegmentationClass"):
        (tmp_path / "voc" / part).mkdir(parents=True)
    for name, message in [
        ("none", "no such folder"),
        ("empty", "found no images with labels of the same names; expected for each image a label file"),
        ("photos", "found no images with labels of the same names"),
        ("instances", r"labels with 400 values, expected at most 255 classes; are they numbers of single objects"),
        ("flat", "got labels of one value in labels, expected two classes or more"),
        ("voc", "is in VOC's layout, which needs no description"),
    ]:
        with pytest.raises((ValueError, OSError), match=message):
            describe(tmp_path / name)
        done = dlseg("describe", tmp_path / name)
        assert done.exit_code == 1 and done.output.startswith("Error: ") and done.output.count("\n") == 1
