"""The CRF studio's screen: two pictures with words under them, and curves. It knows answers, and no sliders."""

from __future__ import annotations

import ipywidgets
import numpy as np

from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.chart import Chart
from dlseg.widgets.planes import UNSAID, decimated, label_plane
from dlseg.widgets.refiner import Trace, winners
from dlseg.widgets.studio_bench import Answer
from dlseg.widgets.studio_curves import curves, mean_iou
from dlseg.widgets.studio_views import AFFINITY, STEPS, TRUTH, pair
from dlseg.widgets.subject import Subject

BEFORE, SCRIBBLES, PINNED = "Before: the net's coarse scores", "Before: your scribbles", "A: pinned"
AFTER, LOCAL, AGAIN = "After: the fully connected CRF", "After: the local CRF", "B: as set now"
DRAW = "Drag on this picture to scribble; each label needs a stroke"
SHORT = {
    BEFORE: "net alone",
    SCRIBBLES: "scribbles alone",
    PINNED: "A",
    AFTER: "CRF",
    LOCAL: "local CRF",
    AGAIN: "B",
}
ROW = {"flex_flow": "row wrap", "overflow": "hidden"}


class StudioScreen:
    """`pictures` and `charts`, boxes to show; `before` and `after` are the two pictures."""

    def __init__(self, subject: Subject) -> None:
        plane = label_plane(winners(subject.unary()), subject.names)
        self.before, self.after = (LabelCanvas(subject.image, plane, title) for title in (BEFORE, AFTER))
        for picture in (self.before, self.after):
            picture.layout = {"flex": "1 1 300px", "min_width": "0", "max_width": "568px"}
        self.pictures = ipywidgets.HBox([self.before, self.after], layout=ROW)
        wide = {"flex": "1 1 230px", "min_width": "0", "max_width": "300px"}
        self._charts = [Chart(layout=wide) for _ in range(3)]
        self.charts = ipywidgets.HBox(self._charts, layout={**ROW, "display": "none"})
        self._drawn = (0, 0)  # which trace, beside what
        self.all = [self.before, self.after, *self._charts, self.pictures, self.charts]

    def take(self, image: np.ndarray) -> None:
        """Another photo (H, W, 3)."""
        self.before.take(image)
        self.after.take(image)

    def show(self, answer: Answer) -> None:
        """Show an answer: pictures, words, and curves where they are asked for."""
        asked, subject, refined = answer.asked, answer.asked.subject, answer.refined
        before, titles = answer.before, _titles(answer)
        scribbles = None if asked.pinned else subject.scribbles
        shown = pair(
            asked.view,
            before,
            refined,
            titles,
            subject.names,
            subject.truth,
            affinity=answer.affinity,
            trace=answer.trace,
            scribbles=scribbles,
        )
        words = _words(answer, scribbles)
        settled = refined.full and (answer.trace is not None or not asked.traced)
        self.before.show(shown.left, title=shown.left_title, status=words[0], settled=settled)
        self.after.show(shown.right, title=shown.right_title, status=words[1], settled=settled)
        self._curves(answer, titles)

    def _curves(self, answer: Answer, titles: tuple[str, str]) -> None:
        asked, trace = answer.asked, answer.trace
        self.charts.layout.display = None if asked.curves else "none"
        if not asked.curves or trace is None:
            return
        subject = asked.subject
        key = id(trace), id(answer.before)
        if self._drawn != key:
            found = curves(
                trace, answer.before, (SHORT[titles[0]], SHORT[titles[1]]), subject.truth, len(subject.names)
            )
            for chart, one in zip(self._charts, found, strict=False):
                chart.show(one)
            for chart in self._charts[len(found) :]:
                chart.data = {}
            self._drawn = key
        for chart in self._charts[:2]:
            chart.marker = asked.view.step if asked.view.name == STEPS else -1


def _titles(answer: Answer) -> tuple[str, str]:
    asked = answer.asked
    if asked.pinned is not None:
        return PINNED, AGAIN
    return BEFORE if asked.subject.probs is not None else SCRIBBLES, LOCAL if asked.kernel == "local" else AFTER


def _counted(labels: np.ndarray, subject: Subject) -> str:
    """Mean IoU, where there is a truth."""
    if subject.truth is None:
        return ""
    return f"mean IoU {mean_iou(labels, subject.truth, len(subject.names)):.1f} %"


def _marked(scribbles: np.ndarray) -> str:
    share = float((scribbles != UNSAID).mean())
    return f"{100 * share:.1f} % of pixels scribbled on" if share else DRAW


def _words(answer: Answer, scribbles: np.ndarray | None) -> tuple[str, str]:
    """What stands under the two pictures."""
    asked, refined, subject = answer.asked, answer.refined, answer.asked.subject
    if not refined.full:
        return "", "preview …"
    if asked.view.name == STEPS and answer.trace is not None:
        return _step_words(answer.trace, asked.view.step, subject)
    left = _counted(answer.before.labels, subject) if scribbles is None else _marked(scribbles)
    if asked.view.name == AFFINITY:
        return "Click a picture, or move the ring by arrow keys", ""
    left = "" if asked.view.name == TRUTH else left
    words = [_counted(refined.labels, subject)]
    if scribbles is None:
        before = decimated(answer.before.labels, (refined.labels.shape[0], refined.labels.shape[1]))
        words.append(f"{_share(refined.labels != before)} relabelled")
    if answer.working != subject.size:
        (height, width), (rows, columns) = subject.size, answer.working
        words.append(f"computed on {columns} × {rows} of {width} × {height} pixels, reaches to match")
    return left, " · ".join(filter(None, [*words, subject.note]))


def _step_words(trace: Trace, step: int, subject: Subject) -> tuple[str, str]:
    at = min(step, len(trace.labels) - 1)
    return _counted(trace.labels[at], subject), (
        f"{_share(trace.labels[at] != trace.labels[at - 1])} relabelled by it" if at else ""
    )


def _share(which: np.ndarray) -> str:
    return f"{100 * float(which.mean()):.1f} % of pixels"
