"""Label maps as pictures: the VOC palette, void as a hatch, and labels laid over their photo."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from dlseg.common.constants import VOID
from dlseg.datasets.voc import palette

RGB = UInt8[np.ndarray, "H W 3"]
Labels = Integer[np.ndarray, "H W"]
HATCH_DARK, HATCH_LIGHT, HATCH_PERIOD = 96, 208, 8
ALIKE = 100.0  # distance of two of VOC's colours, in steps of 0–255, below which eyes confuse them
FADE = 0.4  # how much of its own light and shade the background keeps; the rest goes to white


def check_labels(labels: Any) -> np.ndarray:
    """`labels` as an array, or one clear error: whole numbers 0…255 in two dimensions."""
    array = np.asarray(labels)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise ValueError(f"labels: got {array.dtype} {array.shape}, expected whole numbers of shape (H, W)")
    if array.size and (array.min() < 0 or array.max() > VOID):
        raise ValueError(f"labels: got {array.min()}…{array.max()}, expected values 0…255")
    return array


def check_image(image: Any, size: tuple[int, ...]) -> np.ndarray:
    """`image` as an array, or one clear error: uint8 RGB of the labels' height and width."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.shape != (*size, 3):
        raise ValueError(f"image: got {array.dtype} {array.shape}, expected uint8 of shape {(*size, 3)}")
    return array


def present(labels: Labels) -> list[int]:
    """The label values that occur, in order: what a legend names. Void (255), where it occurs, comes last.

    Args:
        labels: (H, W), 255 = void.

    Returns:
        The values, each once.
    """
    return [int(value) for value in np.unique(check_labels(labels))]


def hatch(height: int, width: int) -> RGB:
    """Diagonal grey stripes, (H, W, 3): the mark of void, which is no class and so has no colour of its own."""
    rows, columns = np.indices((height, width))
    light = (rows + columns) % HATCH_PERIOD < HATCH_PERIOD // 2
    return np.repeat(np.where(light, HATCH_LIGHT, HATCH_DARK).astype(np.uint8)[..., None], 3, axis=2)


def colour_labels(labels: Labels) -> RGB:
    """Labels in VOC's colours: background black, void (255) hatched in grey.

    Args:
        labels: (H, W), 255 = void.

    Returns:
        RGB, (H, W, 3) uint8.
    """
    array = check_labels(labels)
    picture = palette()[array]
    void = array == VOID
    picture[void] = hatch(*array.shape)[void]
    return picture


def faded(image: RGB) -> RGB:
    """The photo as its own pale grey, (H, W, 3): what stands in for background, so that objects stand out."""
    grey = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    return np.repeat(np.floor(255 - (255 - grey) * FADE + 0.5).astype(np.uint8)[..., None], 3, axis=2)


def overlay(image: RGB, labels: Labels, opacity: float = 0.75) -> RGB:
    """Labels laid over their photo: objects take their colour, background fades to pale grey.

    The canvas in the browser computes the same pixels.

    Args:
        image: RGB, (H, W, 3) uint8.
        labels: (H, W), 255 = void.
        opacity: 0 is the photo alone, 1 is flat colour.

    Returns:
        RGB, (H, W, 3) uint8.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: got {opacity}, expected 0…1")
    array = check_labels(labels)
    photo = check_image(image, array.shape)
    colours = np.where((array == 0)[..., None], faded(photo), colour_labels(array)).astype(np.float64)
    return np.floor(photo + (colours - photo) * opacity + 0.5).astype(np.uint8)


def between_alike(labels: Labels) -> np.ndarray:
    """Where two objects touch whose colours in VOC's palette look alike: a figure draws a line there.

    Args:
        labels: (H, W), 255 = void.

    Returns:
        (H, W), True at a pixel whose neighbour to the right or below has another label of a colour like its own.

    >>> between_alike(np.array([[4, 12, 0], [4, 12, 7], [4, 4, 1]]))  # 4 and 12 are two blues
    array([[ True, False, False],
           [ True,  True, False],
           [False, False, False]])
    """
    array = check_labels(labels)
    colours = palette()[array].astype(float)
    things = (array != 0) & (array != VOID)
    found = np.zeros(array.shape, dtype=bool)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        apart = np.linalg.norm(colours[here] - colours[there], axis=-1)
        found[here] |= things[here] & things[there] & (apart > 0) & (apart < ALIKE)
    return found
