"""Curves: loss and mean IoU as a network learns, and a recipe's learning rates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from dlseg.common.constants import BLUE, GREEN, ORANGE, hex_colour
from dlseg.figures.panels import INK, Still
from dlseg.training import Recipe

FIRST, SECOND, THIRD, GREY = hex_colour(BLUE), hex_colour(ORANGE), hex_colour(GREEN), "#909090"
SMOOTH = 20  # iterations that the thick loss line is averaged over


def draw_loss(axes: Axes, losses: Sequence[float]) -> None:
    """The loss of each iteration, thin, and its running mean, thick."""
    if losses:
        iterations = np.arange(1, len(losses) + 1)
        window = [float(np.mean(losses[max(0, n - SMOOTH) : n])) for n in range(1, len(losses) + 1)]
        axes.plot(iterations, losses, color=FIRST, alpha=0.35, linewidth=1)
        axes.plot(iterations, window, color=FIRST, linewidth=2, label=f"mean of the last {SMOOTH}")
        axes.set_ylim(0, max(losses) * 1.05)
        axes.legend(frameon=False, fontsize=9, loc="upper right")
    dress(axes, "loss (nats)")


def draw_score(axes: Axes, scores: Mapping[int, float]) -> None:
    """Mean IoU (0 … 1) by iteration, in per cent."""
    axes.plot(list(scores), [100 * v for v in scores.values()], color=THIRD, linewidth=2, marker="o", markersize=3)
    axes.set_ylim(0, max(20.0, 110 * max(scores.values(), default=0.0)))
    dress(axes, "mean IoU (%)")


def schedule_figure(recipes: Mapping[str, Recipe]) -> Still:
    """The learning rate over the iterations of some recipes; fc8's own, higher rate is broken.

    Args:
        recipes: the recipes by the names that the legend shows.

    Returns:
        The figure.
    """
    if not recipes:
        raise ValueError("recipes: got none, expected at least one")
    figure = Still(5.6, 3.2)
    axes = figure.add_subplot()
    for colour, (name, recipe) in zip(itertools.cycle((FIRST, SECOND, THIRD)), recipes.items(), strict=False):
        at = np.arange(recipe.iterations)
        rates = recipe.lr * np.array([recipe.rate(int(i)) for i in at])
        axes.plot(at, rates, color=colour, linewidth=2, label=name)
        if recipe.classifier_lr_factor != 1:
            axes.plot(
                at,
                rates * recipe.classifier_lr_factor,
                color=colour,
                linewidth=2,
                linestyle="--",
                label=f"{name}: fc8",
            )
    axes.set_yscale("log")
    dress(axes, "learning rate (logarithmic)")
    axes.set_xlabel("iteration", color=INK)
    axes.legend(frameon=False, fontsize=9, handlelength=3.2)  # long enough to tell a broken line from a full one
    return figure


def dress(axes: Axes, label: str) -> None:
    """Labels and a pale grid: what all curves here share."""
    axes.set_ylabel(label, color=INK, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
