"""fc6 is a choice of field and cost (section 3.2): click a unit; see its field, its taps, and what counts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import ipywidgets
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dlseg.datasets.photos import load_photo
from dlseg.figures import Chart, Still, field_marks, panels, table2_chart
from dlseg.figures.fields import field_bar, framed, smoothed
from dlseg.figures.tables import draw_fields, draw_parameters
from dlseg.images import as_rgb
from dlseg.networks.architectures import GeometryName
from dlseg.networks.table2 import show
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import ROW, Explorer, choice, put_options
from dlseg.widgets.field_model import NETS, Seen, layers, narrow_net, rows, seen, stack
from dlseg.widgets.layers import Picture, heat_layer, photo_layer

SIDE = 306  # of the paper's crop, px: the default image's; larger images of one's own are worked on at up to 400
MARGIN = 72  # px of padding shown round the image: room for what a field covers beyond it


@dataclass(frozen=True)
class Unit:
    """The unit of `layer` in network `net` whose field is nearest to (`row`, `column`), shares of the image."""

    net: str = "deeplab-largefov"
    geometry: GeometryName = "paper"
    layer: str = "fc6"
    row: float = 0.5
    column: float = 0.5


class FieldExplorer(Explorer[Unit, Seen]):
    """The explorer that `field_explorer` makes and shows; see there.

    Args:
        image: RGB, (H, W, 3).
        net: the variant to begin with.
    """

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], net: str) -> None:
        self._image = image
        self._framed = framed(image, MARGIN)
        begin = Unit(net)
        self.numbers = ipywidgets.HTML()
        self.chart = ipywidgets.HTML()
        self.stack = ipywidgets.HTML()
        self._charted = ""
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
            },
        )

    def _answer(self, state: Unit) -> Seen:
        return seen(state.net, state.geometry, state.layer, self._image, (state.row, state.column))

    def _picked(self, index: int, row: float, column: float) -> dict[str, Any]:
        shares = [
            min(max((share * (n + 2 * MARGIN) - MARGIN) / n, 0.0), 1.0)
            for share, n in zip((row, column), self._image.shape[:2], strict=True)
        ]
        return {"row": shares[0], "column": shares[1]}

    def _fitted(self, state: Unit) -> Unit:
        known = layers(state.net, state.geometry)
        return state if state.layer in known else replace(state, layer="fc6")

    def _offer(self, state: Unit) -> None:
        put_options(self.controls["layer"], layers(state.net, state.geometry))

    def _rows(self) -> list[Any]:
        pictures = ipywidgets.HBox([*self.pictures, self.numbers, self.stack], layout=ROW)
        return [ipywidgets.HBox(list(self.controls.values()), layout=ROW), pictures, self.chart]

    def _draw(self, answer: Seen) -> Sequence[Picture]:
        size = self._framed.shape[:2]
        top, left, bottom, right = (edge + MARGIN for edge in answer.box)
        taps = [(row + MARGIN, column + MARGIN) for row, column in answer.taps]
        marks = field_marks(size, (top, left, bottom, right), taps)
        pointer = self._pointer(answer)
        height, width = answer.layer.size
        return [
            Picture(
                f"{answer.layer.name} sees {height} × {width} px",
                self._framed,
                photo_layer(size).marked(marks),
                f"unit ({answer.unit[0]}, {answer.unit[1]}) of {answer.units[0]} × {answer.units[1]}",
                **pointer,
            ),
            Picture(
                "How much each pixel counts",
                self._framed,
                heat_layer(smoothed(answer.field, MARGIN), field_bar()).marked(marks[:1]),
                f"half of it lies within {answer.radius:.0f} px",
                **pointer,
            ),
        ]

    def _pointer(self, answer: Seen) -> dict[str, Any]:
        whole = self._framed.shape[:2]
        middle = [
            centre + stride * n + MARGIN
            for centre, stride, n in zip(answer.layer.centre, answer.layer.stride, answer.unit, strict=True)
        ]
        steps = [max(stride, 1.0) / n for stride, n in zip(answer.layer.stride, whole, strict=True)]
        return {"ring": ((middle[0] + 0.5) / whole[0], (middle[1] + 0.5) / whole[1]), "steps": (steps[0], steps[1])}

    def _beside(self, answer: Seen) -> None:
        """The numbers, and the chart where another network or geometry is looked at."""
        self.numbers.value = numbers(answer)
        self.stack.value = stacked(answer, _size(self._image))
        key = f"{answer.net} {answer.geometry}"
        if key != self._charted:
            table = rows(answer.geometry, _size(self._image))
            self._charted, self.chart.value = key, _picture(table2_chart(table, answer.net), show(list(table)))

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
    """All layers from the image on as an HTML table: how field and stride grow; the one looked at in bold."""
    rows = []
    for name, taps, rate, field, stride in stack(answer.net, answer.geometry, size):
        chosen = ' class="dlseg-chosen" aria-current="true"' if name == answer.layer.name else ""
        window = f"{taps}×{taps}" + (f" rate {rate}" if rate > 1 else "")
        rows.append(f"<tr{chosen}><td>{name}</td><td>{window}</td><td>{field} px</td><td>{stride:g} px</td></tr>")
    head = "<tr><th>layer</th><th>window</th><th>field</th><th>stride</th></tr>"
    return f'<div class="dlseg-terms dlseg-stack"><table>{head}{"".join(rows)}</table></div>'


def _picture(figure: Still, words: str) -> str:
    """A figure as HTML, with words for those who cannot see it."""
    data = base64.b64encode(figure.png()).decode()
    return f'<img alt="Table 2: {words}" width="832" style="max-width: 100%" src="data:image/png;base64,{data}">'


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
