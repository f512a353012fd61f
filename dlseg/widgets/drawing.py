"""One picture with marks on it, shown the same on a canvas and in a still. Pure functions; no widget in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8

from dlseg.figures import Bar, Mark, Panel, dots, heat, overlay, paint, present, scale_table
from dlseg.figures.colormaps import faded_table, heat_over, levels
from dlseg.figures.overlays import BLACK, WHITE
from dlseg.widgets.planes import Plane, label_plane

UNTOUCHED = 1  # alpha of a row that leaves the photo as it is; 0 would be its pale grey


@dataclass(frozen=True, eq=False)
class Drawing:
    """An image (H, W, 3) under a title, with nothing, numbers or labels (H, W) over it, and marks over those.

    `values` (h, w) are coloured on the scale of `bar` and hide the image, unless it fades; marks are of their size.
    A drawing with `steps` can be clicked, and its `ring` (shares of height and width) moved in such steps by keys.
    """

    title: str
    image: UInt8[np.ndarray, "H W 3"]
    marks: Sequence[Mark] = ()
    status: str = ""
    values: Float[np.ndarray, "h w"] | None = None
    bar: Bar | None = None
    labels: Integer[np.ndarray, "H W"] | None = None
    names: tuple[str, ...] = ()
    ring: tuple[float, float] | None = None
    steps: tuple[float, float] | None = None

    def plane(self) -> Plane:
        """What the canvas lays over the image."""
        if self.labels is not None:
            return label_plane(self.labels, self.names)
        if self.values is None or self.bar is None:
            values, table = np.zeros(self.image.shape[:2], np.uint8), np.zeros((256, 4), np.uint8)
            table[:, 3] = UNTOUCHED
        else:
            values, table = levels(self.values, self.bar.low, self.bar.high), _table(self.bar)
            values = np.where(values <= len(self.marks), 0, values).astype(np.uint8)  # those rows are the marks'
        for number, mark in enumerate(self.marks, start=1):
            values[mark.mask] = number
            table[number] = (*mark.colour, 255)
        return Plane(values, table, ("", *(mark.name for mark in self.marks)), self.bar)

    def panel(self) -> Panel:
        """The same for a still figure."""
        if self.labels is not None:
            there = tuple(present(self.labels))
            return Panel(self.title, overlay(self.image, self.labels), there, note=self.status)
        marks = [*self.marks, *self._ring(self._picture().shape[:2])]
        keys = tuple((mark.name, mark.colour) for mark in self.marks if mark.name and mark.mask.any())
        return Panel(self.title, paint(self._picture(), marks), bar=self.bar, keys=keys, note=self.status)

    def _picture(self) -> UInt8[np.ndarray, "h w 3"]:
        if self.values is None or self.bar is None:
            return self.image
        if self.bar.fades:
            return heat_over(self.image, self.values, self.bar.low, self.bar.high, self.bar.scale)
        return heat(self.values, self.bar.low, self.bar.high, self.bar.scale)

    def _ring(self, size: tuple[int, int]) -> list[Mark]:
        if self.ring is None:
            return []
        place = [(self.ring[0] * size[0], self.ring[1] * size[1])]
        return [Mark("", BLACK, dots(size, place, 6.0)), Mark("", WHITE, dots(size, place, 4.0))]


def _table(bar: Bar) -> UInt8[np.ndarray, "256 4"]:
    if bar.fades:
        return faded_table(bar.scale)
    return np.column_stack([scale_table(bar.scale), np.full(256, 255, np.uint8)])
