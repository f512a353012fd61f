"""Data sets in other layouts, such as CamVid's, by a small description: `dataset.json` in their folder.

    {"classes": ["sky", "building", …], "void": [11],
     "splits": {"train": {"images": "train", "labels": "trainannot"},
                "val": {"images": "val", "labels": "valannot", "list": "val.txt"}}}

Labels are palette or grey PNG files whose values are the classes, called as their image; `void` names values that
are not annotated, beside 255. Where the values are others (bits, 16 bits, colours, too), `values` says what they
mean, and "*" what all others are:

    "values": {"0": "void", "7": "road", "11": "building", "*": "void"}
    "values": {"#804080": "road", "70,70,70": "building", "*": "void"}

`image_ending` and `label_ending` are what is behind the common part of the names: "_leftImg8bit.png" and
"_gtFine_labelIds.png". Folders inside `images` are searched too; a label is in the same folder inside `labels`.
`images` may be a pattern with stars. Without `list` a split is all these images; a list is a file of names or
paths, one a line, with the label's as a second column where it is called otherwise than its image.

Labels drawn with labelme are `"label_ending": ".json"`: `classes` names the outlines, after "background".
`dlseg data describe FOLDER` proposes a description.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from dlseg.common.checks import message, nearest
from dlseg.common.constants import VOID
from dlseg.common.json_objects import read_object_file
from dlseg.datasets import labelme, voc
from dlseg.datasets.lists import ENDINGS, LONGEST, class_names, fixed_part, read_entries
from dlseg.datasets.voc import Dataset

FILE = "dataset.json"
KEYS = ("classes", "splits", "void", "values", "image_ending", "label_ending")
SPLIT_KEYS = ("images", "labels", "list")
SPLITS_EXPECTED = '{"train": {"images": …, "labels": …}, …}'
OTHERS, VOID_NAME = "*", "void"
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})|(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})")


class Described(Dataset):
    """A split of a data set that `dataset.json` describes.

    Args:
        root: the data set's folder.
        split: one of the description's splits.
        description: what `dataset.json` would hold, for a folder without one.

    Raises:
        FileNotFoundError: no such split, list, folder or listed image.
        ValueError: a description that is none; the message says what is wrong with which part of it.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part, pixels in (("photos", "RGB"), ("masks", "L")):
    ...         (Path(folder) / part).mkdir()
    ...         Image.new(pixels, (4, 3)).save(Path(folder) / part / "a.png")
    ...     splits = {"train": {"images": "photos", "labels": "masks"}}
    ...     data = Described(folder, "train", {"classes": ["sky", "road"], "splits": splits})
    ...     print(data.names, data.classes, data[0].label.shape)
    ['a'] ('sky', 'road') (3, 4)
    """

    def __init__(self, root: str | Path, split: str, description: dict[str, Any] | None = None) -> None:
        self.root, self.split = Path(root), split
        self._note = self.root / FILE
        description = self._checked(read_object_file(self._note, KEYS) if description is None else description)
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.void: list[int] = description.get("void", [])
        self.labels = description["splits"].get(split, {}).get("labels", "")
        if split not in description["splits"]:
            raise FileNotFoundError(f"split {split!r}: {self._note} names {', '.join(description['splits'])}")
        parts = description["splits"][split]
        self.values: dict[str, str] = description.get("values", {})
        self._map = ValueMap.read(self.values, self.classes) if self.values else None
        self._pattern = parts["images"] if isinstance(parts["images"], str) and "*" in parts["images"] else ""
        self._images = self._inside(fixed_part(self._pattern)) if self._pattern else self._folder(parts, "images")
        self._labels = self._folder(parts, "labels") if "labels" in parts else None
        self._image_ending, self._ending = (
            description.get("image_ending", ""),
            description.get("label_ending", ".png"),
        )
        self.labelled = self._labels is not None
        self.drawn = self._ending.endswith(labelme.ENDING)  # outlines, not pixels
        self.stores_indices = not self.values and not self.drawn
        self._listed_labels: dict[Path, str] = {}
        self._files = self._list(parts.get("list"))
        self.names = self._names()

    def image_file(self, index: int) -> Path:
        """The image's file of one picture."""
        return self._files[index]

    def label_file(self, index: int) -> Path:
        """The label's file of one picture, in a split with labels."""
        return self._label_file(self._files[index])

    def read_label(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Class indices alone, in a split with labels; the image is not looked at."""
        path = self.label_file(index)
        if self.drawn:
            return labelme.read_labelme(path, self.classes)
        if self._map is not None:
            return self._map.label(path)
        stored = voc.read_indices(path, modes=("P", "L"))
        label = np.where(np.isin(stored, self.void), VOID, stored).astype(np.uint8)
        voc.refuse_values(path, label, self.num_classes)
        voc.refuse_renumbered(path, stored, self.classes)
        return label

    def _label_file(self, image: Path) -> Path:
        assert self._labels is not None
        listed = self._listed_labels.get(image)
        if listed is not None and (self._labels / listed).is_file():
            return self._labels / listed
        name = f"{self._base(image)}{self._ending}"
        beside = self._labels / self._relative(image).parent / name
        return beside if beside.is_file() else self._labels / name

    def _base(self, image: Path) -> str:
        """The part of a name that image and label have in common."""
        ending = self._image_ending
        return image.name.removesuffix(ending) if ending and image.name.endswith(ending) else image.stem

    def _relative(self, image: Path) -> Path:
        return image.relative_to(self._images) if image.is_relative_to(self._images) else Path(image.name)

    def _names(self) -> list[str]:
        """A name for each picture that can be a file's: with its folders where it would not be the only one."""
        short = [self._base(path) for path in self._files]
        if len(set(short)) == len(set(self._files)):
            return short
        in_folders = ["-".join([*self._relative(path).parent.parts, self._base(path)]) for path in self._files]
        if len(set(in_folders)) == len(set(self._files)):
            return in_folders
        return ["-".join(self._relative(path).parts) for path in self._files]  # 0.jpg beside 0.png

    def _checked(self, description: dict[str, Any]) -> dict[str, Any]:
        if missing := {"classes", "splits"} - set(description):
            raise ValueError(
                message(str(self._note), f"no {' and no '.join(sorted(missing))}", "classes and splits")
            )
        void, names = description.get("void", []), description["classes"]
        class_names(names, self._note)
        if not isinstance(void, list) or not all(type(v) is int and len(names) <= v <= VOID for v in void):
            expected = f"values from {len(names)}, the first that is no class, to {VOID}"
            raise ValueError(message(f"{self._note}: void", repr(void), expected))
        splits = description["splits"]
        if not isinstance(splits, dict) or not splits or not all(isinstance(s, dict) for s in splits.values()):
            raise ValueError(message(f"{self._note}: splits", repr(splits), SPLITS_EXPECTED))
        for name, parts in splits.items():
            for key in set(parts) - set(SPLIT_KEYS):
                hint = nearest(key, SPLIT_KEYS)
                expected = ", ".join(SPLIT_KEYS)
                raise ValueError(message(f"{self._note}: split {name}", repr(key), expected) + hint)
            if parts.get("images") is None:
                raise ValueError(f"{self._note}: split {name}: got no images, expected the folder of its images")
        for key in ("image_ending", "label_ending"):
            if not isinstance(description.get(key, ""), str):
                raise ValueError(f"{self._note}: {key}: got {description[key]!r}, expected a text such as '_L.png'")
            if "/" in description.get(key, "") or description.get(key) == "":
                raise ValueError(
                    f"{self._note}: {key}: got {description[key]!r}, expected the end of a name, such as '_L.png'"
                )
        if "values" in description:
            if void:
                raise ValueError(
                    f'{self._note}: got void and values, expected one of them; in values write "void" '
                    "for what is not annotated"
                )
            try:
                ValueMap.read(description["values"], names)
            except ValueError as error:
                raise ValueError(f"{self._note}: {error}") from error
        return description

    def _folder(self, parts: dict[str, Any], key: str) -> Path:
        name = parts.get(key)
        if not isinstance(name, str) or not self._inside(name).is_dir():
            raise FileNotFoundError(f"{self._note}: split {self.split}: {key}: no folder {name!r} in {self.root}")
        return self._inside(name)

    def _inside(self, name: str) -> Path:
        if "\0" in name or any(len(os.fsencode(part)) > LONGEST for part in PurePath(name).parts):
            raise ValueError(f"{self._note}: {name[:30]!r}… can be no file's name ({len(name)} characters)")
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise ValueError(f"{self._note}: {name!r} leads out of the data set's folder")
        return self.root / name

    def _list(self, name: object) -> list[Path]:
        if name is None:
            try:
                found = list(self.root.glob(self._pattern) if self._pattern else self._images.rglob("*"))
            except ValueError as error:
                raise ValueError(f"{self._note}: split {self.split}: images: {self._pattern!r}: {error}") from error
            files = sorted(path for path in found if self._is_image(path))
        else:
            if not isinstance(name, str) or not self._inside(name).is_file():
                raise FileNotFoundError(f"{self._note}: split {self.split}: list: no file {name!r} in {self.root}")
            files = []
            for entry in read_entries(self._inside(name)):
                files.append(self._image(entry.image))
                if entry.label is not None:
                    self._listed_labels[files[-1]] = re.split(r"[/\\]", entry.label)[-1]
        if not files:
            raise ValueError(f"{self._note}: split {self.split}: no image in {self._images}")
        return files

    def _is_image(self, path: Path) -> bool:
        if path.is_dir() or path.name.startswith("."):
            return False
        if self._image_ending:
            return path.name.endswith(self._image_ending)
        label = self._labels is not None and path.is_relative_to(self._labels) and path.name.endswith(self._ending)
        return path.suffix.lower() in ENDINGS and not (label and self._ending != ".png")

    def _image(self, name: str) -> Path:
        """A listed name's file: with or without its ending or folder."""
        parts = [part for part in re.split(r"[/\\]", name) if part]
        last = parts[-1] if parts else name
        for place in (self._images.joinpath(*parts), self.root.joinpath(*parts), self._images / last):
            for ending in ("", self._image_ending, *ENDINGS):
                if (path := place.with_name(f"{place.name}{ending}")).is_file():
                    return path
        raise FileNotFoundError(f"{self._images / last}: missing image; the list of {self.split} names it")


def described_splits(root: Path) -> list[str]:
    """The splits that a folder's description names; ValueError where it is no JSON object with splits."""
    note = root / FILE
    splits = read_object_file(note).get("splits")
    if not isinstance(splits, dict) or not splits:
        raise ValueError(message(f"{note}: splits", repr(splits), SPLITS_EXPECTED))
    return list(splits)


@dataclass(frozen=True)
class ValueMap:
    """Stored value → class number (255 for void). `colours`: values are colours, packed as 0xRRGGBB."""

    numbers: Mapping[int, int]
    colours: bool
    others: int | None  # what every value is that is not named; None where these are faults

    @classmethod
    def read(cls, meanings: Any, classes: Sequence[str]) -> ValueMap:
        """From JSON: {"0": "void", "7": "road", …} or {"#804080": "road", "0,0,0": "void", …}, "*" for all others.

        Raises ValueError for what is no such object.
        """
        if not isinstance(meanings, dict) or not set(meanings) - {OTHERS}:
            raise ValueError(f'values: got {meanings!r}, expected {{"0": "void", "1": "{classes[0]}", …}}')
        if VOID_NAME in classes:
            raise ValueError(
                f"values: got a class called {VOID_NAME!r}, which means not annotated; expected another name"
            )
        known = {name: number for number, name in enumerate(classes)} | {VOID_NAME: VOID}
        for key, name in meanings.items():
            if not isinstance(name, str) or name not in known:
                raise ValueError(f"values: {key!r}: got {name!r}, expected one of the classes, or {VOID_NAME!r}")
        keys = {key: _value(key) for key in meanings if key != OTHERS}
        if len({colour for colour, _ in keys.values()}) > 1:
            raise ValueError("values: got numbers and colours, expected one kind of them")
        numbers = {value: known[meanings[key]] for key, (_, value) in keys.items()}
        if len(numbers) < len(keys):
            raise ValueError("values: got the same value twice, written in two ways")
        if missing := [name for name in classes if name not in meanings.values()]:
            raise ValueError(
                f"values: got none for {', '.join(missing[: voc.SHOWN])}, expected one or more for each class"
            )
        others = known[meanings[OTHERS]] if OTHERS in meanings else None
        return cls(numbers, next(iter(keys.values()))[0], others)

    def label(self, path: Path) -> UInt8[np.ndarray, "H W"]:
        """The classes of a label file.

        Raises FileNotFoundError, or ValueError for a file that is no image or holds values that are not named.
        """
        pixels = stored(path, self.colours)
        present, where = np.unique(pixels, return_inverse=True)
        unknown = [int(value) for value in present if int(value) not in self.numbers]
        if unknown and self.others is None:
            words = ", ".join(self._word(value) for value in unknown[: voc.SHOWN])
            rest = ", …" if len(unknown) > voc.SHOWN else ""
            raise ValueError(
                f"{path}: got values {words}{rest}, which `values` in dataset.json does not name; "
                f'name each, or give {{"{OTHERS}": "{VOID_NAME}"}} for all others'
            )
        table = np.array([self.numbers.get(int(value), self.others) for value in present], np.uint8)
        return table[where].reshape(pixels.shape)

    def _word(self, value: int) -> str:
        return f"#{value:06x}" if self.colours else str(value)


def _value(key: str) -> tuple[bool, int]:
    """Whether a key is a colour, and its number."""
    if match := _COLOUR.fullmatch(key.strip()):
        if match[1]:
            return True, int(match[1], 16)
        parts = [int(match[i]) for i in (2, 3, 4)]
        if max(parts) <= 255:
            return True, parts[0] << 16 | parts[1] << 8 | parts[2]
    elif key.strip().isdecimal():
        return False, int(key)
    raise ValueError(
        f'values: got {key!r}, expected a number such as "7", a colour such as "#804080" or '
        f'"128,64,128", or "{OTHERS}"'
    )


def stored(path: Path, colours: bool) -> Int64[np.ndarray, "H W"]:
    """A file's values: grey levels, palette indices, bits, or colours."""
    with voc.label_picture(path) as picture:
        mode, pixels = picture.mode, np.array(picture.convert("RGB") if colours else picture)
    if pixels.dtype.kind == "f" and not (np.isfinite(pixels) & (pixels == np.round(pixels))).all():
        raise ValueError(f"{path}: got values with NaN, infinity or fractions, expected whole numbers")
    pixels = pixels.astype(np.int64)
    if colours:
        return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    if pixels.ndim == 3:
        shown = pixels[..., :3] if mode in ("RGB", "RGBA") else pixels[..., :1]
        if (shown != shown[..., :1]).any():
            raise ValueError(
                f"{path}: got a colour picture (mode {mode}), expected numbers; colours are "
                'written in `values` as "#804080"'
            )
        return np.ascontiguousarray(shown[..., 0])
    return pixels
