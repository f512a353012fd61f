"""From arrays to what a canvas shows: one byte a pixel, a colour for each byte, and the words round it.

Pure functions; no widget in sight. A still figure is painted from the same layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from jaxtyping import Float, Integer, UInt8
from scipy.ndimage import binary_dilation

from dlseg.common.constants import BLACK, BLUE, PURPLE, VERMILION, VOID, WHITE
from dlseg.datasets.voc import palette
from dlseg.figures import Bar, Mark, Panel, dots, entropy, paint, scale_table
from dlseg.figures.colormaps import faded_table, levels
from dlseg.figures.labels import faded, hatch

LABELS, SCRIBBLES, NUMBERS = "labels", "scribbles", "numbers"  # kinds of layer
LABEL_OPACITY = 0.75  # of labels over their photo; numbers hide it, as far as their table says
LIGHT = (216, 216, 216)  # background in legends, as pale as most of it on a photo
RIM = 0.35  # of the photo's light, round scribbles
NOTE_WIDTH = 52  # letters of a line below a picture of a still
PALE, CLEAR = 0, 1  # alpha of a table's row: the photo's pale grey; the photo as it is


@dataclass(frozen=True, eq=False)
class Layer:
    """One byte a pixel (h, w), coloured by `table`: 256 rows of RGBA.

    Alpha 0 stands for the photo's pale grey, 1 for the photo as it is; another says how strongly the colour is laid
    over the photo.

    Attributes:
        values: the bytes; a layer smaller than its photo is stretched over it.
        table: the colour of each byte.
        names: what the bytes are called, for the legend; "" for those that it leaves out.
        bar: the scale, where the bytes are levels of a number.
        kind: of LABELS, 255 is void, which is hatched; of SCRIBBLES, 255 is where none is.
    """

    values: UInt8[np.ndarray, "h w"]
    table: UInt8[np.ndarray, "256 4"]
    names: tuple[str, ...] = ()
    bar: Bar | None = None
    kind: str = LABELS

    def marked(self, marks: Sequence[Mark]) -> Layer:
        """The same layer with marks (h, w) on it, the last ones on top; they take its lowest bytes."""
        values, table = self.values.copy(), self.table.copy()
        if self.bar is not None:
            values[values <= len(marks)] = 0
        for number, mark in enumerate(marks, start=1):
            values[mark.mask] = number
            table[number] = (*mark.colour, 255)
        return Layer(values, table, ("", *(mark.name for mark in marks)), self.bar, self.kind)

    def over(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The photo with the layer on it, as `canvas.js` blends them."""
        values = decimated(self.values, (image.shape[0], image.shape[1]))
        rows = self.table[values].astype(np.float64)
        strength = np.where(rows[..., 3:] == CLEAR, 0.0, rows[..., 3:] / 255)
        laid = image + (rows[..., :3] - image) * strength
        pale = rows[..., 3] == PALE
        laid[pale] = faded(image)[pale]
        if self.kind == LABELS and (void := values == VOID).any():
            laid[void] = hatch(*values.shape)[void]
        if self.kind == SCRIBBLES:
            rim = (values == VOID) & binary_dilation(values != VOID)
            laid[rim] = image[rim] * RIM
        opacity = LABEL_OPACITY if self.kind == LABELS else 1.0
        return np.floor(image + (laid - image) * opacity + 0.5).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image (H, W, 3) with a layer over it, between a title and a line of words.

    Attributes:
        ring: the place that is marked, as shares of height and width; arrow keys start there.
        ringed: whether the mark is to be seen.
        steps: how far an arrow key moves the ring (down, right), in such shares; None where nothing can be clicked.
        paints: whether the canvas' brush paints on it.
        probs, classes: probabilities (C, h, w) to be read under the cursor, and what the classes are called.
        settled: whether nothing better follows: False for a preview.
        hidden: whether there is nothing to show now.
        settings: what it was computed with, where the page previews other settings by itself.
        ruler: the pixel (row, column) of the user's image at the picture's top left, and how many of the picture's
            pixels one of that image's is wide: a place under the cursor is told in the image's own pixels.
    """

    title: str
    image: UInt8[np.ndarray, "H W 3"]
    layer: Layer
    status: str = ""
    ring: tuple[float, float] | None = None
    ringed: bool = True
    steps: tuple[float, float] | None = None
    paints: bool = False
    probs: Float[np.ndarray, "C h w"] | None = None
    classes: tuple[str, ...] = ()
    settled: bool = True
    hidden: bool = False
    settings: tuple[float, ...] = ()
    ruler: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def panel(self) -> Panel:
        """The same for a still figure."""
        picture, layer = self.layer.over(self.image), self.layer
        note = "\n".join(fill(line, NOTE_WIDTH) for line in self.status.splitlines())
        if self.ring is not None and self.ringed:
            size = picture.shape[:2]
            place = [(self.ring[0] * size[0], self.ring[1] * size[1])]
            marks = (Mark("", BLACK, dots(size, place, 6.0)), Mark("", WHITE, dots(size, place, 4.0)))
            picture = paint(picture, marks)
        there = [int(value) for value in np.unique(layer.values)]
        if layer.kind == LABELS:
            return Panel(self.title, picture, tuple(there), note=note)
        red, green, blue = (layer.table[:, k].tolist() for k in range(3))
        named = [n for n in there if n < len(layer.names) and layer.names[n]]
        keys = tuple((layer.names[n], (red[n], green[n], blue[n])) for n in named)
        return Panel(self.title, picture, bar=layer.bar, keys=keys, note=note)


def photo_layer(size: tuple[int, ...]) -> Layer:
    """Nothing: the photo as it is, for marks to be put on."""
    return Layer(np.zeros(size, np.uint8), _table(alpha=CLEAR), kind=NUMBERS)


def label_layer(labels: Integer[np.ndarray, "h w"], names: Sequence[str]) -> Layer:
    """Labels in VOC's colours; background (0) is the photo's pale grey, void (255) is hatched."""
    table = _table(palette())
    table[0, 3] = PALE
    return Layer(labels.astype(np.uint8), table, tuple(names))


def scribble_layer(labels: Integer[np.ndarray, "h w"], names: Sequence[str]) -> Layer:
    """Scribbles in the colours of `label_layer`, background a light grey; where none is (255), the photo as it is.

    Round each is a dark rim, so that it stands out on any photo.
    """
    table = _table(palette())
    table[0, :3] = LIGHT
    table[VOID] = (128, 128, 128, CLEAR)
    blank = [""] * (VOID - len(names))
    return Layer(labels.astype(np.uint8), table, (*names, *blank, "no scribble"), kind=SCRIBBLES)


def heat_layer(values: Float[np.ndarray, "h w"], bar: Bar) -> Layer:
    """Numbers on the scale of `bar`; where that fades, the photo shows through at its low end."""
    table = faded_table(bar.scale) if bar.fades else _table(scale_table(bar.scale))
    return Layer(levels(values, bar.low, bar.high), table, bar=bar, kind=NUMBERS)


def probability_layer(probs: Float[np.ndarray, "C h w"], index: int, name: str) -> Layer:
    """One class's probability at each pixel, on the scale 0…1 that all such layers share."""
    return heat_layer(probs[index], Bar(f"probability of {name}", 0.0, 1.0))


