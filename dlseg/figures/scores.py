"""Score maps, class by class on one scale, and what a difference between two answers looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer

from dlseg.evaluation import trimap_band
from dlseg.figures.colormaps import entropy
from dlseg.figures.labels import RGB, VOID, check_image, check_labels, faded, overlay, present
from dlseg.figures.overlays import BLUE, ORANGE, PURPLE, VERMILION, Mark, paint
from dlseg.figures.panels import Bar, Panel, Still, class_name, heat_panel, panels

MOST = 6  # classes shown where none are chosen


def score_panels(
    scores: Float[np.ndarray, "C h w"],
    classes: Sequence[str] = (),
    chosen: Sequence[int] | None = None,
    label: str = "score",
    columns: int | None = 3,
) -> Still:
    """The score maps (h, w) of the `chosen` classes on one scale, so that they can be compared.

    Default: the six classes with the highest peaks, highest first. `label` is what the numbers are called.
    """
    order = np.argsort(-scores.max((1, 2)), kind="stable")[:MOST] if chosen is None else chosen
    if unknown := [int(c) for c in order if not 0 <= c < len(scores)]:
        raise ValueError(f"chosen: expected classes 0 … {len(scores) - 1}, got {unknown}")
    bar = Bar.over(label, scores[list(order)])
    return panels([heat_panel(class_name(int(c), classes), scores[c], bar) for c in order], columns=columns)


def entropy_panel(title: str, probs: Float[np.ndarray, "C H W"]) -> Panel:
    """How undecided each pixel is, from 0 (certain) to log2 C bits."""
    return heat_panel(
        title, entropy(probs), Bar("entropy in bits: 0 is certain", 0.0, float(np.log2(len(probs))), "magma")
    )


def change_panel(
    title: str, after: Float[np.ndarray, "H W"], before: Float[np.ndarray, "H W"], label: str = "after less before"
) -> Panel:
    """`after` less `before`: red where it grew, blue where it shrank, white where it stayed."""
    change = after.astype(np.float64) - before
    most = float(np.abs(change).max()) or 1.0
    return heat_panel(title, change, Bar(label, -most, most, "RdBu_r"))


def difference_panel(
    title: str,
    image: RGB,
    labels: Integer[np.ndarray, "H W"],
    before: Integer[np.ndarray, "H W"],
    truth: Integer[np.ndarray, "H W"] | None = None,
) -> Panel:
    """Where two labellings of an image (H, W, 3) differ and, with a truth, to whose good; the rest is pale."""
    new, old = check_labels(labels), check_labels(before)
    photo = check_image(image, new.shape)
    if old.shape != new.shape:
        raise ValueError(f"before: expected shape {new.shape}, got {old.shape}")
    changed = new != old
    better, worse = np.zeros_like(changed), np.zeros_like(changed)
    if truth is not None:
        right = check_labels(truth)
        better, worse = changed & (new == right), changed & (old == right)
    marks = [
        Mark("wrong before and right now", BLUE, better),
        Mark("right before and wrong now", VERMILION, worse),
        Mark("relabelled", PURPLE, changed & ~better & ~worse),
    ]
    return Panel(title, paint(faded(photo), marks), keys=_keys(marks))


def trimap_panel(title: str, image: RGB, truth: Integer[np.ndarray, "H W"], width: int) -> Panel:
    """The band of the trimap curve over the truth: the pixels at most `width` px from void; void is hatched."""
    right = check_labels(truth)
    mark = Mark(f"band of {width} px", ORANGE, trimap_band(right, width))
    picture = overlay(image, np.where(right == VOID, VOID, 0).astype(np.uint8), 1.0)
    there = tuple(value for value in present(right) if value == VOID)
    return Panel(title, paint(picture, [mark]), there, keys=_keys([mark]))


def _keys(marks: Sequence[Mark]) -> tuple[tuple[str, tuple[int, int, int]], ...]:
    return tuple((mark.name, mark.colour) for mark in marks if mark.mask.any())
