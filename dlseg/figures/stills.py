"""Still figures: panels side by side with titles, and a legend that names only what can be seen in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dlseg.datasets.voc import palette
from dlseg.figures.heat import heat
from dlseg.figures.labels import RGB, VOID, Labels, overlay, present

PANEL_INCHES = 3.2
ENTRIES = 2  # of the legend that fit below one panel: names are up to a dozen letters long
SCREEN_DPI = 80  # a figure's size on the page; the picture holds twice as many pixels, for sharp screens
INK, PALE = "#202020", "#d8d8d8"


class Still(Figure):
    """A figure without pyplot: no window, no shared state, so it may be drawn on any thread. Notebooks show it."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(self)

    def pixels(self, dpi: int = 100) -> RGB:
        """The figure drawn, (H, W, 3)."""
        self.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(self)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def png(self) -> bytes:
        """The figure as a PNG file's bytes, twice as sharp as the page shows it."""
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=2 * SCREEN_DPI)
        return stream.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self.get_size_inches() * SCREEN_DPI
        return self.png(), {"width": round(width), "height": round(height)}


@dataclass(frozen=True)
class Bar:
    """What the colours of a heat picture stand for: a scale from `low` to `high`, and what it measures."""

    label: str
    low: float
    high: float
    scale: str = "viridis"

    @classmethod
    def over(cls, label: str, values: Float[np.ndarray, "..."], scale: str = "viridis") -> Bar:
        """The scale from the least to the greatest of `values`."""
        return cls(label, float(np.min(values)), float(np.max(values)), scale)


@dataclass(frozen=True)
class Panel:
    """One picture (H, W, 3) under its title, with the label values or the scale that its colours stand for."""

    title: str
    picture: RGB
    labels: tuple[int, ...] = ()
    bar: Bar | None = None


def label_panel(title: str, image: RGB, labels: Labels, opacity: float = 0.75) -> Panel:
    """A panel of labels (H, W) laid over their photo (H, W, 3)."""
    return Panel(title, overlay(image, labels, opacity), tuple(present(labels)))


def heat_panel(title: str, values: Float[np.ndarray, "H W"], bar: Bar) -> Panel:
    """A panel of values (H, W) on the scale of `bar`; panels that are compared must share it."""
    return Panel(title, heat(values, bar.low, bar.high, bar.scale), bar=bar)


def panels(pictures: Sequence[Panel], classes: Sequence[str] = (), columns: int | None = None) -> Still:
    """Panels side by side, `columns` a row (default: all in one), over a legend of the classes and scales in them.

    `classes` names the labels (index 0 background); a label without a name is shown as its number.
    """
    if not pictures:
        raise ValueError("pictures: expected at least one panel, got none")
    wide = min(columns or len(pictures), len(pictures))
    rows = -(-len(pictures) // wide)
    height, width = pictures[0].picture.shape[:2]
    shape = min(max(height / width, 0.3), 2.0)
    values = sorted({value for panel in pictures for value in panel.labels})
    bars = list(dict.fromkeys(panel.bar for panel in pictures if panel.bar))
    lines = -(-len(values) // (ENTRIES * wide))  # of the legend
    below = (0.2 + 0.25 * lines if values else 0) + 0.65 * len(bars)
    figure = Still(PANEL_INCHES * wide, (PANEL_INCHES * shape + 0.35) * rows + below)
    for index, panel in enumerate(pictures):
        axes = figure.add_subplot(rows, wide, index + 1)
        axes.imshow(panel.picture, interpolation="nearest")
        axes.set_title(panel.title, color=INK, fontsize=11)
        axes.set_axis_off()
    for bar in bars:
        colours = ScalarMappable(Normalize(bar.low, bar.high), bar.scale)
        figure.colorbar(colours, ax=figure.axes[:len(pictures)], location="bottom", shrink=0.45, aspect=35,
                        label=bar.label)
    _legend(figure, values, classes, ENTRIES * wide)
    return figure


def _legend(figure: Figure, values: Sequence[int], classes: Sequence[str], columns: int) -> None:
    if not values:
        return
    colours = palette() / 255.0
    special = {0: PALE, VOID: "white"}  # as `overlay` draws them
    handles = [Patch(facecolor=special.get(value, tuple(colours[value])), edgecolor="#606060",
                     hatch="////" if value == VOID else None, label=class_name(value, classes))
               for value in values]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), columns), frameon=False,
                  fontsize=10, labelcolor=INK)


def class_name(value: int, classes: Sequence[str]) -> str:
    """What a label is called: its class, "void" for 255, its number where it has no name."""
    if value == VOID:
        return "void"
    return classes[value] if value < len(classes) else str(value)
