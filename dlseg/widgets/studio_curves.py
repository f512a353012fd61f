"""The CRF studio's curves: what each iteration did, and how near to edges the labels hold. Pure functions."""

from __future__ import annotations

import numpy as np

from dlseg.evaluation import ConfusionMatrix, trimap_curve
from dlseg.widgets.chart import Curves
from dlseg.widgets.planes import decimated
from dlseg.widgets.refiner import Refined, Trace

WIDTHS = (1, 2, 4, 7, 10, 15, 20)  # pixels beside the void ring


def curves(
    trace: Trace, before: Refined, titles: tuple[str, str], truth: np.ndarray | None, num_classes: int
) -> list[Curves]:
    """Free energy by iteration; with a truth (H, W), mean IoU by iteration and near edges, else how far Q moved.

    Args:
        before: what the left picture shows: the net's own answer, or a pinned one.
        titles: what `before` and the CRF's answer are called.
    """
    pixels = trace.labels[0].size
    steps = list(range(len(trace.labels)))
    energy = Curves(
        "Free energy, nats per pixel",
        "after iteration",
        steps,
        {titles[1]: [value / pixels for value in trace.free_energy]},
    )
    if truth is None:
        return [
            energy,
            Curves(
                "Largest change of a probability", "in iteration", steps[1:], {titles[1]: list(trace.change[1:])}
            ),
        ]
    score = [mean_iou(labels, truth, num_classes) for labels in trace.labels]
    rows = {titles[1]: score, titles[0]: [mean_iou(before.labels, truth, num_classes)] * len(steps)}
    found = [energy, Curves("Mean IoU, %", "after iteration", steps, rows)]
    if (truth == 255).any():
        found.append(_near_edges(trace.labels[-1], before.labels, titles, truth, num_classes))
    return found


def mean_iou(labels: np.ndarray, truth: np.ndarray, num_classes: int) -> float:
    """Mean IoU in percent over the classes that occur; labels of another size are enlarged first."""
    matrix = ConfusionMatrix(num_classes).update(decimated(labels, (truth.shape[0], truth.shape[1])), truth)
    return 100 * matrix.mean_iou("nan")


def _near_edges(
    after: np.ndarray, before: np.ndarray, titles: tuple[str, str], truth: np.ndarray, num_classes: int
) -> Curves:
    size = (truth.shape[0], truth.shape[1])
    lines = {}
    for title, labels in ((titles[1], after), (titles[0], before)):
        found = trimap_curve([decimated(labels, size)], [truth], WIDTHS, num_classes)
        lines[title] = [100 * found[width] for width in WIDTHS]
    return Curves("Mean IoU near edges (trimap), %", "px from the void ring", WIDTHS, lines)
