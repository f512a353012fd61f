"""PASCAL VOC 2012 itself: where it is, and how long its lists must be.

SBD's labels (Hariharan et al. 2011) are merged into it: the paper's 10,582 training images (section 5).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from joblib import Parallel, delayed
from PIL import Image
from scipy.io import loadmat
from tqdm.auto import tqdm

from dlseg.common.files import make_whole, write_whole
from dlseg.datasets import voc
from dlseg.datasets.lists import read_entries, stem
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


def merge(voc_root: str | Path, sbd: str | Path, jobs: int = 1, progress: bool = True) -> dict[str, int]:
    """Write `SegmentationClassAug/` and the lists train_aug and trainval_aug into a VOC 2012 folder.

    train_aug is VOC's train with all of SBD, less VOC's val; trainval_aug is both. VOC's own labels are kept
    where it has them; SBD has no void ring. Labels come whole or not at all, lists after them.

    Args:
        voc_root: the folder VOC2012.
        sbd: SBD's folder: `cls/` with a .mat or .png file a label, and perhaps `train.txt` and `val.txt`.
        jobs: processes; -1 for one a core.
        progress: show a progress bar.

    Returns:
        The length of each list.

    Raises:
        FileNotFoundError: a folder, list, image or label is missing.
        ValueError: a file that is no label, or one of another size than its image.
    """
    root, source = Path(voc_root), _labels_of(Path(sbd))
    theirs = _names(source)
    train, val = (set(voc.read_list(root, split)) for split in ("train", "val"))
    lists = {"train_aug": sorted((train | theirs) - val), "trainval_aug": sorted(train | theirs | val)}

    def fill(draft: Path) -> None:
        names = tqdm(lists["trainval_aug"], desc="merge", unit="label", disable=not progress)
        Parallel(jobs)(delayed(_write)(root, source, name, name in train | val, draft) for name in names)

    make_whole(root / voc.AUGMENTED, {"voc": sorted(train | val), "sbd": sorted(theirs)}, fill)
    for split, names in lists.items():
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        write_whole(path, "\n".join(names) + "\n")
    return {split: len(names) for split, names in lists.items()}


def _labels_of(sbd: Path) -> Path:
    """The folder `cls` of SBD, wherever in its archive's folders one is."""
    for place in (sbd, sbd / "dataset", sbd / "benchmark_RELEASE" / "dataset"):
        if (place / "cls").is_dir():
            return place / "cls"
    raise FileNotFoundError(f"sbd: no folder cls in {sbd}, {sbd}/dataset or {sbd}/benchmark_RELEASE/dataset")


def _names(labels: Path) -> set[str]:
    lists = [labels.parent / f"{split}.txt" for split in ("train", "val")]
    if all(path.is_file() for path in lists):
        return {stem(entry.image) for path in lists for entry in read_entries(path, may_be_empty=True)}
    names = {path.stem for path in labels.iterdir() if path.suffix in (".mat", ".png")}
    if not names:
        raise FileNotFoundError(f"sbd: no label (.mat or .png) in {labels}")
    return names


def _write(root: Path, source: Path, name: str, in_voc: bool, draft: Path) -> None:
    """One label as a palette PNG."""
    label = voc.read_indices(voc.label_path(root, name)) if in_voc else read_label(source, name)
    path = voc.image_path(root, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; the image of a label of SBD or VOC")
    with Image.open(path) as image:
        if image.size != (label.shape[1], label.shape[0]):
            size = f"{image.width}×{image.height}"
            raise ValueError(f"{name}: the label is {voc.size(label)} pixels, its image {size}")
    voc.with_palette(label).save(draft / f"{name}.png")  # `draft` as a whole becomes visible at the end


def read_label(folder: Path, name: str) -> UInt8[np.ndarray, "H W"]:
    """A label of SBD, from NAME.mat (`GTcls.Segmentation`) or NAME.png (grey or palette).

    Raises FileNotFoundError, or ValueError for a file without a label or with other values than 0 to 20 and 255.
    """
    path = folder / f"{name}.png"
    if path.is_file():
        label = voc.read_indices(path, modes=("P", "L"))
    else:
        path = folder / f"{name}.mat"
        label = _read_mat(path)
    voc.refuse_values(path, label, len(voc.CLASSES))
    return label


def _read_mat(path: Path) -> UInt8[np.ndarray, "H W"]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing label (neither .mat nor .png)")
    try:
        label = np.asarray(loadmat(path)["GTcls"]["Segmentation"][0, 0])
    except Exception as error:  # scipy raises whatever a broken file leads it to
        raise ValueError(f"{path}: no label of SBD in it ({type(error).__name__}: {error})") from error
    if label.ndim != 2 or label.dtype.kind not in "iu":
        raise ValueError(f"{path}: GTcls.Segmentation is {label.dtype} {label.shape}, expected whole (H, W)")
    return np.ascontiguousarray(label.astype(np.uint8))
