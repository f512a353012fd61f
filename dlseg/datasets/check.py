"""Everything that is wrong with a data set's folder, in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: `num_classes` is not from 2 to 255.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder; expected a data set in VOC's layout")
    if num_classes is not None:
        whole_number("num_classes", num_classes, 2, VOID)
    return _described(root, progress) if (root / FILE).exists() else _voc(root, num_classes, progress)


def _described(root: Path, progress: bool) -> Report:
    """A folder with a `dataset.json`."""
    faults: list[Fault] = []
    splits: dict[str, Described] = {}
    try:
        names = described_splits(root)
    except (ValueError, OSError) as error:
        return Report(root, 0, {}, [_fault(root, root / FILE, error)], [], {})
    for name in names:
        try:
            splits[name] = Described(root, name)
        except (ValueError, OSError) as error:
            if _fault(root, root / FILE, error) not in faults:
                faults.append(_fault(root, root / FILE, error))
    counts: dict[str, LabelCounts] = {}
    notes: list[str] = []
    colours: dict[Path, dict[int, voc.Colour]] = {}
    for name, data in splits.items():
        counts[name] = LabelCounts(data.classes)
        for i in tqdm(range(len(data)), desc=f"check {name}", unit="picture", leave=False, disable=not progress):
            try:
                label = data[i].label
                if label is not None:
                    counts[name].add(label)
                    file = data.label_file(i)
                    if not data.values and not data.drawn:
                        colours[file] = voc.used_colours(file, voc.read_indices(file, ("P", "L")))
            except (ValueError, OSError) as error:
                faults.append(_fault(root, data.images[i], error))
        repeated = [file.name for file, count in Counter(data.images).items() if count > 1]
        faults += [Fault(FILE, f"split {name}: names {file!r} more than once") for file in repeated]
    faults += _exchanged(root, colours)
    faults += [
        Fault(FILE, f"split {name}: {count.fault()}")
        for name, count in counts.items()
        if count.pictures > 1 and count.fault()
    ]
    notes += [f"{name}: no labels" for name, data in splits.items() if not data.labelled]
    if {"train", "val"} <= set(splits) and (both := shared_pictures(splits["train"], splits["val"])):
        notes.append(f"train and val share {some(both, SHOWN)}")
    classes = max((data.num_classes for data in splits.values()), default=0)
    return Report(
        root,
        classes,
        {name: len(data) for name, data in splits.items()},
        faults,
        notes,
        {name: str(count) for name, count in counts.items() if count.pictures},
    )


def _voc(root: Path, num_classes: int | None, progress: bool) -> Report:
    """A folder in VOC's layout."""
    faults = [Fault(name, "missing folder") for name in SUBFOLDERS if not (root / name).is_dir()]
    try:
        known = voc.read_classes(root)
    except ValueError as error:
        faults.append(_fault(root, root / "classes.json", error))
        known = voc.CLASSES
    num_classes = num_classes or len(known)
    classes = tuple(known[i] if i < len(known) else str(i) for i in range(num_classes))
    lists, folders, list_faults = _lists(root)
    faults += list_faults
    # a list none of whose names has a label is one without labels, as VOC's own test list
    wanted: dict[str, set[str]] = {name: set() for listed in lists.values() for name in listed}
    for split, listed in lists.items():
        if voc.has_labels(root, listed, folders[split]):
            for name in listed:
                wanted[name].add(folders[split])
    histograms: dict[tuple[str, str], np.ndarray] = {}
    colours: dict[Path, dict[int, voc.Colour]] = {}
    for name in tqdm(sorted(wanted), desc="check", unit="picture", disable=not progress):
        found, labels = _pair(root, name, classes, sorted(wanted[name]))
        faults += found
        for folder, label in labels.items():
            histograms[name, folder] = np.bincount(label.ravel(), minlength=256)
            path = voc.label_path(root, name, folder)
            colours[path] = voc.used_colours(path, label)
    faults += _exchanged(root, colours)
    counts: dict[str, LabelCounts] = {}
    for split, listed in lists.items():
        count = LabelCounts(classes)
        for name in listed:
            if (name, folders[split]) in histograms:
                count.add_histogram(histograms[name, folders[split]])
        if count.pictures:
            counts[split] = count
        if count.pictures > 1 and count.fault():
            faults.append(Fault(f"{SUBFOLDERS[2]}/{split}.txt", count.fault()))
    return Report(
        root,
        num_classes,
        {split: len(listed) for split, listed in lists.items()},
        faults,
        _notes(root, lists, folders),
        {split: str(count) for split, count in counts.items()},
    )


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


def _lists(root: Path) -> tuple[dict[str, list[str]], dict[str, str], list[Fault]]:
    """The names of every list, the folder of its labels, and what is wrong with lists."""
    lists: dict[str, list[str]] = {}
    folders: dict[str, str] = {}
    faults = []
    for split in voc.splits(root):
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        try:
            folders[split], lists[split] = voc.labels_folder(root, split), voc.read_list(root, split)
        except (ValueError, OSError) as error:
            faults.append(_fault(root, path, error))
            continue
        repeated = [name for name, count in Counter(lists[split]).items() if count > 1]
        faults += [Fault(_relative(root, path), f"names {name!r} more than once") for name in repeated]
    if not lists and not faults:
        faults.append(Fault(SUBFOLDERS[2], "no list (*.txt) of the pictures' names"))
    return lists, folders, faults


def _pair(
    root: Path, name: str, classes: tuple[str, ...], folders: list[str]
) -> tuple[list[Fault], dict[str, UInt8[np.ndarray, "_ _"]]]:
    """The faults of one picture and its labels, and the labels that are sound, by their folder."""
    image_path = voc.image_path(root, name)
    faults: list[Fault] = []
    sound: dict[str, np.ndarray] = {}
    image = None
    try:
        image = read_image(image_path)
    except (ValueError, OSError) as error:
        faults.append(_fault(root, image_path, error))
    for folder in folders:
        label_path = voc.label_path(root, name, folder)
        try:
            label = voc.read_indices(label_path, voc.label_modes(folder))
            voc.refuse_values(label_path, label, len(classes))
            voc.refuse_renumbered(label_path, label, classes)
        except (ValueError, OSError) as error:
            faults.append(_fault(root, label_path, error))
            continue
        if image is not None and image.shape[:2] != label.shape:
            what = voc.mismatch(label_path, label, image_path).removeprefix(f"{label_path}: the label ")
            faults.append(Fault(_relative(root, label_path), what))
        sound[folder] = label
    return faults, sound


def _notes(root: Path, lists: dict[str, list[str]], folders: dict[str, str]) -> list[str]:
    notes = [
        f"{split}: none of its pictures has a label"
        for split, listed in lists.items()
        if not voc.has_labels(root, listed, folders[split])
    ]
    both = sorted(set(lists.get("train", [])) & set(lists.get("val", [])))
    if both:
        notes.append(f"train and val share {some(both, SHOWN)}")
    names = {name for listed in lists.values() for name in listed}
    for folder in SUBFOLDERS[:2]:
        files = sorted(path.name for path in (root / folder).glob("*") if path.stem not in names)
        if files:
            notes.append(f"{folder}: in no list: {some(files, SHOWN)}")
    return notes


def _fault(root: Path, path: Path, error: Exception) -> Fault:
    """The exception's message, without the path that it repeats."""
    return Fault(_relative(root, path), str(error).replace(f"{path}: ", "").replace(str(path), path.name))


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
