"""Pooling buys invariance and sells position (section 3.1): shift the image, and watch the score map not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dlseg.common.constants import ORANGE, SKY
from dlseg.datasets import load
from dlseg.evaluation import ConfusionMatrix
from dlseg.figures import Bar, Mark, enlarged, grid_lines, outline
from dlseg.figures.labels import check_labels
from dlseg.images import as_rgb
from dlseg.widgets.display import shown
from dlseg.widgets.explorer import ROW, Explorer, choice, whole_slider
from dlseg.widgets.layers import Picture, heat_layer, label_layer, photo_layer
from dlseg.widgets.pooling_model import (
    VOID,
    best_labels,
    classifier,
    first_centre,
    moved,
    outer_taps,
    scores_at,
    spread,
)

STRIDES = (32, 16, 8)
FARTHEST = 32  # px that the image can be shifted either way
SIDE = 384  # pixels of a picture on the page; larger images are worked on at this size
SCENE = 5  # of the validation split: one hammer
GREY = (190, 190, 190)  # of cells whose score is still to come


@dataclass(frozen=True)
class Shift:
    """The image moved `right` and `down` by so many pixels, a score every `stride`; class `index` is shown.

    The window has walked over the first `walked` cells, row by row; by default over all.
    """

    right: int = 0
    down: int = 0
    stride: int = 32
    index: int = 1
    walked: int = 10**6


@dataclass(frozen=True, eq=False)
class Shifted:
    """What a shift does.

    Attributes:
        image: moved, (H, W, 3); what comes in at the edge mirrors it.
        label: its truth, moved alike, (H, W); void (255) comes in.
        scores: of the shown class, (h, w), one every `shift.stride` pixels.
        before: the same of the unmoved image.
        answer: of the whole image: the mean score of each class, (C,), background aside.
        best: labels (H, W): the right label of each cell, enlarged.
    """

    shift: Shift
    image: UInt8[np.ndarray, "H W 3"]
    label: UInt8[np.ndarray, "H W"]
    scores: Float[np.ndarray, "h w"]
    before: Float[np.ndarray, "h w"]
    answer: Float[np.ndarray, " C"]
    best: UInt8[np.ndarray, "H W"]

    @property
    def best_iou(self) -> float:
        """Mean IoU of `best` over the classes there are, 0 … 1."""
        return ConfusionMatrix(VOID).update(self.best, self.label).mean_iou("nan")

    @property
    def peak(self) -> tuple[int, int]:
        """The cell (row, column) with the highest score."""
        return _peak(self.scores)

    @property
    def peak_moved(self) -> tuple[int, int]:
        """How far that cell lies from the unmoved image's, (down, right) in pixels."""
        (row, column), (old_row, old_column) = self.peak, _peak(self.before)
        return (row - old_row) * self.shift.stride, (column - old_column) * self.shift.stride


