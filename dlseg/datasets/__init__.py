"""Data sets: the embedded shapes, PASCAL VOC, any folder in VOC's layout, and photographs with scribbles."""

from __future__ import annotations

import os
from pathlib import Path

from dlseg.datasets.places import EMBEDDED, cache_folder
from dlseg.datasets.voc import Dataset, Sample

__all__ = ["Dataset", "Sample", "cache_folder", "load"]


def load(name_or_path: str | Path, split: str) -> Dataset:
    """A split of a data set.

    Args:
        name_or_path: "shapes", "voc2012", or the path of a folder in VOC's layout.
        split: the name of one of its lists, such as "train" or "val".

    "shapes" reads what the checkout carries (`val` and `train_sample`) and otherwise makes the whole set, once, in
    the cache; "voc2012" is looked for in $DLSEG_VOC and in the cache.

    Raises:
        FileNotFoundError: no such data set or split; the message says where it was looked for.
    """
    if name_or_path == "shapes":
        return Dataset(_shapes_root(split), split)
    if name_or_path == "voc2012":
        return Dataset(_voc_root(), split)
    path = Path(name_or_path)
    if not path.is_dir():
        raise FileNotFoundError(
            f'name_or_path: {str(name_or_path)!r} is neither a folder nor a known data set ("shapes", "voc2012")'
        )
    return Dataset(path, split)


def _shapes_root(split: str) -> Path:
    embedded = EMBEDDED / "shapes"
    if (embedded / "ImageSets" / "Segmentation" / f"{split}.txt").is_file():
        return embedded
    from dlseg.datasets import shapes

    if split not in shapes.SPLITS:
        raise FileNotFoundError(f"split {split!r} of shapes: expected train, val or (in a checkout) train_sample")
    root = cache_folder() / shapes.folder_name()
    try:
        shapes.make(root, replace=True)
    except OSError as error:
        raise type(error)(f"{error}; set DLSEG_CACHE to a folder that can be written") from error
    return root


def _voc_root() -> Path:
    places = [Path(p).expanduser() for p in [os.environ.get("DLSEG_VOC")] if p]
    places.append(cache_folder() / "VOCdevkit" / "VOC2012")
    for place in places:
        for root in (place, place / "VOC2012", place / "VOCdevkit" / "VOC2012"):
            if (root / "ImageSets" / "Segmentation").is_dir():
                return root
    looked = ", ".join(str(p) for p in places)
    raise FileNotFoundError(
        f"voc2012: not found in {looked}; set DLSEG_VOC to a folder that holds VOCdevkit/VOC2012"
    )
