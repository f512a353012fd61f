"""Data sets: the embedded shapes and tools, PASCAL VOC, any folder in VOC's layout, and photographs."""

from __future__ import annotations

import os
from pathlib import Path

from dlseg.datasets.custom_layout import FILE, Described
from dlseg.datasets.paths import EMBEDDED, cache_folder
from dlseg.datasets.voc import Dataset, Sample
from dlseg.datasets.voc2012 import augmented, official

EMBEDDED_SETS = ("shapes", "tools")  # carried by a checkout in part, and made from a seed

__all__ = ["Dataset", "Described", "Sample", "cache_folder", "load"]


def load(name_or_path: str | Path, split: str) -> Dataset:
    """A split of a data set (section 5 of the paper for VOC 2012 and its 10,582 augmented images).

    "shapes" and "tools" read what the checkout carries (`val` and `train_sample`) and otherwise make the whole set,
    once, in the cache; VOC is looked for in $DLSEG_VOC and in the cache. "voc2012-aug" is VOC with SBD's labels.

    Args:
        name_or_path: "shapes", "tools", "voc2012", "voc2012-aug", or the path of a folder in VOC's layout or with a
            `dataset.json` (see `dlseg.datasets.custom_layout`).
        split: the name of one of its lists, such as "train" or "val".

    Returns:
        The pictures, read from disk when they are asked for.

    Raises:
        FileNotFoundError: no such data set or split; the message says where it was looked for.
        ValueError: VOC's list has not the published length.

    >>> load("nowhere", "train")
    Traceback (most recent call last):
    FileNotFoundError: name_or_path: 'nowhere' is neither a folder nor a known data set ("shapes", "tools", \
"voc2012", "voc2012-aug")
    """
    if name_or_path in EMBEDDED_SETS:
        return Dataset(_embedded_root(str(name_or_path), split), split)
    if name_or_path == "voc2012":
        return official(split)
    if name_or_path == "voc2012-aug":
        return augmented(split)
    path = Path(name_or_path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"name_or_path: {str(name_or_path)!r} is neither a folder nor a known data set "
            '("shapes", "tools", "voc2012", "voc2012-aug")'
        )
    return Described(path, split) if os.path.lexists(path / FILE) else Dataset(path, split)


def _embedded_root(name: str, split: str) -> Path:
    embedded = EMBEDDED / name
    if (embedded / "ImageSets" / "Segmentation" / f"{split}.txt").is_file():
        return embedded
    from dlseg.datasets import shapes, tools

    generated = {"shapes": shapes, "tools": tools}[name]
    if split not in shapes.SPLITS:
        raise FileNotFoundError(
            f"split: got {split!r} of {name}, expected train, val or (in a checkout) train_sample"
        )
    root = cache_folder() / generated.folder_name()
    try:
        generated.make(root, replace=True)
    except OSError as error:
        raise type(error)(f"{error}; set DLSEG_CACHE to a folder that can be written") from error
    return root
