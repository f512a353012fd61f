"""PASCAL VOC 2012 itself: where it is, how long its lists must be, and the augmented lists made with SBD."""

from __future__ import annotations

import os
from pathlib import Path

from dlseg.datasets.paths import cache_folder
from dlseg.datasets.voc import Dataset

LENGTHS = {"train": 1464, "val": 1449, "trainval": 2913, "test": 1456, "train_aug": 10_582, "trainval_aug": 12_031}
HOW = "`dlseg data download voc2012` fetches it, or set DLSEG_VOC to a folder that holds VOCdevkit/VOC2012"


def official(split: str) -> Dataset:
    """A list of VOC 2012 as it was published: train 1,464, val 1,449, trainval 2,913, test 1,456 (no labels).

    Raises FileNotFoundError where it is not there, ValueError where the list has another length.
    """
    return _checked(Dataset(find(), split))


def augmented(split: str) -> Dataset:
    """VOC 2012 with SBD's labels: "train" (or "train_aug") 10,582, "trainval" 12,031; val and test as published.

    Raises FileNotFoundError where the merged lists are not there, ValueError where they have another length.
    """
    if split in ("val", "test"):
        return official(split)
    name = split if split.endswith("_aug") else f"{split}_aug"
    root = find()
    if not (root / "ImageSets" / "Segmentation" / f"{name}.txt").is_file():
        raise FileNotFoundError(
            f"voc2012-aug: no list {name!r} in {root}; `dlseg data merge SBD-FOLDER` makes it, "
            "`dlseg data download sbd` fetches that folder"
        )
    return _checked(Dataset(root, name))


def find() -> Path:
    """The folder VOC2012 that $DLSEG_VOC names, or that is in the cache; FileNotFoundError where there is none."""
    places = [Path(p).expanduser() for p in [os.environ.get("DLSEG_VOC")] if p]
    places.append(cache_folder() / "VOCdevkit" / "VOC2012")
    for place in places:
        for root in (place, place / "VOC2012", place / "VOCdevkit" / "VOC2012"):
            if (root / "ImageSets" / "Segmentation").is_dir():
                return root
    raise FileNotFoundError(f"voc2012: not found in {', '.join(str(p) for p in places)}; {HOW}")


def _checked(data: Dataset) -> Dataset:
    expected = LENGTHS.get(data.split, len(data))
    if len(data) != expected:
        raise ValueError(
            f"{data.root}: list {data.split} has {len(data)} names, VOC 2012's has {expected}; a data "
            "set of your own is loaded by its path"
        )
    return data
