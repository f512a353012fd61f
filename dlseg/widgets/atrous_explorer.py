"""The hole algorithm (section 3.1): a filter with holes on a feature map, in three forms; and the inexact pool5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

from dlseg.atrous import Window
from dlseg.common.constants import BLACK, ORANGE, PURPLE, SKY
from dlseg.datasets import load
from dlseg.figures import Bar, Mark, enlarged, heat
from dlseg.images import as_rgb
from dlseg.widgets.atrous_model import (
    CONVOLUTION,
    FILTERS,
    LAYERS,
    POOL5,
    POOL_TAPS,
    Form,
    convolutions,
    feature_map,
    filter_taps,
    pools,
    window,
)
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import Explorer, choice, whole_slider
from dlseg.widgets.layers import Picture, heat_layer

SIDE = 384  # pixels of a picture on the page
STRIDE = 4  # of the map, in pixels of the image
ENOUGH = 256  # pixels of a large image, round its middle, that the shown cells see
CELLS = 24  # of the map, along an axis: few enough to tell taps from holes
SCENE = 5  # of the validation split: one hammer
KERNELS, RATES, STRIDES = (1, 7), (1, 6), (1, 4)
Cell = tuple[int, int]


@dataclass(frozen=True)
class Filter:
    """The filter that slides over the map: `kernel` taps along an axis, `rate` cells apart, one output every
    `stride` cells; `name` is one of `FILTERS`. `row` and `column` (shares, 0 … 1) are the output looked at.

    With the layer "pool5" the filter is conv5's, and the taps are the pool's.
    """

    kernel: int = 3
    rate: int = 2
    stride: int = 1
    name: str = FILTERS[1]
    layer: str = CONVOLUTION
    row: float = 0.5
    column: float = 0.5


@dataclass(frozen=True, eq=False)
class Filtered:
    """What the filter does.

    Attributes:
        map: what its taps read, (h, w).
        forms: the output in three forms, each with its multiply-adds.
        unit: the output looked at (row, column).
        taps: the cells of the map that it reads, and `holes`, those that it steps over; also outside the map.
        extra: cells that the released pool5 reads besides.
    """

    filter: Filter
    map: Float[np.ndarray, "h w"]
    forms: tuple[Form, Form, Form]
    unit: Cell
    taps: tuple[Cell, ...]
    holes: tuple[Cell, ...]
    extra: tuple[Cell, ...] = ()

    @property
    def difference(self) -> float:
        """The largest difference between the first form and another."""
        return max(form.difference(self.forms[0]) for form in self.forms[1:])

    @property
    def terms(self) -> list[tuple[float, float]]:
        """Weight and cell of each tap, in the order of `taps`; cells outside are 0. pool5 has no weights."""
        height, width = self.map.shape
        cells = [float(self.map[r, c]) if 0 <= r < height and 0 <= c < width else 0.0 for r, c in self.taps]
        pool = self.filter.layer == POOL5
        weights = np.ones(len(cells)) if pool else filter_taps(self.filter.name, self.filter.kernel).ravel()
        return list(zip(weights.tolist(), cells, strict=True))

    @property
    def output(self) -> float:
        """What the unit looked at puts out."""
        return float(self.forms[0 if self.filter.layer != POOL5 else 1].output[self.unit])


class AtrousExplorer(Explorer[Filter, Filtered]):
    """The explorer that `atrous_explorer` makes and shows; see there.

    Args:
        features: the map that the filter slides over, (h, w).
        image: the photo it was made of, RGB, (H, W, 3).
    """

    def __init__(self, features: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "H W 3"]) -> None:
        self._features, self._image = features, image
        self.sum = ipywidgets.HTML()
        begin = Filter()
        self.start(
            begin,
            {
                "kernel": whole_slider("kernel (taps)", 3, *KERNELS, "Taps of the filter along an axis"),
                "rate": whole_slider(
                    "rate (cells)", 2, *RATES, "Cells from one tap to the next: 1 is without holes"
                ),
                "stride": whole_slider("stride (cells)", 1, *STRIDES, "Cells from one output to the next"),
                "name": choice("filter", begin.name, FILTERS, "What the filter computes", 220),
                "layer": choice(
                    "layer",
                    begin.layer,
                    LAYERS,
                    "A convolution, or pool5 behind one, which the release left without holes",
                    180,
                ),
            },
            width=200,
        )

    def _answer(self, state: Filter) -> Filtered:
        taps = filter_taps(state.name, state.kernel)
        if state.layer == POOL5:
            read, forms = pools(self._features, taps)
            w = Window((POOL_TAPS,) * 2, rate=(2, 2))
        else:
            read, forms = self._features, convolutions(self._features, taps, state.rate, state.stride)
            w = window(state.kernel, state.rate, state.stride)
        shares = zip((state.row, state.column), forms[0].output.shape, strict=True)
        row, column = (min(int(share * n), n - 1) for share, n in shares)
        cells = reached(w, (row, column))
        whole = reached(Window(w.extent, w.stride, w.padding), (row, column))
        between, none = tuple(cell for cell in whole if cell not in cells), ()
        holes, extra = (none, between) if state.layer == POOL5 else (between, none)
        return Filtered(state, read, forms, (row, column), cells, holes, extra)

    def _rows(self) -> list[Any]:
        return [*super()._rows(), self.sum]

    def _beside(self, answer: Filtered) -> None:
        self.sum.value = written_out(answer)

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        return {"row": row, "column": column}

    def _draw(self, answer: Filtered) -> Sequence[Picture]:
        outputs = np.concatenate([form.output.ravel() for form in answer.forms])
        bar = Bar.over("output", outputs)
        return [self._map(answer), *(self._output(answer, form, bar) for form in answer.forms)]

    def _map(self, answer: Filtered) -> Picture:
        (height, width), size = answer.map.shape, max(1, SIDE // max(answer.map.shape))
        marks = [
            Mark("hole", SKY, cell_marks(answer.map.shape, answer.holes, size, 0.36)),
            Mark("only the release reads it", PURPLE, cell_marks(answer.map.shape, answer.extra, size, 0.3)),
            Mark("", BLACK, cell_marks(answer.map.shape, answer.taps, size, 0.0)),
            Mark("tap", ORANGE, cell_marks(answer.map.shape, answer.taps, size, 0.12)),
        ]
        outside = sum(not (0 <= r < height and 0 <= c < width) for r, c in answer.taps)
        note = f" · {outside} of {len(answer.taps)} taps read zeros outside" if outside else ""
        kept = [mark for mark in marks if mark.mask.any()]
        title = "what pool5 reads" if answer.filter.layer == POOL5 else "taps on the map"
        layer = heat_layer(enlarged(answer.map, size), Bar.over("feature", answer.map, "gray")).marked(kept)
        words = f"{height} × {width} cells{note}"
        return Picture(title, self._image, layer, words, **self._pointer(answer, ring=False))

    def _output(self, answer: Filtered, form: Form, bar: Bar) -> Picture:
        size = max(1, SIDE // max(form.output.shape))
        words = [form.note]
        if form.macs:
            words.append(f"{form.macs // form.output.size} multiply-adds an output, {form.macs:,} in all")
        if form is not answer.forms[0]:
            words.append(f"largest difference from {answer.forms[0].name}: {form.difference(answer.forms[0]):.2g}")
        layer = heat_layer(enlarged(form.output, size), bar)
        return Picture(form.name, self._image, layer, "\n".join(words), **self._pointer(answer))

    def _pointer(self, answer: Filtered, ring: bool = True) -> dict[str, Any]:
        rows, columns = answer.forms[0].output.shape
        place = ((answer.unit[0] + 0.5) / rows, (answer.unit[1] + 0.5) / columns)
        return {"ring": place if ring else None, "steps": (1 / rows, 1 / columns)}


def written_out(answer: Filtered) -> str:
    """The output looked at, term by term, as HTML: each tap's weight times its cell, in the taps' places."""
    side = round(len(answer.taps) ** 0.5)
    pool = answer.filter.layer == POOL5
    cells = [f"{x:z.2f}" if pool else f"{w:z.2f} × {x:z.2f} = <b>{w * x:z.2f}</b>" for w, x in answer.terms]
    rows = ["".join(f"<td>{cell}</td>" for cell in cells[k : k + side]) for k in range(0, len(cells), side)]
    how = "the greatest of them" if pool else "their sum"
    what = "cells under the taps" if pool else "weight × cell, tap by tap"
    row, column = answer.unit
    return (
        f'<div class="dlseg-terms" role="status"><p>Output ({row}, {column}): {what}; {how} is '
        f"<b>{answer.output:.3f}</b></p><table>{''.join(f'<tr>{cells}</tr>' for cells in rows)}</table></div>"
    )


def reached(window: Window, unit: Cell) -> tuple[Cell, ...]:
    """The cells (row, column) that the taps of an output read; those below 0 or beyond the map are padding."""
    rows, columns = (
        [unit[a] * window.stride[a] - window.padding[a] + tap * window.rate[a] for tap in range(window.kernel[a])]
        for a in (0, 1)
    )
    return tuple(product(rows, columns))


def cell_marks(shape: tuple[int, ...], cells: Sequence[Cell], size: int, inset: float) -> np.ndarray:
    """The cells, `size` pixels wide, as a mask; `inset` is the share of a cell left free at each side."""
    mask = np.zeros((shape[0], shape[1]), dtype=bool)
    for row, column in cells:
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            mask[row, column] = True
    free = max(1, round(inset * size)) if inset else 0
    inside = np.zeros((size, size), dtype=bool)
    inside[free : size - free, free : size - free] = True
    return np.asarray(enlarged(mask, size) & np.tile(inside, mask.shape))


def atrous_explorer(image: Any = None) -> AtrousExplorer:
    """Slide a filter with holes over a feature map: taps, three equal forms side by side, and what each costs.

    Args:
        image: uint8 RGB, (H, W, 3), of which the shapes network makes the map; or a map of numbers (h, w) of your
            own; default: a hammer of the shapes. The middle 24 × 24 cells of the map are shown.

    Returns:
        The explorer: `.state` (a `Filter`) and `.answer` (a `Filtered`, with the arrays) follow the controls.

    Raises:
        ValueError: neither an image nor a map, or one too small; it says which.
    """
    if image is None:
        image = load("shapes", "val")[SCENE].image
    given = np.asarray(image)
    if given.ndim == 2 and given.dtype.kind in "fiu":
        features, picture = given.astype(np.float32), None
    else:
        picture = _middle(as_rgb(given), ENOUGH)
        features = feature_map(picture)
    if min(features.shape) < CELLS or not np.isfinite(features).all():
        raise ValueError(
            f"image: got {given.shape}, expected a map of at least {CELLS}×{CELLS} finite numbers, or at least "
            f"{STRIDE * CELLS}×{STRIDE * CELLS} pixels"
        )
    middle = _middle(features, CELLS)
    below = heat(middle, scale="gray") if picture is None else _middle(picture, STRIDE * CELLS)
    photo = np.asarray(Image.fromarray(below).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    return shown(AtrousExplorer(middle, photo))


def _middle(values: Shaped[np.ndarray, "H W *C"], most: int) -> Shaped[np.ndarray, "h w *C"]:
    top, left = (max(0, (n - most) // 2) for n in values.shape[:2])
    return np.ascontiguousarray(values[top : top + most, left : left + most])
