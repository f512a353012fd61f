"""A search at a glance: what the CRF gains over the network alone, for every pair of appearance lengths tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from dlseg.crf import SearchResult, Trial
from dlseg.crf.params import both
from dlseg.figures.panels import INK, Still

Measure = Callable[[Trial], float | None]
Gains = dict[tuple[float, float], float]  # (sigma_beta, sigma_alpha) -> points
MEASURES: tuple[tuple[str, Measure], ...] = (
    ("mean IoU", lambda trial: trial.mean_iou),
    ("mean IoU near boundaries", lambda trial: trial.trimap_mean_iou),
)
PINK = "#e6007e"


def search_heat(result: SearchResult) -> Still:
    """Gain in points over no CRF by sigma_beta (across) and sigma_alpha (up), each with its best weights.

    Squares are the coarse box, dots its refinement, the star is the best setting; a cross says that every weight
    tried there did harm. One panel per measure: over all pixels, and near boundaries where the truth marks them.
    """
    measures = [(name, measure) for name, measure in MEASURES if measure(result.baseline) is not None]
    figure = Still(5.2 * len(measures), 4.7)
    for index, (name, measure) in enumerate(measures):
        axes = figure.add_subplot(1, len(measures), index + 1)
        before, after = (100 * (measure(trial) or 0) for trial in (result.baseline, result.best))
        axes.set_title(f"{name}: {before:.1f} → {after:.1f} %", color=INK, fontsize=11)
        coarse, fine = (_gains(result, measure, refined) for refined in (False, True))
        both = [*coarse.values(), *fine.values()]
        colours = ScalarMappable(Normalize(min(both), max(both)), "viridis")
        _draw(axes, coarse, fine, colours)
        _star(axes, result)
        figure.colorbar(colours, ax=axes, label="gain over no CRF, points", shrink=0.9)
    _legend(figure)
    return figure


def _gains(result: SearchResult, measure: Measure, refined: bool) -> Gains:
    """The largest gain over the weights, at every pair of lengths of the coarse round or of the others."""
    found: Gains = {}
    for trial in result.trials[1:]:
        if trial.params is not None and refined == (trial.round > 0):
            where = (trial.params.sigma_beta, both(trial.params.sigma_alpha)[0])  # a search varies one number
            gain = 100 * ((measure(trial) or 0) - (measure(result.baseline) or 0))
            found[where] = max(gain, found.get(where, -np.inf))
    return found


def _draw(axes: Axes, coarse: Gains, fine: Gains, colours: Any) -> None:
    wide, high = (_gap(sorted({where[axis] for where in coarse})) for axis in (0, 1))
    for (x, y), gain in coarse.items():
        cell = Rectangle((x - wide / 2, y - high / 2), wide, high, color=colours.to_rgba(gain), linewidth=0)
        axes.add_patch(cell)
    for (x, y), gain in fine.items():
        axes.scatter([x], [y], color=colours.to_rgba(gain), s=45, edgecolors=INK, linewidths=0.7)
    for (x, y), gain in [*coarse.items(), *fine.items()]:
        if gain < 0:
            axes.scatter([x], [y], marker="x", color=INK, s=20, linewidths=1)
    axes.set(xlabel="σβ, colour (0–255)", ylabel="σα, position (px)")
    axes.autoscale_view()


def _star(axes: Axes, result: SearchResult) -> None:
    best = result.params
    at = (best.sigma_beta, both(best.sigma_alpha)[0])
    axes.scatter(*at, marker="*", s=260, color=PINK, edgecolors=INK, zorder=3)
    axes.annotate(
        f"w1 {best.w1:g}, σα {best.sigma_alpha:g}, σβ {best.sigma_beta:g}",
        at,
        (0, 12),
        textcoords="offset points",
        ha="center",
        color=INK,
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )


def _legend(figure: Still) -> None:
    plain: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK}
    handles = [
        Line2D([], [], marker="s", markersize=11, color="#9a9a9a", label="coarse box", **plain),
        Line2D([], [], marker="o", markersize=7, color="#9a9a9a", label="refinement", **plain),
        Line2D([], [], marker="*", markersize=14, color=PINK, label="best", **plain),
        Line2D([], [], marker="x", markersize=6, label="worse than no CRF", **plain),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=10)


def _gap(values: list[float]) -> float:
    return min(np.diff(values), default=1.0)
