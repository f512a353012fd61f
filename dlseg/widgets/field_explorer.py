"""fc6 is a choice of field and cost (section 3.2): click a unit; see its field, its taps, and what counts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import ipywidgets
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dlseg.datasets.photos import load_photo
from dlseg.figures import Chart, Still, enlarged, field_marks, panels
from dlseg.figures.fields import MEAN_PIXEL, field_bar, framed, smoothed
from dlseg.figures.overlays import Number
from dlseg.figures.tables import draw_fields, draw_parameters, short_name, table2_bars
from dlseg.images import as_rgb
from dlseg.networks.architectures import GeometryName
from dlseg.widgets.bars import Bars
from dlseg.widgets.canvas import show_all
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import ROW, Explorer, choice, put_options
from dlseg.widgets.field_model import NETS, Seen, layers, narrow_net, rows, seen, stack
from dlseg.widgets.layers import Picture, heat_layer, photo_layer

SIDE = 306  # of the paper's crop, px: the default image's; larger images of one's own are worked on at up to 400
MARGIN = 72  # px of padding shown round the image: room for what a field covers beyond it
WHOLE, FIELD = "the whole image", "the unit's field"  # what the pictures show
ZOOMED = 384  # px of a picture that shows the field alone, about
ROOM, LEAST = 1.6, 16  # of the field's size, and px: what of the image such a picture shows
NARROW = 40  # px: the ring would hide a field below this


@dataclass(frozen=True)
class Unit:
    """The unit of `layer` in network `net` whose field is nearest to (`row`, `column`), shares of the image.

    `zoom` says how much of the image is shown: all of it, or what the unit's field covers.
    """

    net: str = "deeplab-largefov"
    geometry: GeometryName = "paper"
    layer: str = "fc6"
    row: float = 0.5
    column: float = 0.5
    zoom: str = WHOLE


@dataclass(frozen=True, eq=False)
class View:
    """What the pictures show: `image` is that part of the photo, each of its pixels `times` as wide.

    `top` and `left` are its first pixel's place in the image, less than 0 in the padding round it.
    """

    image: UInt8[np.ndarray, "h w 3"]
    top: int
    left: int
    times: int = 1

    def place(self, row: Number, column: Number) -> tuple[float, float]:
        """A pixel of the image as shares of the picture's height and width."""
        height, width = self.image.shape[:2]
        return ((row - self.top + 0.5) * self.times / height, (column - self.left + 0.5) * self.times / width)

    def pixel(self, row: Number, column: Number) -> tuple[float, float]:
        """Shares of the picture's height and width as a pixel of the image: the inverse of `place`."""
        height, width = self.image.shape[:2]
        return (row * height / self.times + self.top - 0.5, column * width / self.times + self.left - 0.5)

    def point(self, row: Number, column: Number) -> tuple[float, float]:
        """A pixel of the image as one of the picture."""
        middle = (self.times - 1) / 2
        return ((row - self.top) * self.times + middle, (column - self.left) * self.times + middle)

    def part(self, values: np.ndarray) -> np.ndarray:
        """What the picture shows of an array (H, W) over the image; 0 in the padding."""
        height, width = (n // self.times for n in self.image.shape[:2])
        return enlarged(cut(values, self.top, self.left, height, width, 0), self.times)


class FieldExplorer(Explorer[Unit, Seen]):
    """The explorer that `field_explorer` makes and shows; see there.

    Args:
        image: RGB, (H, W, 3).
        net: the variant to begin with.
    """

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], net: str) -> None:
        self._image = image
        self._whole = View(framed(image, MARGIN), -MARGIN, -MARGIN)
        self._view = self._whole
        self._drawn: Seen | None = None  # the answer that is being shown, or was last
        self._words = threading.Lock()
        begin = Unit(net)
        self.numbers = ipywidgets.HTML()
        self.chart = Bars()
        self.stack = ipywidgets.HTML()
        self.start(
            begin,
            {
                "net": choice("network", net, NETS, "Variants of fc6: its taps and their rate", 230),
                "geometry": choice(
                    "geometry",
                    "paper",
                    get_args(GeometryName),
                    "Pools as the paper's text has them, or as the released files do",
                    180,
                ),
                "layer": choice("layer", "fc6", layers(net, "paper"), "Whose unit is looked at", 150),
                "zoom": choice("show", WHOLE, [WHOLE, FIELD], "How much of the image is shown", 210),
            },
        )

    def _answer(self, state: Unit) -> Seen:
        found = seen(state.net, state.geometry, state.layer, self._image, (state.row, state.column))
        return replace(found, zoom=state.zoom)

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        pixel = self._view.pixel(row, column)
        shares = [min(max((at + 0.5) / n, 0.0), 1.0) for at, n in zip(pixel, self._image.shape[:2], strict=True)]
        return {"row": shares[0], "column": shares[1]}

    def _fitted(self, state: Unit) -> Unit:
        known = layers(state.net, state.geometry)
        return state if state.layer in known else replace(state, layer="fc6")

    def _offer(self, state: Unit) -> None:
        put_options(self.controls["layer"], layers(state.net, state.geometry))

    def _rows(self) -> list[Any]:
        pictures = ipywidgets.HBox([*self.pictures, self.numbers], layout=ROW)
        return [ipywidgets.HBox(list(self.controls.values()), layout=ROW), pictures, self.stack, self.chart]

    def _draw(self, answer: Seen) -> Sequence[Picture]:
        with self._words:  # from here on nobody says that it is still to come
            self._drawn = answer
        view = self._view = self._seen_of(answer)
        size, half = view.image.shape[:2], (view.times - 1) / 2
        top, left = (at - half for at in view.point(*answer.box[:2]))
        bottom, right = (at + half for at in view.point(*answer.box[2:]))
        marks = field_marks(size, (top, left, bottom, right), [view.point(*tap) for tap in answer.taps])
        pointer = self._pointer(answer, view)
        height, width = answer.layer.size
        heat = view.part(smoothed(answer.field) if view is self._whole else answer.field)
        small = f"; small: choose “{FIELD}” to see it" if view is self._whole and height < NARROW else ""
        return [
            Picture(
                f"{answer.layer.name} sees {height} × {width} px",
                view.image,
                photo_layer(size).marked(marks),
                f"unit ({answer.unit[0]}, {answer.unit[1]}) of {answer.units[0]} × {answer.units[1]}{small}",
                **pointer,
            ),
            Picture(
                "How much each pixel counts",
                view.image,
                heat_layer(heat, field_bar(smooth=view is self._whole)).marked(marks[:1]),
                f"half of the sum lies within {answer.radius:.0f} px of its middle",
                **pointer,
            ),
        ]

    def _seen_of(self, answer: Seen) -> View:
        """All of the image, or, where that is asked for, what the unit's field covers with some room round it."""
        if answer.zoom != FIELD:
            return self._whole
        side = max(LEAST, round(ROOM * max(answer.layer.size)))
        top, left = (round(at - side / 2) for at in self._middle(answer))
        padded = np.array(MEAN_PIXEL, np.uint8)
        part = cut(self._image, top, left, side, side, padded)
        times = max(1, ZOOMED // side)
        return View(enlarged(part, times), top, left, times)

    def _middle(self, answer: Seen) -> list[float]:
        """The middle of the unit's field, (row, column) in the image."""
        layer = answer.layer
        return [c + stride * n for c, stride, n in zip(layer.centre, layer.stride, answer.unit, strict=True)]

    def _pointer(self, answer: Seen, view: View) -> dict[str, Any]:
        size = view.image.shape[:2]
        steps = [max(stride, 1.0) * view.times / n for stride, n in zip(answer.layer.stride, size, strict=True)]
        return {
            "ring": view.place(*self._middle(answer)),
            "ringed": view is self._whole and max(answer.layer.size) >= NARROW,
            "steps": (steps[0], steps[1]),
            "ruler": (float(view.top), float(view.left), float(view.times)),
        }

    def _busy(self, working: bool) -> None:
        """While another layer or network is computed, nothing of the old one stands beside its name."""
        super()._busy(working)
        with self._words:
            asked, drawn = self.state, self._drawn
            if not working or (drawn is not None and of_one_layer(asked, drawn)):
                return
            for picture in self.pictures:
                picture.title, picture.status = f"{asked.layer} of {asked.net}: working …", ""
            self.numbers.value = self.stack.value = "working …"

    def _fail(self, error: Exception) -> None:
        if (last := self._live.latest) is not None:  # it is seen still: it gets its words back
            show_all(self.pictures, self._draw, last)
            self._beside(last)
        super()._fail(error)

    def _beside(self, answer: Seen) -> None:
        """The numbers, all layers, and table 2."""
        self.numbers.value = numbers(answer)
        self.stack.value = stacked(answer, _size(self._image))
        table = rows(answer.geometry, _size(self._image))
        chosen = next((number for number, row in enumerate(table) if row.name == answer.net), -1)
        self.chart.show("Table 2", [short_name(row) for row in table], table2_bars(table), chosen)

    def still(self) -> Still:
        """The unit, its field, and two columns of Table 2: what a page without widgets shows.

        Returns:
            The figure.
        """
        pictures, table = self._draw(self.answer), rows(self.state.geometry, _size(self._image))
        charts = [
            Chart("fc6 sees (px)", partial(draw_fields, rows=table)),
            Chart("parameters (millions)", partial(draw_parameters, rows=table)),
        ]
        return panels([*(picture.panel() for picture in pictures), *charts])


def numbers(answer: Seen) -> str:
    """The layer's and the network's sizes and costs as an HTML table."""
    field, cost = answer.layer, answer.cost
    facts = [
        ("field", f"{field.size[0]} px"),
        ("stride", f"{field.stride[0]:g} px"),
        ("map", f"{answer.units[0]} × {answer.units[1]}"),
        ("parameters", f"{cost.parameters / 1e6:.2f} M"),
        ("multiply-adds", f"{cost.macs / 1e9:.2f} · 10⁹"),
    ]
    whole = [
        ("parameters", f"{answer.parameters / 1e6:.1f} M"),
        ("multiply-adds", f"{answer.macs / 1e9:.1f} · 10⁹"),
    ]
    weights = narrow_net(answer.net, answer.geometry)[1]
    cells = [
        f"<tr><th colspan=2>{field.name}</th></tr>",
        *(_cells(*fact) for fact in facts),
        "<tr><th colspan=2>the whole network</th></tr>",
        *(_cells(*fact) for fact in whole),
    ]
    return (
        f"<table style='line-height:1.5'>{''.join(cells)}</table>"
        "<p style='line-height:1.4;max-width:190px'>"
        f"Numbers: full width, 21 classes, this image. Gradients: an eighth as wide, {weights}.</p>"
    )


def stacked(answer: Seen, size: tuple[int, int]) -> str:
    """All layers from the image on as HTML: how field and stride grow; the one looked at in bold."""
    rows = []
    for name, taps, rate, field, stride in stack(answer.net, answer.geometry, size):
        chosen = ' class="dlseg-chosen" aria-current="true"' if name == answer.layer.name else ""
        window = f"{taps}×{taps}" + (f" rate {rate}" if rate > 1 else "")
        cells = (name, window, f"{field} px", f"{stride:g} px")
        rows.append(f"<li{chosen}>{''.join(f'<span>{cell}</span>' for cell in cells)}</li>")
    words = "Layer by layer from the image on: window, field, stride"
    return f'<div class="dlseg-stack"><b>{words}</b><ol>{"".join(rows)}</ol></div>'


def of_one_layer(unit: Unit, answer: Seen) -> bool:
    """Whether an answer is one of the unit's network and layer."""
    return (unit.net, unit.geometry, unit.layer) == (answer.net, answer.geometry, answer.layer.name)


def cut(values: np.ndarray, top: int, left: int, height: int, width: int, beyond: Any) -> np.ndarray:
    """Part (height, width, …) of an array (H, W, …) from its row `top` on; where it has nothing, `beyond`."""
    part = np.empty((height, width, *values.shape[2:]), values.dtype)
    part[...] = beyond
    rows = slice(max(top, 0), max(min(top + height, values.shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + width, values.shape[1]), 0))
    found = values[rows, columns]
    down, right = max(-top, 0), max(-left, 0)
    part[down : down + found.shape[0], right : right + found.shape[1]] = found
    return part


def _cells(name: str, value: str) -> str:
    return f"<tr><td style='padding-right:10px'>{name}</td><td style='text-align:right'>{value}</td></tr>"


def field_explorer(net: str = "deeplab-largefov", image: Any = None) -> FieldExplorer:
    """Click a unit of any layer: its field, where its taps look, and by gradient how much each pixel counts.

    Args:
        net: the variant to begin with, one of `dlseg.widgets.field_model.NETS`.
        image: uint8 RGB, (H, W, 3), at least 64 × 64 pixels; default: a photograph of a cat at the paper's size,
            306 × 306. Above 400 pixels it is worked on smaller.

    Returns:
        The explorer: `.state` (a `Unit`) and `.answer` (a `Seen`, with the arrays) follow the controls.

    Raises:
        ValueError: an unknown network or an image of the wrong kind; it says which.
    """
    if net not in NETS:
        raise ValueError(f"net: got {net!r}, expected one of {', '.join(NETS)}")
    pixels = _square(load_photo("cat").image) if image is None else _at_most(400, as_rgb(np.asarray(image)))
    if min(pixels.shape[:2]) < 64:
        raise ValueError(f"image: got {pixels.shape[0]}×{pixels.shape[1]}, expected at least 64×64 pixels")
    return shown(FieldExplorer(pixels, net))


def _size(image: UInt8[np.ndarray, "H W 3"]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _square(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "S S 3"]:
    side = min(image.shape[:2])
    top, left = ((n - side) // 2 for n in image.shape[:2])
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _at_most(side: int, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    share = side / max(image.shape[:2])
    if share >= 1:
        return image
    size = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
