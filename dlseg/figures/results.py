"""Results as figures: the confusion matrix, and the trimap curve beside the paper's (section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Integer
from matplotlib.axes import Axes

from dlseg.common.constants import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, hex_colour
from dlseg.evaluation.published import TRIMAP
from dlseg.figures.curves import dress
from dlseg.figures.panels import INK, Still, class_name

COLOURS = tuple(map(hex_colour, (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)))
MARKERS = "osD^vP"


def confusion_figure(counts: Integer[np.ndarray, "C C"], classes: Sequence[str] = ()) -> Still:
    """What each true class (a row) was taken for (a column), in per cent of its pixels.

    Classes that never occur, neither in truth nor in prediction,
    are left out.

    Args:
        counts: pixels, (C, C), as `ConfusionMatrix.counts`.
        classes: the classes' names; without them, their numbers are shown.

    Returns:
        The figure.
    """
    if counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts: got {counts.shape}, expected (C, C)")
    there = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if not len(there):
        raise ValueError("counts: got none, expected at least one counted pixel")
    shown = counts[np.ix_(there, there)].astype(np.float64)
    shares = 100 * shown / np.maximum(shown.sum(1, keepdims=True), 1)
    names, side = [class_name(int(v), classes) for v in there], len(there)
    figure = Still(0.42 * side + 2.4, 0.42 * side + 1.8)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(shares >= 0.5), strict=True):
        dark = shares[row, column] < 55
        axes.text(
            column,
            row,
            f"{shares[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(side), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(range(side), names, fontsize=9)
    axes.set_xlabel("taken for", color=INK)
    axes.set_ylabel("truth", color=INK)
    figure.colorbar(image, ax=axes, label="% of the true class's pixels", shrink=0.8)
    return figure


def draw_trimap(
    axes: Axes, curves: Mapping[str, Mapping[int, float]], paper: Sequence[str] = ("DeepLab", "DeepLab-CRF")
) -> None:
    """Mean IoU near boundaries by the band's width: ours in full lines, the paper's in broken ones."""
    if unknown := [name for name in paper if name not in TRIMAP]:
        raise ValueError(f"paper: got {unknown}, expected some of {', '.join(TRIMAP)}")
    for number, (name, curve) in enumerate(curves.items()):
        widths = sorted(curve)
        axes.plot(
            widths,
            [100 * curve[width] for width in widths],
            color=COLOURS[number % len(COLOURS)],
            linewidth=2,
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            label=name,
        )
    for number, name in enumerate(paper):
        axes.plot(
            list(TRIMAP[name]),
            list(TRIMAP[name].values()),
            color=COLOURS[number % len(COLOURS)],
            linewidth=1.5,
            linestyle="--",
            label=f"paper, VOC: {name}",
        )
    dress(axes, "mean IoU in the band (%)")
    axes.set_xlabel("width of the band (px)", color=INK)
    lines = sorted(axes.get_lines(), key=lambda line: -float(np.asarray(line.get_ydata())[-1]))
    # from the highest curve to the lowest, beside the axes, where no curve runs below it
    axes.legend(handles=lines, frameon=False, fontsize=9, handlelength=3.2, loc="upper left", bbox_to_anchor=(1, 1))


def trimap_figure(
    curves: Mapping[str, Mapping[int, float]], paper: Sequence[str] = ("DeepLab", "DeepLab-CRF")
) -> Still:
    """Trimap curves beside the paper's (Figure 5).

    Args:
        curves: by name, as `trimap_curve` gives them: width in pixels to mean IoU, 0 to 1.
        paper: the names of the paper's own curves to draw beside them.

    Returns:
        The figure.
    """
    figure = Still(7.8, 3.8)
    draw_trimap(figure.add_subplot(), curves, paper)
    return figure
