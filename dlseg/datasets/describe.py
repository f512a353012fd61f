"""Looks at a folder of images and labels in whatever layout and proposes a `dataset.json` for it.

Nothing is written here, and nothing in the proposal is certain: it is what names, folders and pixels suggest. Each
guess that a person should look at is a note.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.datasets import labelme
from dlseg.datasets.custom_layout import FILE, Described, stored
from dlseg.datasets.lists import ENDINGS, read_entries, stem

SPLIT_WORDS = {
    "training": "train", "train": "train", "validation": "val", "valid": "val", "val": "val",
    "testing": "test", "test": "test",
}  # fmt: skip
SPLIT_NAME = re.compile(
    rf"({'|'.join(SPLIT_WORDS)})(|[_ -].*|(?:annot|label|mask|image|img|gt|seg|list).*)", re.IGNORECASE
)
# the 19 classes that Cityscapes evaluates, by the numbers in its *_labelIds.png (its scripts' labels.py)
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car",
    27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
# CamVid as SegNet's authors hand it on: the folders trainannot, …, and 11 for what nobody labelled
CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore", "unknown")
TAIL = re.compile(r"([_-][A-Za-z][A-Za-z0-9]*)+\.\w+$")  # "_leftImg8bit.png" of "aachen_000000_leftImg8bit.png"
_RGB = r"(?P<r>\d+)[,;\s]+(?P<g>\d+)[,;\s]+(?P<b>\d+)"
COLOUR_LINES = (
    re.compile(rf"\s*{_RGB}[,;\s]+(?P<name>.*\S)\s*"),
    re.compile(rf"\s*(?P<name>.*?[^\s,;])[,;\s]+{_RGB}\s*"),
)
LOOKED_AT, READ = 6, 200  # files of a folder to tell labels from images; labels read for their values
MOST_VALUES = 128  # a label has fewer values than a photograph has
DRAWN, NUMBERS, DEEP, COLOURS = range(4)  # kinds of label, the plainest first


@dataclass(frozen=True)
class Proposal:
    """What `dataset.json` could hold, and what a person should look at."""

    description: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True)
class Place:
    """What a file's folders and name say: its split, its folder, and `base`, the name that its partner has too."""

    file: Path
    split: str | None
    folder: str
    inside: tuple[str, ...]
    base: str

    @property
    def key(self) -> tuple[str | None, tuple[str, ...], str]:
        return self.split, self.inside, self.base


@dataclass
class Group:
    """Files in folders of one role whose names end alike."""

    role: str
    ending: str
    places: list[Place] = field(default_factory=list)
    kind: int | None = None  # of labels; None for images

    def keys(self) -> set[tuple[str | None, tuple[str, ...], str]]:
        return {place.key for place in self.places}


