"""Everything that is wrong with a folder in VOC's layout, in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from dlseg.datasets import voc
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


def check(folder: str | Path, num_classes: int | None = None, progress: bool = True) -> Report:
    """Read every list, image and label of a data set in VOC's layout and report every fault.

    Args:
        folder: the data set.
        num_classes: how many classes its labels may name, background included; by default as many as its
            `classes.json` names, or VOC's 21.
        progress: show a progress bar.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: `num_classes` is not from 2 to 255.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder; expected a data set in VOC's layout")
    if num_classes is not None and not 2 <= num_classes <= voc.VOID:
        raise ValueError(f"num_classes: expected 2 to {voc.VOID}, background included; got {num_classes}")
    faults = [Fault(name, "missing folder") for name in SUBFOLDERS if not (root / name).is_dir()]
    try:
        known = len(voc.read_classes(root))
    except ValueError as error:
        faults.append(_fault(root, root / "classes.json", error))
        known = len(voc.CLASSES)
    num_classes = num_classes or known
    lists, list_faults = _lists(root)
    names = sorted({name for listed in lists.values() for name in listed})
    faults += list_faults
    # a list none of whose names has a label is one without labels, as VOC's own test list
    labelled = {name for listed in lists.values() if voc.has_labels(root, listed) for name in listed}
    for name in tqdm(names, desc="check", unit="picture", disable=not progress):
        faults += _pair(root, name, num_classes, name in labelled)
    counts = {split: len(listed) for split, listed in lists.items()}
    return Report(root, num_classes, counts, faults, _notes(root, lists, set(names)))


def _lists(root: Path) -> tuple[dict[str, list[str]], list[Fault]]:
    lists: dict[str, list[str]] = {}
    faults = []
    for split in voc.splits(root):
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        try:
            lists[split] = voc.read_list(root, split)
        except (ValueError, OSError) as error:  # ValueError also where the bytes are no text
            faults.append(_fault(root, path, error))
            continue
        repeated = [name for name, count in Counter(lists[split]).items() if count > 1]
        faults += [Fault(_relative(root, path), f"names {name!r} more than once") for name in repeated]
    if not lists and not faults:
        faults.append(Fault(SUBFOLDERS[2], "no list (*.txt) of the pictures' names"))
    return lists, faults


def _pair(root: Path, name: str, num_classes: int, labelled: bool) -> Iterator[Fault]:
    """The faults of one picture and its label."""
    image_path, label_path = voc.image_path(root, name), voc.label_path(root, name)
    image = label = None
    try:
        image = read_image(image_path)
    except (ValueError, OSError) as error:
        yield _fault(root, image_path, error)
    if not labelled:
        return
    try:
        label = voc.read_indices(label_path)
        voc.refuse_values(label_path, label, num_classes)
    except (ValueError, OSError) as error:
        yield _fault(root, label_path, error)
    if image is not None and label is not None and image.shape[:2] != label.shape:
        yield Fault(_relative(root, label_path), f"is {voc.size(label)} pixels, its image {voc.size(image)}")


def _notes(root: Path, lists: dict[str, list[str]], names: set[str]) -> list[str]:
    notes = [
        f"{split}: none of its pictures has a label" for split in lists if not voc.has_labels(root, lists[split])
    ]
    both = sorted(set(lists.get("train", [])) & set(lists.get("val", [])))
    if both:
        notes.append(f"train and val share {_some(both)}")
    for folder in SUBFOLDERS[:2]:
        files = sorted(path.name for path in (root / folder).glob("*") if path.stem not in names)
        if files:
            notes.append(f"{folder}: in no list: {_some(files)}")
    return notes


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _fault(root: Path, path: Path, error: Exception) -> Fault:
    """The exception's message, without the path that it repeats."""
    return Fault(_relative(root, path), str(error).replace(f"{path}: ", "").replace(str(path), path.name))


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
