"""The CRF studio's views: two answers in, two planes with titles out. Pure functions; no widget in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlseg.crf import Affinity
from dlseg.figures import Bar
from dlseg.widgets.planes import (
    Plane,
    decimated,
    difference_plane,
    entropy_plane,
    heat_plane,
    label_plane,
    probability_plane,
)
from dlseg.widgets.refiner import Refined

LABELS, TRUTH, DIFFERENCE, PROBABILITY, ENTROPY, AFFINITY = VIEWS = (
    "labels", "labels beside the truth", "what changed", "probability of a class", "entropy", "affinity of a pixel")


@dataclass(frozen=True)
class View:
    """What to look at: one of `VIEWS`, the class for its probability, the place (shares) for its affinity."""

    name: str = LABELS
    index: int = 0
    place: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class Pair:
    """Two pictures side by side, each with its title."""

    left: Plane
    right: Plane
    left_title: str
    right_title: str


def pair(view: View, before: Refined, after: Refined, titles: tuple[str, str], names: Sequence[str],
         truth: np.ndarray | None, affinity: Affinity | None) -> Pair:
    """The two pictures of a view.

    Args:
        before: the net's own answer, or a pinned one; always in full.
        after: the CRF's answer; may be a preview, smaller than the image.
        titles: what `before` and `after` are called.
        truth: labels (H, W), 255 void; needed by the view "labels beside the truth".
        affinity: both kernels' weights (H, W); needed by the view "affinity of a pixel".
    """
    if view.name == TRUTH and truth is not None:
        return Pair(label_plane(truth, names), label_plane(after.labels, names), "Truth", titles[1])
    if view.name == DIFFERENCE:
        size = after.labels.shape
        old = decimated(before.labels, size)
        right = difference_plane(after.labels, old, None if truth is None else decimated(truth, size))
        return Pair(label_plane(before.labels, names), right, titles[0], "What changed")
    if view.name == PROBABILITY:
        name = names[view.index] if view.index < len(names) else f"class {view.index}"
        return Pair(probability_plane(before.marginals, view.index, name),
                    probability_plane(after.marginals, view.index, name), *titles)
    if view.name == ENTROPY:
        return Pair(entropy_plane(before.marginals), entropy_plane(after.marginals), *titles)
    if view.name == AFFINITY and affinity is not None:
        return Pair(_weights(affinity.appearance), _weights(affinity.smoothness),
                    "Appearance: who the ringed pixel listens to", "Smoothness: who the ringed pixel listens to")
    return Pair(label_plane(before.labels, names), label_plane(after.labels, names), *titles)


def _weights(values: np.ndarray) -> Plane:
    """Weights span decades: shown by their logarithm, three decades down from the greatest."""
    top = max(float(values.max()), 1e-30)
    decades = np.log10(np.maximum(values, top * 1e-3) / top).astype(np.float32)
    return heat_plane(decades, Bar("log₁₀ of the weight, beside the greatest", -3.0, 0.0))