def describe(folder: str | Path) -> Proposal:
    """Propose the `dataset.json` of a folder of images and labels.

    Args:
        folder: with images and, for each, a label of the same name but for its ending: values, colours, or
            labelme's outlines; splits as folders (train, val, test) or as lists of names.

    Raises:
        NotADirectoryError: there is no such folder.
        FileExistsError: it has a `dataset.json`, or is in VOC's layout and needs none.
        ValueError: no images with labels are found in it, or their labels hold more than 255 values.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("images/a.jpg", "masks/a.png"):
    ...         (Path(folder) / name).parent.mkdir()
    ...         Image.fromarray(np.eye(4, dtype=np.uint8)).save(Path(folder) / name)
    ...     describe(folder).description
    {'classes': ['class_0', 'class_1'], 'splits': {'train': {'images': 'images', 'labels': 'masks'}}}
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    if (root / FILE).exists():
        raise FileExistsError(f"{root / FILE}: is there already; `dlseg data check {root}` tests it")
    if (root / "ImageSets" / "Segmentation").is_dir() and (root / "SegmentationClass").is_dir():
        raise FileExistsError(f"{root}: is in VOC's layout, which needs no description")
    images, labels = _best_pair(_files(root))
    notes: list[str] = []
    description: dict[str, Any] = {"classes": [], "splits": _splits(root, images, labels, notes)}
    together = {place.folder for place in images.places} & {place.folder for place in labels.places}
    plain = images.ending.lower() in ENDINGS
    if not plain or (together and labels.ending.lower() in ENDINGS):
        description["image_ending"] = images.ending
    if labels.ending != ".png":
        description["label_ending"] = labels.ending
    matched = images.keys() & labels.keys()
    files = sorted(place.file for place in labels.places if place.key in matched)
    if labels.kind == DRAWN:
        names = {name for file in files for name in labelme.names_in(file)}
        description["classes"] = ["background", *sorted(names)]
    else:
        classes, values = _meaning(root, files, labels, notes)
        description["classes"] = classes
        if values:
            description["values"] = values
    if len(description["classes"]) < 2:
        raise ValueError(message(str(root), f"labels of one value in {labels.role or 'it'}", "two classes or more"))
    for split in description["splits"]:
        try:
            data = Described(root, split, description)
            for i in np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(int):
                data.label(int(i))
        except (ValueError, OSError) as error:
            notes.append(f"split {split}: {error}")
    return Proposal(description, notes)


def _files(root: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Image files and labelme's, with the folders that they are in."""
    found = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        known = path.suffix.lower() in ENDINGS or (path.suffix == labelme.ENDING and labelme.is_labelme(path))
        if known and path.is_file() and not any(part.startswith(".") for part in parts):
            found.append((path, parts[:-1]))
    return found


def _best_pair(files: Sequence[tuple[Path, tuple[str, ...]]]) -> tuple[Group, Group]:
    """The images and the labels of which most have a partner."""
    best: tuple[tuple[int, int, int], Group, Group] | None = None
    for by_tail in (False, True):
        groups = _groups(files, by_tail)
        for group in groups:
            group.kind = _kind(group)
        pictures = [group for group in groups if group.kind is None]
        for labels in (group for group in groups if group.kind is not None):
            for images in pictures:
                together = len(images.keys() & labels.keys())
                rank = (together, -by_tail, -(labels.kind or 0))
                if together and (best is None or rank > best[0]):
                    best = rank, images, labels
    if best is None:
        raise ValueError(
            "folder: found no images with labels of the same names; expected for each image a label file (PNG "
            "values or colours, or labelme's JSON) whose name differs in its ending or its folder alone"
        )
    return best[1:]


def _groups(files: Sequence[tuple[Path, tuple[str, ...]]], by_tail: bool) -> list[Group]:
    groups: dict[tuple[str, str], Group] = {}
    folders = sorted(parts for _, parts in files)  # of sorted tuples the first and the last differ first
    shared = 0
    while folders and shared < len(folders[0]) and folders[0][: shared + 1] == folders[-1][: shared + 1]:
        if _split_word(folders[0][shared])[0]:
            break
        shared += 1
    for path, parts in files:
        tail = TAIL.search(path.name)
        ending = tail[0] if by_tail and tail else path.suffix
        role, split, last = "", None, shared - 1
        for i, part in enumerate(parts[shared:], shared):
            word, rest = _split_word(part)
            if word and split is None:
                split, last = word, i
                role = role or (f"*{rest}" if rest else "")
            elif not role:
                role, last = part, i
        place = Place(
            path, split, "/".join(parts[: last + 1]) or ".", parts[last + 1 :], path.name.removesuffix(ending)
        )
        groups.setdefault((role, ending), Group(role, ending)).places.append(place)
    return list(groups.values())


def _split_word(part: str) -> tuple[str | None, str]:
    """The split that a folder or list is called after, and what else its name says: val and annot of "valannot"."""
    if match := SPLIT_NAME.fullmatch(part):
        return SPLIT_WORDS[match[1].lower()], match[2].strip("_- ")
    return None, part


