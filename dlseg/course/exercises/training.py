"""Exercises of notebook 04: measuring and training (section 5)."""

from __future__ import annotations

import numpy as np
import torch

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

FEW = "a handful of floating-point operations, in any order"
LOSS = "a mean of some hundred logarithms, in single or double precision"
COUNTS = "pixels are counted"


def stride_loss(scores: torch.Tensor, labels: torch.Tensor, stride: int) -> float:
    """Position by position: the label of its own pixel, void left out, minus the log of its softmax; the mean."""
    losses = []
    for y in range(scores.shape[1]):
        for x in range(scores.shape[2]):
            label = int(labels[y * stride, x * stride])
            if label != 255:
                losses.append(float(-torch.log_softmax(scores[:, y, x].double(), 0)[label]))
    return sum(losses) / len(losses) if losses else 0.0


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """counts[t, p]: pixels whose truth is t and whose prediction is p; void (255) pixels are not counted."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    for p, t in zip(prediction.ravel(), truth.ravel(), strict=True):
        if t != 255:
            counts[t, p] += 1
    return counts


def mean_iou(confusion: np.ndarray) -> float:
    """Mean over classes of true positives / (truth + prediction - true positives); absent: 0."""
    scores = []
    for c in range(len(confusion)):
        union = confusion[c, :].sum() + confusion[:, c].sum() - confusion[c, c]
        scores.append(confusion[c, c] / union if union else 0.0)
    return float(np.mean(scores))


def poly_rate(base: float, step: int, steps: int, power: float) -> float:
    """base (1 - step / steps) to the given power."""
    return base * (1 - step / steps) ** power


def _scored(*strides: int, void: float) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, int]:
        stride, classes = int(rng.choice(strides)), int(rng.integers(3, 9))
        h, w = rng.integers(3, 8, 2)
        scores = rng.standard_normal((classes, h, w), dtype=np.float32) * 3
        labels = rng.integers(classes, size=((h - 1) * stride + 1, (w - 1) * stride + 1))
        labels[rng.random(labels.shape) < void] = 255
        return torch.from_numpy(scores), torch.from_numpy(labels), stride

    return draw


def _labelled(*, void: bool) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
        classes, shape = int(rng.integers(3, 9)), tuple(rng.integers(9, 20, 2))
        truth = rng.integers(classes, size=shape)
        prediction = np.where(rng.random(shape) < 0.7, truth, rng.integers(classes, size=shape))
        truth[rng.random(shape) < 0.1 * void] = 255
        return prediction, truth, classes

    return draw


def _confusion(*, absent: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        classes = int(rng.integers(3, 22))
        confusion = rng.integers(0, 50, (classes, classes)) + np.diag(rng.integers(50, 900, classes))
        for gone in rng.choice(classes, absent, replace=False):
            confusion[gone, :] = confusion[:, gone] = 0
        return (confusion,)

    return draw


def _schedule(rng: np.random.Generator) -> tuple[float, int, int, float]:
    steps = int(rng.integers(100, 9000))
    return float(rng.uniform(1e-4, 1e-1)), int(rng.integers(1, steps)), steps, float(rng.uniform(0.5, 1.5))


def _ends(rng: np.random.Generator) -> tuple[float, int, int, float]:
    base, _, steps, power = _schedule(rng)
    return base, int(rng.choice([0, steps])), steps, power


EXERCISES = [
    Exercise(
        id="training.stride_loss",
        function="stride_loss",
        reference=stride_loss,
        title="The loss at stride 8",
        difficulty="hard",
        tests=(
            Test("no void", 2, _scored(4, 8, void=0.0), numeric(LOSS)),
            Test("void is left out", 1, _scored(8, void=0.3), numeric(LOSS)),
            Test("large strides, much void", 2, _scored(16, void=0.6), numeric(LOSS), hidden=True),
        ),
        hints=(
            "There are fewer scores than labels. Which pixel does the score at row 2, column 3 stand for at "
            "stride 8? "
            "Take that pixel's label and forget the others.",
            "scores (C, h, w), labels (H, W) with H = (h − 1)·stride + 1. Every stride-th label along both axes "
            "is an "
            "(h, w) map. The result is one number: the mean over the positions that are not void.",
            "small = every stride-th row and column of labels\n"
            "valid = where small is not 255\n"
            "minus log softmax(scores) at the label of each valid position; the mean of these\n"
            "torch.nn.functional.cross_entropy does it, with ignore_index=255 and a batch axis in front",
        ),
    ),
    Exercise(
        id="training.poly_rate",
        function="poly_rate",
        reference=poly_rate,
        title="The poly schedule",
        difficulty="easy",
        tests=(
            Test("in the middle", 2, _schedule, numeric(FEW, 1e-6, 1e-12), runs=3),
            Test("first and last step", 2, _ends, numeric(FEW, 1e-6, 1e-12), runs=4),
        ),
        hints=(
            "What share of the way is still to go? At the first step all of it, at the last none.",
            "One number. At step 0 it is `base`, at step = steps it is 0.",
            "left = 1 - step / steps            (true division)\nbase × left to the given power",
        ),
    ),
    Exercise(
        id="training.confusion",
        function="confusion",
        reference=confusion,
        title="Who is taken for whom",
        difficulty="medium",
        tests=(
            Test("every pixel counts", 2, _labelled(void=False), exact(COUNTS)),
            Test("void does not", 2, _labelled(void=True), exact(COUNTS)),
        ),
        hints=(
            "Drop the void pixels first. Then every pixel adds 1 to one cell of a table: the row is what it is, "
            "the "
            "column what it was taken for.",
            "(classes, classes), whole numbers; rows are the truth. They add up to the pixels that are not void.",
            "valid = where truth is not 255\n"
            "number each pair: classes × truth + prediction\n"
            "count each number (numpy.bincount, minlength classes²), reshape to (classes, classes)",
        ),
    ),
    Exercise(
        id="training.mean_iou",
        function="mean_iou",
        reference=mean_iou,
        title="Mean intersection over union",
        difficulty="medium",
        tests=(
            Test("all classes present", 2, _confusion(absent=0), numeric(FEW, 1e-6, 1e-9)),
            Test("a class is absent", 1, _confusion(absent=1), numeric(FEW, 1e-6, 1e-9)),
            Test("two classes are absent", 2, _confusion(absent=2), numeric(FEW, 1e-6, 1e-9), hidden=True),
        ),
        hints=(
            "For one class: how many pixels have it in both, and how many in at least one of truth and prediction?",
            "One number from 0 to 1. Rows of the table are the truth, columns the prediction; a class that is in "
            "neither has 0/0 and counts as 0 here, as in VOC's own code.",
            "hits = the diagonal\n"
            "union = row sums + column sums - hits        (or the hits would count twice)\n"
            "IoU = hits / union, 0 where union is 0;  the mean over all classes",
        ),
    ),
]