def entropy_layer(probs: Float[np.ndarray, "C h w"]) -> Layer:
    """How undecided each pixel is, 0 to log2 C bits."""
    most = float(np.log2(len(probs)))
    return heat_layer(entropy(probs), Bar("entropy in bits: 0 is certain", 0.0, most, "magma"))


DIFFERENCE_NAMES = ("as before", "right before and wrong now", "wrong before and right now", "relabelled")


def difference_layer(
    labels: Integer[np.ndarray, "h w"], before: Integer[np.ndarray, "h w"], truth: Integer[np.ndarray, "h w"] | None
) -> Layer:
    """Where two labellings differ, and with a ground truth, whether that is better or worse."""
    table = _table()
    table[1:4, :3] = VERMILION, BLUE, PURPLE
    table[0, 3] = PALE
    values = np.where(labels == before, 0, 3)
    if truth is not None:
        values[(values == 3) & (before == truth)] = 1
        values[(values == 3) & (labels == truth)] = 2
    return Layer(values.astype(np.uint8), table, DIFFERENCE_NAMES)


def decimated(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values (…, H, W) read at the centres of (h, w) equal cells, more or fewer: labels have no averages."""
    rows = (2 * np.arange(size[0]) + 1) * values.shape[-2] // (2 * size[0])
    columns = (2 * np.arange(size[1]) + 1) * values.shape[-1] // (2 * size[1])
    return values[..., rows[:, None], columns]


def _table(colours: UInt8[np.ndarray, "256 3"] | None = None, alpha: int = 255) -> UInt8[np.ndarray, "256 4"]:
    table = np.full((256, 4), alpha, np.uint8)
    table[:, :3] = 0 if colours is None else colours
    return table
