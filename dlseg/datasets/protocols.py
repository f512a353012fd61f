"""What can be trained and measured on, and a small set of it kept in memory: a fast net waits for no JPEG files."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from dlseg.datasets.voc import Dataset, Sample


@runtime_checkable
class LabelledImages(Protocol):
    """Any `dlseg.datasets.Dataset`, or something of your own that can do as much."""

    classes: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Background included, void not."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class InMemory:
    """The samples of a data set, each read from disk once and then kept (128 × 128 px: 65 kB a sample)."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.num_classes, self.classes = data.num_classes, data.classes
        self.names, self.labelled = data.names, data.labelled
        self.images, self.label_files = data.images, data.label_files
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        if index not in self._kept:
            self._kept[index] = self.data[index]
        return self._kept[index]

    def label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        """Class indices alone, or None in a split without labels."""
        return self[index].label


def names_of(data: LabelledImages) -> list[str]:
    """The names of all samples, without reading the pictures where the data have a list of them."""
    names: list[str] | None = getattr(data, "names", None)
    return [data[i].name for i in range(len(data))] if names is None else list(names)


def files_of(data: LabelledImages) -> list[Path]:
    """Every image and label file, where the data have files."""
    images: list[Path] = getattr(data, "images", [])
    labels: list[Path] = getattr(data, "label_files", [])
    return [*images, *labels]
