"""A folder in CamVid's layout, by its description; and everything that can be wrong with one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.datasets import load
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks import create
from dlseg.training import Recipe, train

CAMVID = {
    "classes": ["sky", "building", "road"],
    "void": [11],
    "splits": {
        "train": {"images": "train", "labels": "trainannot"},
        "val": {"images": "val", "labels": "valannot", "list": "val.txt"},
        "new": {"images": "val"},
    },
}


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
        for i in range(3):
            image = rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / split / f"{split}{i}.png")
            label = rng.choice([0, 1, 2, 11], (50, 60)).astype(np.uint8)
            Image.fromarray(label).save(tmp_path / f"{split}annot" / f"{split}{i}.png")
    (tmp_path / "val.txt").write_text("/SegNet/CamVid/val/val2.png\nval0\n")
    (tmp_path / "dataset.json").write_text(json.dumps(CAMVID))
    return tmp_path


def test_it_reads_as_any_data_set(camvid: Path) -> None:
    data = load(camvid, "train")
    assert data.names == ["train0", "train1", "train2"] and data.classes == ("sky", "building", "road")
    for sample in data:
        stored = np.asarray(Image.open(camvid / "trainannot" / f"{sample.name}.png"))
        assert np.array_equal(sample.label == 255, stored == 11)
        assert np.array_equal(sample.label[stored != 11], stored[stored != 11])
        ConfusionMatrix(data.num_classes).update(np.zeros_like(sample.label), sample.label)
    assert load(camvid, "val").names == ["val2", "val0"]
    assert load(camvid, "new")[0].label is None


def test_it_trains(camvid: Path) -> None:
    losses: list[float] = []
    train(
        create("deeplab-largefov", 3, 1 / 16),
        load(camvid, "train"),
        Recipe(crop=42, batch=2, iterations=2),
        [lambda s: losses.append(s.loss)],
    )
    assert len(losses) == 2 and all(np.isfinite(losses))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["one"]}, r"classes: got \['one'\], expected a list of 2 to 255 names"),
        ({"void": [2]}, r"void: got \[2\], expected values from 3, the first that is no class, to 255"),
        ({"voids": [11]}, "unknown voids, expected some of classes, splits, void, values, .*; nearest: void"),
        (
            {"splits": {"train": {"images": "train", "labels": "trainannot", "lst": "val.txt"}}},
            "split train: got 'lst', expected images, labels, list; nearest: list",
        ),
        (
            {"splits": {"train": {"images": "train"}, "val": {"images": "val", "label": "valannot"}}},
            "split val: got 'label', expected images, labels, list; nearest: labels",
        ),
        ({"splits": {"train": {"labels": "trainannot"}}}, "split train: got no images, expected the folder of"),
        ({"splits": {"train": {"images": "train", "list": 3}}}, "split train: list: no file 3 in"),
        ({"label_ending": 3}, "label_ending: got 3, expected a text such as '_L.png'"),
        ({"splits": {"train": {"images": "none"}}}, "split train: images: no folder 'none'"),
        ({"splits": {"train": {"images": "train", "labels": 3}}}, "split train: labels: no folder 3"),
        ({"splits": {"train": {"images": "../train"}}}, "'../train' leads out of the data set's folder"),
        ({"splits": ["train"]}, r"splits: got \['train'\], expected"),
        ({"splits": {"val": {"images": "val"}}}, "split 'train': .*dataset.json names val"),
        ({"void": []}, r"train0.png: values \[11\] are neither a class \(0 to 2\) nor void"),
        ({"label_ending": "_L.png"}, "train0_L.png: missing label"),
    ],
)
def test_a_wrong_description_is_named(camvid: Path, change: dict[str, object], message: str) -> None:
    (camvid / "dataset.json").write_text(json.dumps(CAMVID | change))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(camvid, "train")[0]


def test_wrong_files_are_named(camvid: Path) -> None:
    (camvid / "val.txt").write_text("val9\n")
    with pytest.raises(FileNotFoundError, match="val9: missing image; the list of val names it"):
        load(camvid, "val")
    (camvid / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match=r"dataset.json: not JSON"):
        load(camvid, "train")
