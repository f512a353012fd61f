"""Everything that is wrong with a data set's folder, in one go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm.auto import tqdm

from dlseg.common.checks import whole_number
from dlseg.common.constants import VOID
from dlseg.datasets import voc
from dlseg.datasets.counts import LabelCounts, shared_pictures, some
from dlseg.datasets.custom_layout import FILE, Described, described_splits
from dlseg.datasets.voc import Dataset
from dlseg.images import read_image

SUBFOLDERS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
SHOWN = 5  # names spelled out in a note


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, named relative to the data set's folder."""

    file: str
    what: str


@dataclass(frozen=True)
class Report:
    """What a check found: the length of every list, faults, and notes on what is odd but allowed."""

    folder: Path
    num_classes: int
    lists: dict[str, int]
    faults: list[Fault]
    notes: list[str]
    labels: dict[str, str]  # for each list with labels: the shares of its classes and of void, in words


def check(folder: str | Path, num_classes: int | None = None, progress: bool = True) -> Report:
    """Read every list, image and label of a data set and report every fault.

    Args:
        folder: the data set, in VOC's layout or with a `dataset.json`.
        num_classes: how many classes its labels may name, background included; by default as many as its
            `classes.json` or `dataset.json` names, or VOC's 21.
        progress: show a progress bar.

    Returns:
        Faults, notes and numbers.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: `num_classes` is not from 2 to 255.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(check(folder, progress=False).faults[0])
    Fault(file='JPEGImages', what='missing folder')
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder; expected a data set in VOC's layout")
    if num_classes is not None:
        whole_number("num_classes", num_classes, 2, VOID)
    faults: list[Fault] = []
    described = os.path.lexists(root / FILE)
    splits = _described(root, faults) if described else _voc(root, num_classes, faults)
    histograms: dict[tuple[Path, Path | None], np.ndarray] = {}  # of the labels that are sound
    colours: dict[Path, dict[int, voc.Colour]] = {}
    pairs = {_files(data, i): (data, i) for data in splits.values() for i in range(len(data))}
    for files in tqdm(sorted(pairs, key=str), desc="check", unit="picture", leave=False, disable=not progress):
        data, i = pairs[files]
        if (label := _read(root, data, i, faults)) is not None and files[1] is not None:
            histograms[files] = np.bincount(label.ravel(), minlength=256)
            if data.stores_indices:
                colours[files[1]] = voc.used_colours(files[1], label)
    faults += _exchanged(root, colours)
    counts: dict[str, LabelCounts] = {}
    for split, data in splits.items():
        count = LabelCounts(data.classes)
        of_split = [_files(data, i) for i in range(len(data))]
        for files in of_split:
            if files in histograms:
                count.add_histogram(histograms[files])
        if count.pictures:
            counts[split] = count
        file, which = (FILE, f"split {split}: ") if described else (f"{SUBFOLDERS[2]}/{split}.txt", "")
        repeated = [files[0].stem for files, times in Counter(of_split).items() if times > 1]
        faults += [Fault(file, f"{which}names {name!r} more than once") for name in repeated]
        if count.pictures > 1 and count.fault():
            faults.append(Fault(file, f"{which}{count.fault()}"))
    return Report(
        root,
        max((data.num_classes for data in splits.values()), default=num_classes or 0),
        {split: len(data) for split, data in splits.items()},
        list(dict.fromkeys(faults)),
        _notes(root, splits, () if described else SUBFOLDERS[:2]),
        {split: str(count) for split, count in counts.items()},
    )


def _described(root: Path, faults: list[Fault]) -> dict[str, Dataset]:
    """The splits that a `dataset.json` names."""
    splits: dict[str, Dataset] = {}
    try:
        for name in described_splits(root):
            try:
                splits[name] = Described(root, name)
            except (ValueError, OSError) as error:
                faults.append(_fault(root, root / FILE, error))
    except (ValueError, OSError) as error:
        faults.append(_fault(root, root / FILE, error))
    return splits


def _voc(root: Path, num_classes: int | None, faults: list[Fault]) -> dict[str, Dataset]:
    """The lists of a folder in VOC's layout."""
    faults += [Fault(name, "missing folder") for name in SUBFOLDERS if not (root / name).is_dir()]
    known, splits = voc.CLASSES, dict[str, Dataset]()
    try:
        known = voc.read_classes(root)
    except (ValueError, OSError) as error:
        faults.append(_fault(root, root / "classes.json", error))
    classes = tuple(known[i] if i < len(known) else str(i) for i in range(num_classes or len(known)))
    names = voc.splits(root)
    for split in names:
        try:
            splits[split] = Dataset(root, split, classes=classes)
        except (ValueError, OSError) as error:
            faults.append(_fault(root, root / SUBFOLDERS[2] / f"{split}.txt", error))
    if not names:
        faults.append(Fault(SUBFOLDERS[2], "no list (*.txt) of the pictures' names"))
    return splits


