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

import re
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dlseg.common.checks import message, nearest
from dlseg.common.constants import VOID
from dlseg.common.json_objects import read_object_file
from dlseg.datasets import labelme, voc
from dlseg.datasets.lists import ENDINGS, class_names, read_entries
from dlseg.datasets.values import ValueMap
from dlseg.datasets.voc import Dataset, Sample
from dlseg.images import image_size, read_image

FILE = "dataset.json"
KEYS = ("classes", "splits", "void", "values", "image_ending", "label_ending")
SPLIT_KEYS = ("images", "labels", "list")
SPLITS_EXPECTED = '{"train": {"images": …, "labels": …}, …}'


class Described(Dataset):
    """A split of a data set that `dataset.json` describes."""

    def __init__(self, root: str | Path, split: str, description: dict[str, Any] | None = None) -> None:
        """`description` is what `dataset.json` would hold, for a folder without one."""
        self.root, self.split = Path(root), split
        self._note = self.root / FILE
        said = self._checked(read_object_file(self._note, KEYS) if description is None else description)
        self.classes: tuple[str, ...] = tuple(said["classes"])
        self.void: list[int] = said.get("void", [])
        self.labels = said["splits"].get(split, {}).get("labels", "")
        if split not in said["splits"]:
            raise FileNotFoundError(f"split {split!r}: {self._note} names {', '.join(said['splits'])}")
        parts = said["splits"][split]
        self.values: dict[str, str] = said.get("values", {})
        self._map = ValueMap.read(self.values, self.classes) if self.values else None
        self._pattern = parts["images"] if isinstance(parts["images"], str) and "*" in parts["images"] else ""
        self._images = self._inside(_before_star(self._pattern)) if self._pattern else self._folder(parts, "images")
        self._labels = self._folder(parts, "labels") if "labels" in parts else None
        self._image_ending, self._ending = said.get("image_ending", ""), said.get("label_ending", ".png")
        self.labelled = self._labels is not None
        self.drawn = self._ending.endswith(labelme.ENDING)  # outlines, not pixels
        self._listed_labels: dict[Path, str] = {}
        self._files = self._list(parts.get("list"))
        self.names = self._names()

    @property
    def images(self) -> list[Path]:
        """Every image's file."""
        return list(self._files)

    @property
    def label_files(self) -> list[Path]:
        """Every label's file; none in a split without labels."""
        return [self._label_file(path) for path in self._files] if self.labelled else []

    def __getitem__(self, index: int) -> Sample:
        path = self._files[index]
        image, label = read_image(path), self._label(index)
        if label is not None and label.shape != image.shape[:2]:
            raise ValueError(voc.mismatch(self._label_file(path), label, path))
        return Sample(self.names[index], image, label)

    def label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        """Class indices alone, or None in a split without labels; the image is asked for its size only."""
        path, label = self._files[index], self._label(index)
        if label is not None and label.shape != image_size(path):
            raise ValueError(voc.mismatch(self._label_file(path), label, path))
        return label

    def label_file(self, index: int) -> Path:
        """The label's file of one picture, in a split with labels."""
        return self._label_file(self._files[index])

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
        return ["-".join([*self._relative(path).parent.parts, self._base(path)]) for path in self._files]

    def _label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        if self._labels is None:
            return None
        place = self._label_file(self._files[index])
        if self.drawn:
            return labelme.read_labelme(place, self.classes)
        if self._map is not None:
            return self._map.label(place)
        stored = voc.read_indices(place, modes=("P", "L"))
        label = self._with_void(stored)
        voc.refuse_values(place, label, self.num_classes)
        voc.refuse_renumbered(place, stored, self.classes)
        return label

    def _with_void(self, label: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
        return np.where(np.isin(label, self.void), VOID, label).astype(np.uint8)

    def _checked(self, said: dict[str, Any]) -> dict[str, Any]:
        if missing := {"classes", "splits"} - set(said):
            raise ValueError(
                message(str(self._note), f"no {' and no '.join(sorted(missing))}", "classes and splits")
            )
        void, names = said.get("void", []), said["classes"]
        class_names(names, self._note)
        if not isinstance(void, list) or not all(type(v) is int and len(names) <= v <= VOID for v in void):
            expected = f"values from {len(names)}, the first that is no class, to {VOID}"
            raise ValueError(message(f"{self._note}: void", repr(void), expected))
        splits = said["splits"]
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
            if not isinstance(said.get(key, ""), str):
                raise ValueError(f"{self._note}: {key}: got {said[key]!r}, expected a text such as '_L.png'")
            if "/" in said.get(key, "") or said.get(key) == "":
                raise ValueError(
                    f"{self._note}: {key}: got {said[key]!r}, expected the end of a name, such as '_L.png'"
                )
        if "values" in said:
            if void:
                raise ValueError(
                    f'{self._note}: got void and values, expected one of them; in values write "void" '
                    "for what is not annotated"
                )
            try:
                ValueMap.read(said["values"], names)
            except ValueError as error:
                raise ValueError(f"{self._note}: {error}") from error
        return said

    def _folder(self, parts: dict[str, Any], key: str) -> Path:
        name = parts.get(key)
        if not isinstance(name, str) or not self._inside(name).is_dir():
            raise FileNotFoundError(f"{self._note}: split {self.split}: {key}: no folder {name!r} in {self.root}")
        return self._inside(name)

    def _inside(self, name: str) -> Path:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise ValueError(f"{self._note}: {name!r} leads out of the data set's folder")
        return self.root / name

    def _list(self, name: object) -> list[Path]:
        if name is None:
            found = self.root.glob(self._pattern) if self._pattern else self._images.rglob("*")
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
        if not path.is_file() or path.name.startswith("."):
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


def _before_star(pattern: str) -> str:
    """The folder in which a pattern begins to be one."""
    parts = PurePath(pattern).parts
    return str(PurePath(*parts[: next(i for i, part in enumerate(parts) if "*" in part)]))


def described_splits(root: Path) -> list[str]:
    """The splits that a folder's description names; ValueError where it is no JSON object with splits."""
    note = root / FILE
    splits = read_object_file(note).get("splits")
    if not isinstance(splits, dict) or not splits:
        raise ValueError(message(f"{note}: splits", repr(splits), SPLITS_EXPECTED))
    return list(splits)
