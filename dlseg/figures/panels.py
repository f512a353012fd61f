"""Still figures: panels side by side with titles, and a legend that names only what can be seen in them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dlseg.common.constants import VOID, hex_colour
from dlseg.datasets.voc import palette
from dlseg.figures.colormaps import faded_table, heat
from dlseg.figures.labels import RGB, Labels, between_alike, overlay, present
from dlseg.figures.overlays import Colour
from dlseg.figures.themes import SCREEN_DPI, figure_html, publish

PANEL_INCHES = 3.2
SCALE_WIDTH, ASPECT = 0.45, 35  # of a scale of colours: its share of the figure's width, and width by height
ENTRIES = 2  # of the legend that fit below one panel: names are up to a dozen letters long
STILL_BYTES = 150_000  # what a still may add to a saved notebook
INK, PALE = "#202020", "#d8d8d8"


class Still(Figure):
    """A figure without pyplot: no window, no shared state, so it may be drawn on any thread. Notebooks show it.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(self)

    def pixels(self, dpi: int = 100) -> RGB:
        """The figure drawn.

        Args:
            dpi: pixels per inch.

        Returns:
            RGB, (H, W, 3) uint8.
        """
        self.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(self)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def png(self) -> bytes:
        """The figure as a PNG file, twice as sharp as the page shows it.

        Returns:
            The bytes of the file.
        """
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=2 * SCREEN_DPI)
        return stream.getvalue()

    def html(self, words: str = "") -> str:
        """The figure as a part of a page, light or dark; half as sharp again as the page shows it.

        Args:
            words: for those who cannot see it; default: its titles.

        Returns:
            HTML; its pictures have at most `STILL_BYTES` where a lower quality can do it.
        """
        return figure_html(self, words, STILL_BYTES, 1.5)

    def _ipython_display_(self) -> None:
        publish(
            self
        )  # not by a `_repr_`: pyplot's own printer of figures would come before it, or after it as well


@dataclass(frozen=True)
class Bar:
    """What the colours of a heat picture stand for: a scale from `low` to `high`, and what it measures.

    Attributes:
        label: what is measured, with its unit.
        low: the value of the scale's first colour.
        high: the value of its last colour.
        scale: the name of one of matplotlib's colour scales.
        fades: whether the scale lies over an image, which shows through at its low end.
    """

    label: str
    low: float
    high: float
    scale: str = "viridis"
    fades: bool = False

    @classmethod
    def over(cls, label: str, values: Float[np.ndarray, "..."], scale: str = "viridis") -> Bar:
        """The scale from the least to the greatest of `values`.

        Args:
            label: what is measured, with its unit.
            values: an array of any shape, without NaN.
            scale: the name of one of matplotlib's colour scales.

        Returns:
            The bar.
        """
        return cls(label, float(np.min(values)), float(np.max(values)), scale)


