"""Exercises of notebook 04: measuring and training (section 5)."""

from __future__ import annotations

import numpy as np
import torch

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

FEW = "a handful of floating-point operations, in any order"
LOSS = "a mean of some hundred logarithms, in single or double precision"
COUNTS = "pixels are counted"
STEPS = "up to 50 steps, in single or double precision"


def stride_loss(scores: torch.Tensor, labels: torch.Tensor, stride: int) -> torch.Tensor:
    """At each score: the label of its own pixel, minus the log of its softmax; the mean, void left out."""
    target = labels[::stride, ::stride].long()
    known = target != 255
    logs = torch.log_softmax(scores, dim=0)
    losses = [-logs[label][(target == label) & known] for label in range(len(scores))]
    return torch.cat(losses).sum() / max(1, int(known.sum()))


def descend(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, base: float, steps: int
) -> torch.Tensor:
    """Stochastic gradient descent with momentum 0.9 and the poly schedule; softmax's gradient written out."""
    x, w = features.double(), weight.double()
    right = torch.eye(len(w), dtype=torch.float64)[labels]
    velocity = torch.zeros_like(w)
    for step in range(steps):
        gradient = (torch.softmax(x @ w.T, dim=1) - right).T @ x / len(x)
        velocity = 0.9 * velocity + gradient
        w = w - base * (1 - step / steps) ** 0.9 * velocity
    return w.float()


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


def _problem(least: int, most: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float, int]:
        count, width, classes = int(rng.integers(12, 30)), int(rng.integers(3, 6)), int(rng.integers(3, 6))
        features = torch.from_numpy(rng.standard_normal((count, width), dtype=np.float32))
        weight = torch.from_numpy(rng.standard_normal((classes, width), dtype=np.float32))
        labels = torch.from_numpy(rng.integers(classes, size=count))
        return features, labels, weight, float(rng.uniform(0.1, 0.4)), int(rng.integers(least, most + 1))

    return draw


EXERCISES = [
    Exercise(
        id="training.stride_loss",
        function="stride_loss",
        reference=stride_loss,
        title="The loss at stride 8",
        difficulty="medium",
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
            "(h, w) map. The result is one number, a tensor that still knows how it was computed: no float(…).",
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
            Test("in the middle", 1, _schedule, numeric(FEW, 1e-6, 1e-12), runs=3),
            Test("first and last step", 1, _ends, numeric(FEW, 1e-6, 1e-12), runs=4),
        ),
        hints=(
            "What share of the way is still to go? At the first step all of it, at the last none.",
            "One number. At step 0 it is `base`, at step = steps it is 0.",
            "left = 1 - step / steps            (true division)\nbase × left to the given power",
        ),
    ),
    Exercise(
        id="training.descend",
        function="descend",
        reference=descend,
        title="A training loop in ten lines",
        difficulty="hard",
        rules=("no optimiser",),
        tests=(
            Test("one step", 1, _problem(1, 1), numeric(STEPS, 1e-3, 1e-4)),
            Test("a few steps", 2, _problem(4, 9), numeric(STEPS, 1e-3, 1e-4)),
            Test("many steps", 2, _problem(30, 50), numeric(STEPS, 1e-3, 1e-4), hidden=True),
        ),
        hints=(
            "Each step: scores, loss, the loss's gradient, velocity, weights. What is kept from step to step?",
            "features (N, F), weight (C, F): the scores features @ weight.T are (N, C). Gradient and velocity have "
            "the weights' shape; the velocity begins with zeros. The result is (C, F), without a gradient.",
            "weight = a copy that wants a gradient\n"
            "for step = 0, 1, … steps - 1:\n"
            "    loss = mean cross-entropy of features @ weight.T and labels\n"
            "    gradient = torch.autograd.grad(loss, weight)[0]\n"
            "    velocity = 0.9 velocity + gradient\n"
            "    weight -= base (1 - step / steps)^0.9 velocity            (inside torch.no_grad())",
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
            Test("all classes present", 1, _confusion(absent=0), numeric(FEW, 1e-6, 1e-9)),
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
