"""The CRF studio's views: two answers in, two planes with titles out. Pure functions; no widget in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlseg.crf import Affinity
from dlseg.figures import Bar
from dlseg.widgets.planes import (
    BARELY,
    Plane,
    decimated,
    difference_plane,
    entropy_plane,
    heat_plane,
    label_plane,
    probability_plane,
    scribble_plane,
)
from dlseg.widgets.refiner import Refined, Trace

LABELS, TRUTH, DIFFERENCE, PROBABILITY, ENTROPY, STEPS, AFFINITY = VIEWS = (
    "labels",
    "labels beside the truth",
    "what changed",
    "probability of a class",
    "entropy",
    "step by step",
    "affinity of a pixel",
)


@dataclass(frozen=True)
class View:
    """What to look at: one of `VIEWS`, and what some of them need to know."""

    name: str = LABELS
    index: int = 0  # the class, for its probability
    place: tuple[float, float] = (0.5, 0.5)  # shares of height and width, for its affinity
    step: int = 0  # the iteration, for step by step


@dataclass(frozen=True)
class Pair:
    """Two pictures side by side, each with its title."""

    left: Plane
    right: Plane
    left_title: str
    right_title: str


def pair(
    view: View,
    before: Refined,
    after: Refined,
    titles: tuple[str, str],
    names: Sequence[str],
    truth: np.ndarray | None,
    affinity: Affinity | None,
    trace: Trace | None = None,
    scribbles: np.ndarray | None = None,
) -> Pair:
    """The two pictures of a view. Where it lacks what it needs, both labellings.

    Args:
        before: the net's own answer, or a pinned one; always in full.
        after: the CRF's answer; may be a preview, smaller than the image.
        titles: what `before` and `after` are called.
        truth: labels (H, W), 255 void; needed by the view "labels beside the truth".
        affinity: both kernels' weights (H, W); needed by the view "affinity of a pixel".
        trace: every iteration; needed by the view "step by step".
        scribbles: (H, W), 255 where nothing is said: shown instead of `before`'s labels.
    """
    if view.name == TRUTH and truth is not None:
        return Pair(label_plane(truth, names), label_plane(after.labels, names), "Truth", titles[1])
    if view.name == STEPS and trace is not None:
        return _step(trace, view.step, names, truth)
    if view.name == DIFFERENCE:
        return _changed(before, after, titles[0], names, truth)
    if view.name in (PROBABILITY, ENTROPY):
        return Pair(_numbers(view, before, names), _numbers(view, after, names), *titles)
    if view.name == AFFINITY and affinity is not None:
        return _listeners(affinity)
    left = label_plane(before.labels, names) if scribbles is None else scribble_plane(scribbles, names)
    return Pair(left, label_plane(after.labels, names), *titles)


def _numbers(view: View, refined: Refined, names: Sequence[str]) -> Plane:
    """One class's probability, or the entropy of all."""
    if view.name == ENTROPY:
        return entropy_plane(refined.marginals)
    index = min(view.index, len(refined.marginals) - 1)
    return probability_plane(refined.marginals, index, names[index] if index < len(names) else f"class {index}")


def _changed(before: Refined, after: Refined, title: str, names: Sequence[str], truth: np.ndarray | None) -> Pair:
    """The labels before, and where those after differ."""
    size = (after.labels.shape[0], after.labels.shape[1])
    right = difference_plane(
        after.labels, decimated(before.labels, size), None if truth is None else decimated(truth, size)
    )
    return Pair(label_plane(before.labels, names), right, title, "What changed")


def _step(trace: Trace, step: int, names: Sequence[str], truth: np.ndarray | None) -> Pair:
    """The labels after an iteration, and what it alone changed."""
    last = len(trace.labels) - 1
    at = min(step, last)
    now, earlier = trace.labels[at], trace.labels[max(at - 1, 0)]
    size = (now.shape[0], now.shape[1])
    changed = difference_plane(now, earlier, None if truth is None else decimated(truth, size))
    first = "Iteration 0: the unary alone" if at == 0 else f"After iteration {at} of {last}"
    second = f"What iteration {at} changed" if at else "Nothing changed yet"
    return Pair(label_plane(now, names), changed, first, second)


def _listeners(affinity: Affinity) -> Pair:
    return Pair(
        _weights(affinity.appearance),
        _weights(affinity.smoothness),
        "Appearance: who the ringed pixel listens to",
        "Smoothness: who the ringed pixel listens to",
    )


def _weights(values: np.ndarray) -> Plane:
    """Weights span decades: shown by their logarithm, three decades down from the greatest, laid over the photo."""
    top = max(float(values.max()), 1e-30)
    decades = np.log10(np.maximum(values, top * 1e-3) / top).astype(np.float32)
    plane = heat_plane(decades, Bar("log₁₀ of the weight, beside the greatest", -3.0, 0.0, "magma"))
    plane.table[:, 3] = np.linspace(120, 255, 256)
    plane.table[0, 3] = BARELY
    return plane
