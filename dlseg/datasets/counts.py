"""Which classes the labels of a split hold and how much of them is void: counted once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from tqdm.auto import tqdm

from dlseg.common.constants import VOID
from dlseg.common.files import write_whole
from dlseg.datasets.paths import cache_folder
from dlseg.datasets.protocols import LabelledImages, files_of

SHOWN = 12  # classes spelled out in a line


@dataclass
class LabelCounts:
    """Pixels of each class and of void, over several labels.

    Attributes:
        classes: their names.
        pixels: how many each has.
        void: pixels that are not annotated.
        pictures: how many labels were counted.

    >>> counts = LabelCounts(("sky", "road", "car"))
    >>> counts.add(np.array([[0, 0, 1, 255]], np.uint8))
    >>> print(counts)
    1 labels: sky 66.7 %, road 33.3 %; void 25.0 % of all pixels; never seen: car
    """

    classes: tuple[str, ...]
    pixels: list[int] = field(default_factory=list)
    void: int = 0
    pictures: int = 0

    def __post_init__(self) -> None:
        self.pixels = self.pixels or [0] * len(self.classes)

    def add(self, label: UInt8[np.ndarray, "H W"]) -> None:
        """Count one label."""
        self.add_histogram(np.bincount(label.ravel(), minlength=256))

    def add_histogram(self, found: Integer[np.ndarray, "256"]) -> None:
        """Count one label by how often it holds each value."""
        self.pixels = [have + int(new) for have, new in zip(self.pixels, found, strict=False)]
        self.void += int(found[VOID])
        self.pictures += 1

    def seen(self) -> list[str]:
        """The classes that occur."""
        return [name for name, count in zip(self.classes, self.pixels, strict=True) if count]

    def unseen(self) -> list[str]:
        """The classes that no pixel holds."""
        return [name for name, count in zip(self.classes, self.pixels, strict=True) if not count]

    def void_share(self) -> float:
        """Of all pixels."""
        return self.void / max(1, self.void + sum(self.pixels))

    def shares(self) -> dict[str, float]:
        """Each class's share of the pixels that are not void."""
        total = max(1, sum(self.pixels))
        return {name: count / total for name, count in zip(self.classes, self.pixels, strict=True)}

    def fault(self) -> str:
        """Why nothing can be learned from these labels; nothing where something can."""
        hint = (
            f"value {VOID} always means void (not annotated); where it is a class of yours, give that class a "
            "value of its own, or say in `values` of dataset.json what each value means"
        )
        if not any(self.pixels):
            return (
                f"got {self.pictures} labels that are void everywhere, expected pixels of "
                f"{some(list(self.classes))}; {hint}"
            )
        if len(self.seen()) == 1 and len(self.classes) > 1:
            return (
                f"got labels with a single class, {self.seen()[0]!r}, and {_per_cent(self.void_share())} void, "
                f"expected at least two of {some(list(self.classes))}; {hint}"
            )
        return ""

    def __str__(self) -> str:
        common = sorted(((share, name) for name, share in self.shares().items() if share), reverse=True)
        words = some([f"{name} {_per_cent(share)}" for share, name in common])
        never = f"; never seen: {some(self.unseen())}" if self.unseen() else ""
        void = f"void {_per_cent(self.void_share())} of all pixels"
        return f"{self.pictures} labels: {words or 'no class'}; {void}{never}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %" if not 0 < share < 0.0005 else "under 0.1 %"


def some(words: list[str], shown: int = SHOWN) -> str:
    """The first of many words, and how many more there are.

    >>> some(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    rest = f" and {len(words) - shown} more" if len(words) > shown else ""
    return ", ".join(words[:shown]) + rest


def count_labels(data: LabelledImages, progress: bool = False) -> LabelCounts:
    """Count every label. Labels in files are read once: the counts are kept in the cache until a file changes.

    Args:
        data: a split with labels.
        progress: show a progress bar.

    Raises:
        ValueError: a picture without label, or a faulty one.
    """
    place = _place(data)
    if place is not None and (known := _known(place, data)) is not None:
        return known
    counts = LabelCounts(tuple(data.classes))
    for label in tqdm(_labels(data), "labels", len(data), unit="label", leave=False, disable=not progress, delay=1):
        counts.add(label)
    if place is not None:
        with suppress(OSError):  # a cache that cannot be written costs time, no more
            place.parent.mkdir(parents=True, exist_ok=True)
            found = {"pixels": counts.pixels, "void": counts.void, "pictures": counts.pictures}
            write_whole(place, json.dumps(found))
    return counts


def _labels(data: LabelledImages) -> Iterator[UInt8[np.ndarray, "H W"]]:
    read = getattr(data, "label", None)
    for i in range(len(data)):
        sample = None if read else data[i]
        label = read(i) if read else sample.label if sample else None
        if label is None:
            name = sample.name if sample else i
            raise ValueError(f"data: {name} has no label; expected a split with labels")
        yield label


def _place(data: LabelledImages) -> Path | None:
    """Where the counts are kept: named after the classes and all files with their sizes and times of change."""
    files = files_of(data)
    if not files:
        return None
    meaning = [list(data.classes), getattr(data, "void", []), getattr(data, "values", {})]
    digest = hashlib.sha256(json.dumps(meaning).encode())
    try:
        for path in files:
            stat = path.stat()
            digest.update(f"{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    except OSError:
        return None  # a file is missing: reading it will say which
    return cache_folder() / "counts" / f"{digest.hexdigest()}.json"


def _known(place: Path, data: LabelledImages) -> LabelCounts | None:
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        found = LabelCounts(tuple(data.classes), kept["pixels"], kept["void"], kept["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if len(found.pixels) == len(data.classes) else None


def shared_pictures(one: LabelledImages, other: LabelledImages) -> list[str]:
    """The names of pictures that two splits have in common: the same image file."""
    theirs = set(_images(other))
    return sorted({path.name for path in _images(one) if path in theirs})


def _images(data: LabelledImages) -> list[Path]:
    images: list[Path] = getattr(data, "images", [])
    return [Path(os.path.realpath(path)) for path in images]  # `resolve` raises for links in a circle