def _kind(group: Group) -> int | None:
    """The kind of label that a group's files seem to be; None for images."""
    if group.ending.endswith(labelme.ENDING):
        return DRAWN
    kinds = set()
    for i in np.linspace(0, len(group.places) - 1, min(len(group.places), LOOKED_AT)).astype(int):
        kinds.add(_kind_of(group.places[int(i)].file))
    return None if None in kinds else max(kind for kind in kinds if kind is not None)


def _kind_of(path: Path) -> int | None:
    try:
        with Image.open(path) as picture:
            lossless = picture.format in ("PNG", "TIFF", "GIF", "BMP", "PPM")
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if not lossless or pixels.size == 0:
        return None
    flat = pixels.reshape(-1, pixels.shape[2]) if pixels.ndim == 3 else pixels.reshape(-1, 1)
    if len(np.unique(flat, axis=0)) > MOST_VALUES:
        return DEEP if mode.startswith("I") else None
    if pixels.ndim == 3 and mode in ("RGB", "RGBA") and (pixels[..., :3] != pixels[..., :1]).any():
        return COLOURS
    return DEEP if mode.startswith("I") else NUMBERS


def _splits(root: Path, images: Group, labels: Group, notes: list[str]) -> dict[str, dict[str, str]]:
    """The folders of each split: by folders called train, val, test, or by lists of names."""
    found: dict[str, dict[str, str]] = {}
    folders: dict[str | None, Counter[str]] = defaultdict(Counter)
    for place in labels.places:
        folders[place.split][place.folder] += 1
    theirs = labels.keys()
    for split in sorted(
        {place.split for place in images.places}, key=lambda s: list(SPLIT_WORDS.values()).index(s or "test")
    ):
        places = [place for place in images.places if place.split == split]
        parts = {"images": Counter(place.folder for place in places).most_common(1)[0][0]}
        if split in folders:
            parts["labels"] = folders[split].most_common(1)[0][0]
            if missing := [place.file.name for place in places if place.key not in theirs]:
                notes.append(
                    f"{split or 'all'}: {len(missing)} of {len(places)} images have no label, as {missing[0]}"
                )
        found[split or ""] = parts
    if set(found) != {""}:
        return {split: parts for split, parts in found.items() if split}
    names = {place.base for place in images.places} | {stem(place.file.name) for place in images.places}
    lists: dict[str, str] = {}
    for path in sorted(root.rglob("*.txt")):
        split, _ = _split_word(path.stem)
        try:
            listed = [stem(entry.image) for entry in read_entries(path)] if split else []
        except (ValueError, OSError):
            continue
        if split and listed and len(names & set(listed)) > len(listed) / 2:
            lists.setdefault(split, path.relative_to(root).as_posix())
    if lists:
        return {split: found[""] | {"list": path} for split, path in lists.items()}
    notes.append("no split: nothing says which pictures are for validation; `train` needs a split val, by a list")
    return {"train": found[""]}


