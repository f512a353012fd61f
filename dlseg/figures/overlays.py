"""Marks on a picture: outlines, dots and grid lines, as masks with a colour and a name for the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

RGB = UInt8[np.ndarray, "H W 3"]
Mask = Bool[np.ndarray, "H W"]
Colour = tuple[int, int, int]
Number = int | float
Place = tuple[Number, Number]


@dataclass(frozen=True, eq=False)
class Mark:
    """Pixels (H, W) painted in one colour.

    Attributes:
        name: what the legend calls them; "" leaves them out of it.
        colour: red, green and blue, 0 to 255.
        mask: (H, W), true where the colour is painted.
    """

    name: str
    colour: Colour
    mask: Mask


def enlarged(values: Shaped[np.ndarray, "h w *C"], times: int) -> Shaped[np.ndarray, "H W *C"]:
    """Every cell as `times` × `times` pixels: what a coarse map really knows.

    Args:
        values: (h, w) or (h, w, C).
        times: rows and columns of pixels for each cell.

    Returns:
        (h · times, w · times) or the same with C, of the same type.
    """
    if times < 1:
        raise ValueError(f"times: got {times}, expected a whole number of at least 1")
    return values.repeat(times, axis=0).repeat(times, axis=1)


def outline(size: tuple[int, int], box: tuple[Number, Number, Number, Number], thickness: int = 2) -> Mask:
    """The rim of a box.

    The rim lies within the box; it may be as thick as half of it.

    Args:
        size: height and width of the picture.
        box: top, left, bottom and right, in pixels, all four inside it; parts outside the picture are cut off.
        thickness: of the rim, in pixels.

    Returns:
        The pixels of the rim, (H, W) bool.
    """
    top, left, bottom, right = box
    if bottom < top or right < left:
        raise ValueError(f"box: got {box}, expected (top, left, bottom, right) with top ≤ bottom and left ≤ right")
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None]
    inside = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    deep = (
        (rows >= top + thickness)
        & (rows <= bottom - thickness)
        & (columns >= left + thickness)
        & (columns <= right - thickness)
    )
    return np.asarray(inside & ~deep)


def dots(size: tuple[int, int], places: Sequence[Place], radius: Number = 3) -> Mask:
    """Discs round places; those outside the picture are left out.

    Args:
        size: height and width of the picture.
        places: the centres (row, column), in pixels.
        radius: in pixels.

    Returns:
        The pixels of the discs, (H, W) bool.
    """
    mask = np.zeros(size, dtype=bool)
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None]
    for row, column in places:
        mask |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return mask


def grid_lines(size: tuple[int, int], stride: Number, offset: Number = 0, thickness: int = 1) -> Mask:
    """The lines between cells of a grid.

    Args:
        size: height and width of the picture.
        stride: pixels between two lines.
        offset: the pixel at which cell 0 begins.
        thickness: of the lines, in pixels.

    Returns:
        The pixels of the lines, (H, W) bool.
    """
    if stride < 1:
        raise ValueError(f"stride: got {stride}, expected at least 1 pixel")
    rows, columns = (np.floor((np.arange(n) - offset) % stride) < thickness for n in size)
    return np.asarray(rows[:, None] | columns[None])


def paint(picture: RGB, marks: Sequence[Mark]) -> RGB:
    """The picture with the marks on it, later ones over earlier ones.

    Args:
        picture: RGB, (H, W, 3) uint8; it stays as it was.
        marks: those to paint, each (H, W).

    Returns:
        RGB, (H, W, 3) uint8.
    """
    painted = picture.copy()
    for mark in marks:
        if mark.mask.shape != picture.shape[:2]:
            raise ValueError(
                f"marks: {mark.name!r} is {mark.mask.shape}; expected the picture's {picture.shape[:2]}"
            )
        painted[mark.mask] = mark.colour
    return painted