class PoolingExplorer(Explorer[Shift, Shifted]):
    """The explorer that `pooling_explorer` makes and shows; see there.

    Args:
        image: RGB, (H, W, 3).
        label: its truth (H, W), 255 = void.
    """

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], label: UInt8[np.ndarray, "H W"]) -> None:
        self._image, self._label = image, label
        self._times = max(1, SIDE // max(label.shape))
        self._names = ("background", *classifier(32)[1])
        counts = np.bincount(label[label < len(self._names)], minlength=2)
        begin = Shift(index=1 + int(counts[1:].argmax()))
        dense = [scores_at(image, 8)[v] for v in range(len(self._names) - 1)]
        self._bars = [Bar.over("score of the shapes classifier", scores) for scores in dense]
        self._counts = {stride: scores_at(image, stride)[0].size for stride in STRIDES}
        begin = replace(begin, walked=self._counts[32])
        walked = whole_slider("window", begin.walked, 1, begin.walked, "How far the window walked, cell by cell")
        self.play = ipywidgets.Play(begin.walked, 1, begin.walked, interval=250, layout={"width": "150px"})
        ipywidgets.jslink((self.play, "value"), (walked, "value"))
        self.start(
            begin,
            {
                "right": whole_slider("right (px)", 0, -FARTHEST, FARTHEST, "Move the image to the right"),
                "down": whole_slider("down (px)", 0, -FARTHEST, FARTHEST, "Move the image down"),
                "stride": choice(
                    "stride",
                    32,
                    [(f"{s} px", s) for s in STRIDES],
                    "Pixels from one score to the next: 32 in VGG-16; less where poolings do not skip",
                    140,
                ),
                "index": choice(
                    "scores for",
                    begin.index,
                    [(name, v) for v, name in enumerate(self._names) if v],
                    "The class whose scores are shown",
                    200,
                ),
                "walked": walked,
            },
        )

    def _fitted(self, state: Shift) -> Shift:
        count = self._counts[state.stride]
        another = state.stride != self.state.stride
        return replace(state, walked=count if another else min(state.walked, count))

    def _offer(self, state: Shift) -> None:
        self.controls["walked"].max = self.play.max = self._counts[state.stride]

    def _rows(self) -> list[Any]:
        *controls, walked = self.controls.values()
        return [ipywidgets.HBox(row, layout=ROW) for row in (controls, [self.play, walked], self.pictures)]

    def _answer(self, state: Shift) -> Shifted:
        image = moved(self._image, state.down, state.right)
        label = moved(self._label, state.down, state.right, "constant", constant_values=VOID)
        scores, before = scores_at(image, state.stride), scores_at(self._image, state.stride)
        best = best_labels(label, scores.shape[1:], state.stride, first_centre(state.stride))
        chosen = state.index - 1
        return Shifted(state, image, label, scores[chosen], before[chosen], scores.mean((1, 2)), best)

    def _draw(self, answer: Shifted) -> Sequence[Picture]:
        shift, name = answer.shift, self._names[answer.shift.index]
        image, cells = enlarged(answer.image, self._times), self._cells(answer)
        scores = spread(answer.scores, answer.label.shape, shift.stride, first_centre(shift.stride))
        winner = self._names[1 + int(answer.answer.argmax())]
        ruler = (0.0, 0.0, float(self._times))
        rows, columns = answer.scores.shape
        words, to_come = f"the highest score: {way(*answer.peak_moved)}", list[Mark]()
        if shift.walked < answer.scores.size:
            order = np.arange(answer.scores.size, dtype=np.float64).reshape(answer.scores.shape)
            after = spread(order, answer.label.shape, shift.stride, first_centre(shift.stride)) >= shift.walked
            to_come = [Mark("still to come", GREY, enlarged(after, self._times))]
            score = float(answer.scores.flat[shift.walked - 1])
            words = f"window {shift.walked} of {answer.scores.size}: score {score:.2f}"
        return [
            Picture(
                "The image",
                image,
                photo_layer(image.shape[:2]).marked(cells),
                f"{way(shift.down, shift.right)}; the shapes classifier takes the whole for a “{winner}”",
                ruler=ruler,
            ),
            Picture(
                f"{rows} × {columns} scores for “{name}”",
                image,
                heat_layer(enlarged(scores, self._times), self._bars[shift.index - 1]).marked(to_come + cells[1:]),
                words + edge(answer),
                ruler=ruler,
            ),
            Picture(
                "Labels of a perfect map",
                image,
                label_layer(enlarged(answer.best, self._times), self._names),
                f"mean IoU {100 * answer.best_iou:.1f} % with the right label at each of {rows} × {columns} cells",
                ruler=ruler,
            ),
        ]

    def _cells(self, answer: Shifted) -> list[Mark]:
        times, stride = self._times, answer.shift.stride * self._times
        height, width = (times * n for n in answer.label.shape)
        first = (first_centre(answer.shift.stride) + 0.5) * times - stride / 2  # where cell 0 begins
        walking = answer.shift.walked < answer.scores.size
        at = divmod(answer.shift.walked - 1, answer.scores.shape[1]) if walking else answer.peak
        top, left = (first + n * stride for n in at)
        rim = outline((height, width), (top, left, top + stride - 1, left + stride - 1), 5)
        lines = grid_lines((height, width), stride, first, 2)
        return [
            Mark(f"cells of {answer.shift.stride} px, a score each", SKY, lines),
            Mark("the window" if walking else "the highest score", ORANGE, rim),
        ]


def _peak(scores: Float[np.ndarray, "h w"]) -> tuple[int, int]:
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row), int(column)


def edge(answer: Shifted) -> str:
    """Why a few outer rows and columns of a map stand out, as a line of its own; "" where none do."""
    reach = outer_taps(answer.shift.stride)
    beyond = min(answer.scores.shape) - reach // answer.shift.stride
    if not 0 < 4 * beyond < min(answer.scores.shape):
        return ""
    return f"\nOuter rows and columns stand out: only there do fc6's outer taps, {reach} px away, meet the image."


def way(down: int, right: int) -> str:
    """A move in words: "moved 3 px right and 2 px up"."""
    words = [f"{abs(n)} px {name[n < 0]}" for n, name in ((right, ("right", "left")), (down, ("down", "up"))) if n]
    return "moved " + " and ".join(words) if words else "not moved"


def pooling_explorer(image: Any = None, label: Any = None) -> PoolingExplorer:
    """Shift an image and watch a classifier's score map (not) follow, at stride 32, 16 or 8.

    The scores are the shapes classifier's (VGG-16, an eighth as wide), at stride 16 and 8 by the hole algorithm.
    Beside them: the right label at each of the same cells, enlarged. (Scores can do a little better than labels.)

    Args:
        image: uint8 RGB, (H, W, 3), at least 64 × 64 pixels; default: a hammer of the shapes. Above 384 pixels it
            is worked on smaller.
        label: its truth (H, W), 255 void; needed with `image`.

    Returns:
        The explorer: `.state` (a `Shift`) and `.answer` (a `Shifted`, with the arrays) follow the controls.

    Raises:
        ValueError: an argument of the wrong kind or shape; it says which.
    """
    if image is None:
        sample = load("shapes", "val")[SCENE]
        image, label = sample.image, sample.label
    elif label is None:
        raise ValueError("label: got None, expected the image's truth (H, W) with an image")
    pixels, truth = as_rgb(np.asarray(image)), check_labels(label).astype(np.uint8)
    if truth.shape != pixels.shape[:2]:
        raise ValueError(f"label: got {truth.shape}, expected shape {pixels.shape[:2]}")
    if min(truth.shape) < 2 * FARTHEST:
        raise ValueError(f"image: got {truth.shape}, expected at least {2 * FARTHEST}×{2 * FARTHEST} pixels")
    return shown(PoolingExplorer(*_at_most(SIDE, pixels, truth)))


def _at_most(side: int, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = label.shape
    if max(height, width) <= side:
        return image, label
    size = round(width * side / max(height, width)), round(height * side / max(height, width))
    return (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)),
        np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST)),
    )