@dataclass(frozen=True)
class Panel:
    """One picture (H, W, 3) between title and note, with what its colours stand for: labels, marks or a scale.

    Attributes:
        title: what stands above it.
        picture: (H, W, 3) uint8.
        labels: the label values in it, for the legend.
        bar: the scale of its colours, where it has one.
        keys: names and colours of its marks, for the legend.
        note: what stands below it.
    """

    title: str
    picture: RGB
    labels: tuple[int, ...] = ()
    bar: Bar | None = None
    keys: tuple[tuple[str, Colour], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Curves or bars among panels.

    Attributes:
        title: what stands above it.
        draw: puts the curves or bars on the axes that it is given.
    """

    title: str
    draw: Callable[[Axes], None]


def label_panel(title: str, image: RGB, labels: Labels, opacity: float = 0.75) -> Panel:
    """A panel of labels laid over their photo; a white line parts objects that touch in colours that look alike.

    Args:
        title: what stands above it.
        image: RGB, (H, W, 3) uint8.
        labels: (H, W), 255 = void.
        opacity: of the labels, 0 to 1.

    Returns:
        The panel.
    """
    picture = overlay(image, labels, opacity)
    picture[between_alike(labels)] = 255
    return Panel(title, picture, tuple(present(labels)))


def heat_panel(title: str, values: Float[np.ndarray, "H W"], bar: Bar) -> Panel:
    """A panel of values on the scale of `bar`; panels that are compared must share it.

    Args:
        title: what stands above it.
        values: (H, W).
        bar: the scale.

    Returns:
        The panel.
    """
    return Panel(title, heat(values, bar.low, bar.high, bar.scale), bar=bar)


def panels(pictures: Sequence[Panel | Chart], classes: Sequence[str] = (), columns: int | None = None) -> Still:
    """Panels side by side, over a legend of the classes and scales in them.

    Args:
        pictures: the panels and charts, in order.
        classes: the labels' names, index 0 the background; a label without a name is shown as its number.
        columns: how many in a row; default: all in one.

    Returns:
        The figure.
    """
    if not pictures:
        raise ValueError("pictures: got none, expected at least one panel")
    wide = min(columns or len(pictures), len(pictures))
    rows = -(-len(pictures) // wide)
    shown = [panel for panel in pictures if isinstance(panel, Panel)]
    height, width = shown[0].picture.shape[:2] if shown else (3, 4)
    shape = min(max(height / width, 0.3), 2.0)
    handles = _handles(shown, classes)
    bars = list(dict.fromkeys(panel.bar for panel in shown if panel.bar))
    lines = -(-len(handles) // (ENTRIES * wide))  # of the legend
    noted = max((panel.note.count("\n") + 1 for panel in shown if panel.note), default=0)
    # a scale is thicker under more panels
    below = (0.2 + 0.25 * lines if handles else 0) + (0.57 + PANEL_INCHES * wide * SCALE_WIDTH / ASPECT) * len(bars)
    figure = Still(PANEL_INCHES * wide, (PANEL_INCHES * shape + 0.35 + 0.17 * noted) * rows + below)
    for index, panel in enumerate(pictures):
        axes = figure.add_subplot(rows, wide, index + 1)
        axes.set_title(panel.title, color=INK, fontsize=11)
        if isinstance(panel, Chart):
            panel.draw(axes)
            axes.set_box_aspect(shape)
            continue
        axes.imshow(panel.picture, interpolation="nearest")
        axes.set_axis_off()
        if panel.note:
            axes.text(
                0.5, -0.02, panel.note, transform=axes.transAxes, ha="center", va="top", fontsize=8, color=INK
            )
    for bar in reversed(bars):  # each new bar is set right below the panels: the first panel's comes last
        scale = ListedColormap(faded_table(bar.scale) / 255) if bar.fades else bar.scale
        colours = ScalarMappable(Normalize(bar.low, bar.high), scale)
        figure.colorbar(
            colours,
            ax=figure.axes[: len(pictures)],
            location="bottom",
            shrink=SCALE_WIDTH,
            aspect=ASPECT,
            label=bar.label,
        )
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(handles), ENTRIES * wide),
            frameon=False,
            fontsize=10,
            labelcolor=INK,
        )
    return figure


def _handles(shown: Sequence[Panel], classes: Sequence[str]) -> list[Patch]:
    values = sorted({value for panel in shown for value in panel.labels})
    keys = dict.fromkeys(key for panel in shown for key in panel.keys)
    colours = palette() / 255.0
    special = {0: PALE, VOID: "white"}  # as `overlay` draws them
    labels = [
        Patch(
            facecolor=special.get(value, tuple(colours[value])),
            edgecolor="#606060",
            hatch="////" if value == VOID else None,
            label=class_name(value, classes),
        )
        for value in values
    ]
    marks = [Patch(facecolor=hex_colour(colour), edgecolor="#606060", label=name) for name, colour in keys]
    return labels + marks


def class_name(value: int, classes: Sequence[str]) -> str:
    """What a label is called: its class, "void" for 255, its number where it has no name."""
    if value == VOID:
        return "void"
    return classes[value] if value < len(classes) else str(value)