def _meaning(
    root: Path, files: Sequence[Path], labels: Group, notes: list[str]
) -> tuple[list[str], dict[str, str]]:
    """The classes' names, and the meaning of the stored values where these are not the classes' numbers."""
    chosen = [files[int(i)] for i in np.linspace(0, len(files) - 1, min(len(files), READ)).astype(int)]
    if len(chosen) < len(files):
        notes.append(f"values: from {len(chosen)} of {len(files)} labels; `dlseg data check` reads all")
    colours = labels.kind == COLOURS
    seen: set[int] = set()
    for file in chosen:
        seen |= set(np.unique(stored(file, colours)).tolist())
    if len(seen) > 255:
        what = "are they numbers of single objects (instances)?"
        raise ValueError(message(str(files[0]), f"labels with {len(seen)} values", "at most 255 classes", what))
    if colours:
        return _named_colours(root, seen, notes)
    if labels.ending.endswith("_labelIds.png"):
        notes.append("values: taken for Cityscapes' ids; all but its 19 evaluated classes are void")
        return list(CITYSCAPES.values()), {str(k): name for k, name in CITYSCAPES.items()} | {"*": "void"}
    if labels.role == "*annot" and max(seen - {VOID}, default=0) == len(CAMVID):
        notes.append(f"values: taken for CamVid's; {len(CAMVID)}, unlabelled, is void")
        meaning = {str(i): name for i, name in enumerate(CAMVID)}
        return list(CAMVID), meaning | {str(len(CAMVID)): "void", str(VOID): "void"}
    if seen == {0, VOID}:
        notes.append(f"values: 0 and {VOID} are taken for two classes; rename them")
        return ["background", "object"], {"0": "background", str(VOID): "object"}
    numbers = sorted(seen - {VOID})
    count = numbers[-1] + 1 if numbers else 0
    names = _listed_names(root, count)
    void = {str(VOID): "void"} if VOID in seen else {}
    if count <= 255 and 2 * len(numbers) > count:
        if not names:
            notes.append("classes: their names are not known; rename them, in the order of their values")
        classes = names or [f"class_{i}" for i in range(count)]
        # bits, 16 bits and grey RGB are read only where `values` says what they mean
        eight_bits = all(_mode(file) in ("P", "L") for file in chosen)
        return classes, {} if eight_bits else {str(i): name for i, name in enumerate(classes)} | void
    classes = [f"class_{value}" for value in numbers]
    some = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
    notes.append(f"values: {some} are classes by a guess; rename them, or make them void")
    return classes, {str(v): name for v, name in zip(numbers, classes, strict=True)} | void


def _mode(path: Path) -> str:
    with Image.open(path) as picture:
        return picture.mode


def _named_colours(root: Path, seen: set[int], notes: list[str]) -> tuple[list[str], dict[str, str]]:
    """Colours with the names that a table beside the pictures gives them (CamVid's label_colors.txt, …)."""
    known: dict[int, str] = {}
    for _, line in _lines(root):
        for pattern in COLOUR_LINES:
            if (match := pattern.fullmatch(line)) and max(rgb := [int(match[c]) for c in "rgb"]) <= 255:
                known.setdefault(rgb[0] << 16 | rgb[1] << 8 | rgb[2], match["name"])
                break
    if not known.keys() & seen:
        known = {}
        notes.append("classes: no table names the colours; rename the classes, and make void what is not annotated")
    elif unnamed := seen - known.keys():
        notes.append(f"values: no table names {', '.join(f'#{c:06x}' for c in sorted(unnamed)[:8])}; rename them")
    classes, values = list[str](), dict[str, str]()
    for colour in sorted(seen | known.keys()):
        name = known.get(colour) or ("background" if colour == 0 else f"class_{colour:06x}")
        values[f"#{colour:06x}"] = "void" if name.lower() in VOID_NAMES else name
        if name.lower() not in VOID_NAMES and name not in classes:
            classes.append(name)
    return classes, values


def _listed_names(root: Path, count: int) -> list[str]:
    """The names in a file such as classes.txt, one a line, where it has as many as there are values."""
    by_file: dict[Path, list[str]] = defaultdict(list)
    for path, line in _lines(root):
        by_file[path].append(line.strip())
    for names in by_file.values():
        plain = all(re.fullmatch(r"[A-Za-z][\w /-]*", name) for name in names)
        if plain and len(names) == len(set(names)) == count:
            return names
    return []


def _lines(root: Path) -> Iterator[tuple[Path, str]]:
    """The lines of the small text files in the data set's folder itself."""
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in (".txt", ".csv") and path.is_file() and path.stat().st_size < 100_000:
            try:
                yield from ((path, line) for line in path.read_text("utf-8-sig").splitlines() if line.strip())
            except UnicodeDecodeError:
                continue
