"""A filter with holes along one axis, as in the paper's figure 1."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Circle

from dlseg.common.constants import BLUE, ORANGE, hex_colour
from dlseg.figures.panels import INK, Still

TAP, HOLE, LINE, SELECTED = hex_colour(ORANGE), "#ffffff", "#b0b0b0", hex_colour(BLUE)


def holes_1d(kernel: int = 3, rate: int = 2, stride: int = 1, cells: int = 9) -> Still:
    """A filter with holes over a row of cells.

    The defaults are the paper's figure 1: kernel 3, input stride 2, output stride 1. One output is picked out.

    Args:
        kernel: the number of taps.
        rate: cells from one tap to the next.
        stride: cells from one output to the next.
        cells: the length of the row.

    Returns:
        The figure.
    """
    _check(kernel, rate)
    extent = (kernel - 1) * rate + 1
    count = (cells - extent) // stride + 1
    if stride < 1 or count < 1:
        raise ValueError(f"cells: got {cells}, expected at least {extent} for {kernel} taps at rate {rate}")
    figure = Still(0.62 * cells + 1.4, 1.9)
    axes = figure.add_subplot()
    middle = count // 2
    for output in sorted(range(count), key=lambda n: n == middle):  # the one picked out comes last, on top
        chosen = output == middle
        at = output * stride + (extent - 1) / 2
        for tap in range(kernel):
            axes.plot(
                [output * stride + tap * rate, at],
                [0, 1],
                color=SELECTED if chosen else LINE,
                linewidth=2.5 if chosen else 1,
                zorder=2 if chosen else 1,
            )
        axes.add_patch(Circle((at, 1), 0.2, facecolor=SELECTED if chosen else "#e8f1f8", edgecolor=INK, zorder=3))
    taps = {middle * stride + tap * rate for tap in range(kernel)}
    for cell in range(cells):
        axes.add_patch(Circle((cell, 0), 0.2, facecolor=TAP if cell in taps else HOLE, edgecolor=INK, zorder=3))
    axes.set_yticks([0, 1], ["input", "output"], fontsize=11)
    axes.set_title(f"{kernel} taps, input stride (rate) {rate}, output stride {stride}", fontsize=11, color=INK)
    _bare(axes, (-0.5, cells - 0.5), (-0.4, 1.4))
    return figure


def _check(kernel: int, rate: int) -> None:
    for name, value in (("kernel", kernel), ("rate", rate)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, expected a whole number of at least 1")


def _bare(axes: Axes, wide: tuple[float, float], high: tuple[float, float]) -> None:
    axes.set_xlim(*wide)
    axes.set_ylim(*high)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
