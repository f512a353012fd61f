"""What a canvas shows: one byte a pixel, and how to colour it. Pure functions; no widget in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8

from dlseg.datasets.voc import palette
from dlseg.figures import Bar, entropy, scale_table
from dlseg.figures.colormaps import levels

UNSAID = 255  # in a map of scribbles: no label was given here
BARELY = 1  # alpha in a plane's table: the photo shows through as it is


@dataclass(frozen=True)
class Plane:
    """One byte a pixel (h, w), coloured by `table`: 256 rows of RGBA.

    Alpha 0 stands for the photo's pale grey; another says how strongly the colour is laid over the photo.

    A plane of labels has `names` for its legend and hatches 255; a plane of numbers has a `bar`.
    """

    values: UInt8[np.ndarray, "h w"]
    table: UInt8[np.ndarray, "256 4"]
    names: tuple[str, ...] = ()
    bar: Bar | None = None


def label_plane(labels: Integer[np.ndarray, "h w"], names: Sequence[str]) -> Plane:
    """Labels in VOC's colours; background (0) is the photo's pale grey, void (255) is hatched."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:, :3] = palette()
    table[0, 3] = 0
    return Plane(labels.astype(np.uint8), table, tuple(names))


def scribble_plane(labels: Integer[np.ndarray, "h w"], names: Sequence[str]) -> Plane:
    """Scribbles in VOC's colours, background's black; where nothing is said (255), the photo as it is."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:, :3] = palette()
    table[UNSAID] = (128, 128, 128, BARELY)
    blank = [""] * (UNSAID - len(names))
    return Plane(labels.astype(np.uint8), table, (*names, *blank, "nothing said"))


def heat_plane(values: Float[np.ndarray, "h w"], bar: Bar) -> Plane:
    """Numbers on the scale of `bar`."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:, :3] = scale_table(bar.scale)
    return Plane(levels(values, bar.low, bar.high), table, bar=bar)


def probability_plane(probs: Float[np.ndarray, "C h w"], index: int, name: str) -> Plane:
    """One class's probability at each pixel, on the scale 0…1 that all such planes share."""
    return heat_plane(probs[index], Bar(f"probability of {name}", 0.0, 1.0))


def entropy_plane(probs: Float[np.ndarray, "C h w"]) -> Plane:
    """How undecided each pixel is, 0 to log2 C bits."""
    most = float(np.log2(len(probs)))
    return heat_plane(entropy(probs), Bar("entropy in bits: 0 is certain", 0.0, most, "magma"))


DIFFERENCE_NAMES = ("as before", "right before and wrong now", "wrong before and right now", "relabelled")
DIFFERENCE_COLOURS = ((0, 0, 0, 0), (213, 94, 0, 255), (0, 114, 178, 255), (204, 121, 167, 255))  # Okabe and Ito's


def difference_plane(
    labels: Integer[np.ndarray, "h w"], before: Integer[np.ndarray, "h w"], truth: Integer[np.ndarray, "h w"] | None
) -> Plane:
    """Where two labellings differ, and with a truth, to whose good: in colours that no colour vision confuses."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:4] = DIFFERENCE_COLOURS
    values = np.where(labels == before, 0, 3)
    if truth is not None:
        values[(values == 3) & (before == truth)] = 1
        values[(values == 3) & (labels == truth)] = 2
    return Plane(values.astype(np.uint8), table, DIFFERENCE_NAMES)


def decimated(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A plane (…, H, W) read at the centres of (h, w) equal cells, more or fewer: labels have no averages."""
    rows = (2 * np.arange(size[0]) + 1) * values.shape[-2] // (2 * size[0])
    columns = (2 * np.arange(size[1]) + 1) * values.shape[-1] // (2 * size[1])
    return values[..., rows[:, None], columns]