def _files(data: Dataset, index: int) -> tuple[Path, Path | None]:
    return data.image_file(index), data.label_file(index) if data.labelled else None


def _read(root: Path, data: Dataset, index: int, faults: list[Fault]) -> UInt8[np.ndarray, "_ _"] | None:
    """Read a picture and its label; the label, if it is sound."""
    image = label = None
    image_file, label_file = _files(data, index)
    try:
        image = read_image(image_file)
    except (ValueError, OSError) as error:
        faults.append(_fault(root, image_file, error))
    if label_file is None:
        return None
    try:
        label = data.read_label(index)
        if image is not None and image.shape[:2] != label.shape:
            raise ValueError(voc.mismatch(label_file, label, image_file))
    except (ValueError, OSError) as error:
        faults.append(_fault(root, label_file, error))
    return label


def _exchanged(root: Path, colours: Mapping[Path, dict[int, voc.Colour]]) -> list[Fault]:
    """Labels in which an index has the colour that another index has in most labels: an editor renumbered them."""
    votes: dict[int, Counter[voc.Colour]] = {}
    for used in colours.values():
        for index, colour in used.items():
            votes.setdefault(index, Counter())[colour] += 1
    usual = {index: count.most_common(1)[0][0] for index, count in votes.items()}
    owner = {colour: index for index, colour in usual.items() if list(usual.values()).count(colour) == 1}
    faults = []
    for path, used in colours.items():
        wrong = [
            f"{i} has the colour {colour} that {owner[colour]} has"
            for i, colour in used.items()
            if colour != usual[i] and owner.get(colour, i) != i
        ]
        if wrong:
            faults.append(
                Fault(
                    _relative(root, path),
                    (
                        f"its palette is in another order: index {', '.join(wrong)} in most labels; an editor has "
                        "renumbered it. Expected one numbering: take the original file, or give each pixel the "
                        "index of its colour"
                    ),
                )
            )
    return faults


def _notes(root: Path, splits: Mapping[str, Dataset], folders: Sequence[str]) -> list[str]:
    """What is odd but allowed; `folders`: those all of whose files should be in some list."""
    notes = [f"{name}: none of its pictures has a label" for name, data in splits.items() if not data.labelled]
    for name, data in splits.items():
        images_of = Counter(label for label, _ in set(zip(data.label_files, data.images, strict=False)))
        if several := sorted(label.name for label, count in images_of.items() if count > 1):
            notes.append(f"{name}: several images have one label: {some(several, SHOWN)}")
    if {"train", "val"} <= set(splits) and (both := shared_pictures(splits["train"], splits["val"])):
        notes.append(f"train and val share {some(both, SHOWN)}")
    names = {name for data in splits.values() for name in data.names}
    for folder in folders:
        files = sorted(path.name for path in (root / folder).glob("*") if path.stem not in names)
        if files:
            notes.append(f"{folder}: in no list: {some(files, SHOWN)}")
    return notes


def _fault(root: Path, path: Path, error: Exception) -> Fault:
    """The exception's message, in which files are named as in the report and its own file not once more."""
    text = str(error).replace(f"{path}: ", "").replace(str(path), path.name)
    return Fault(_relative(root, path), text.replace(f"{root}{os.sep}", ""))


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
