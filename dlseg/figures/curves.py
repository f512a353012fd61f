"""Curves: loss, learning rate and mean IoU as a network learns, and the trimap curve beside the paper's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from dlseg.figures.panels import INK, Still
from dlseg.training import Recipe

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#909090"  # Okabe and Ito's
SMOOTH = 20  # iterations that the thick loss line is averaged over


def draw_loss(axes: Axes, losses: Sequence[float], at: int | None = None) -> None:
    """The loss of each iteration, thin, and its running mean, thick; a line at iteration `at`."""
    if losses:
        iterations = np.arange(1, len(losses) + 1)
        window = [float(np.mean(losses[max(0, n - SMOOTH) : n])) for n in range(1, len(losses) + 1)]
        axes.plot(iterations, losses, color=BLUE, alpha=0.35, linewidth=1)
        axes.plot(iterations, window, color=BLUE, linewidth=2, label=f"mean of the last {SMOOTH}")
        axes.set_ylim(0, max(losses) * 1.05)
        axes.legend(frameon=False, fontsize=9, loc="upper right")
    dress(axes, "loss (nats)", at)


def draw_rate(axes: Axes, rates: Sequence[float], at: int | None = None) -> None:
    """The learning rate of each iteration."""
    if rates:
        axes.plot(np.arange(1, len(rates) + 1), rates, color=ORANGE, linewidth=2)
        axes.set_ylim(0, max(rates) * 1.1)
        axes.ticklabel_format(axis="y", style="plain")
    dress(axes, "learning rate", at)


def draw_score(axes: Axes, scores: Mapping[int, float], at: int | None = None) -> None:
    """Mean IoU (0 … 1) by iteration, in per cent."""
    axes.plot(list(scores), [100 * v for v in scores.values()], color=GREEN, linewidth=2, marker="o", markersize=3)
    axes.set_ylim(0, max(20.0, 110 * max(scores.values(), default=0.0)))
    dress(axes, "mean IoU (%)", at)


def training_curves(
    losses: Sequence[float],
    rates: Sequence[float],
    scores: Mapping[int, float] | None = None,
    at: int | None = None,
    iterations: int | None = None,
) -> Still:
    """Loss, learning rate and, where there are any, the held-out images' mean IoU, one under the other.

    Args:
        losses: of each iteration from the first, in nats.
        rates: the learning rate of each.
        scores: mean IoU (0 … 1) by iteration.
        at: the iteration that is looked at; a grey line.
        iterations: how many there will be; the charts are as wide.
    """
    if len(losses) != len(rates):
        raise ValueError(f"rates: expected as many as losses ({len(losses)}), got {len(rates)}")
    figure = Still(4.2, 4.4 if scores else 3.2)
    charts = figure.subplots(3 if scores else 2, 1, sharex=True)
    draw_loss(charts[0], losses, at)
    if scores:
        draw_score(charts[1], scores, at)
    draw_rate(charts[-1], rates, at)
    charts[-1].set_xlim(0, iterations or max(len(losses), 1))
    charts[-1].set_xlabel("iteration", color=INK)
    return figure


def schedule_figure(recipes: Mapping[str, Recipe]) -> Still:
    """The learning rate over the iterations of some recipes, by name; fc8's own, higher rate is broken."""
    if not recipes:
        raise ValueError("recipes: expected at least one, got none")
    figure = Still(5.6, 3.2)
    axes = figure.add_subplot()
    for colour, (name, recipe) in zip(itertools.cycle((BLUE, ORANGE, GREEN)), recipes.items(), strict=False):
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
    axes.legend(frameon=False, fontsize=9)
    return figure


def dress(axes: Axes, label: str, at: int | None = None) -> None:
    """Labels, a pale grid, and a grey line at iteration `at`: what all curves here share."""
    axes.set_ylabel(label, color=INK, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if at is not None:
        axes.axvline(at, color=GREY, linewidth=1.5)
