"""The CRF studio's pictures and curves: an answer in; two pictures and some curves out. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from dlseg.common.constants import VOID
from dlseg.crf import Affinity, CRFParams
from dlseg.evaluation import ConfusionMatrix, trimap_curve
from dlseg.figures import Bar, Panel
from dlseg.widgets.canvas import shown_size
from dlseg.widgets.chart import Curves
from dlseg.widgets.layers import (
    CLEAR,
    Layer,
    Picture,
    decimated,
    difference_layer,
    entropy_layer,
    heat_layer,
    label_layer,
    photo_layer,
    probability_layer,
    scribble_layer,
)
from dlseg.widgets.studio.engine import (
    AFFINITY,
    DIFFERENCE,
    ENTROPY,
    LABELS,
    PROBABILITY,
    STEPS,
    TRUTH,
    Answer,
    Refined,
    Subject,
    Trace,
    settings_of,
)

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
WIDTHS = (1, 2, 4, 7, 10, 15, 20)  # pixels beside the void ring
STEP = 0.02  # of the picture: how far an arrow key moves the ring


def pictures(answer: Answer) -> tuple[Picture, Picture, Picture]:
    """The two pictures of a state's view, and where an answer is pinned, how the new one differs from it.

    Where a view lacks what it needs, both labellings.
    """
    state, subject, view = answer.state, answer.state.subject, answer.state.view
    left, right = _layers(answer)
    words = _words(answer)
    at = view.name == AFFINITY
    both: dict[str, Any] = {
        "image": subject.image,
        "classes": subject.names,
        "settled": answer.settled,
        "ring": view.place if at else None,
        "steps": (STEP, STEP) if at else None,
    }
    paints = subject.scribbles is not None and view.name == LABELS
    probs = (None, None) if view.name == STEPS else (answer.before.marginals, answer.refined.marginals)
    return (
        Picture(left[0], layer=left[1], status=words[0], paints=paints, probs=probs[0], **both),
        Picture(
            right[0], layer=right[1], status=words[1], probs=probs[1], settings=settings_of(state.params), **both
        ),
        _compared(answer, both),
    )


def panels_of(answer: Answer, title: str) -> list[Panel]:
    """Photo, coarse labels (or scribbles) and refined labels for a still, the last under `title`."""
    subject = answer.state.subject
    size = shown_size(*subject.size)
    photo = np.moveaxis(decimated(np.moveaxis(subject.image, 2, 0), size), 0, 2)
    if subject.scribbles is None:
        coarse = Picture("coarse", photo, label_layer(decimated(answer.coarse.labels, size), subject.names))
    else:
        coarse = Picture("scribbles", photo, scribble_layer(decimated(subject.scribbles, size), subject.names))
    refined = Picture(title, photo, label_layer(decimated(answer.refined.labels, size), subject.names))
    return [picture.panel() for picture in (Picture("image", photo, photo_layer(size)), coarse, refined)]


def _titles(answer: Answer) -> tuple[str, str]:
    state = answer.state
    if state.pinned is not None:
        return PINNED, AGAIN
    return BEFORE if state.subject.probs is not None else SCRIBBLES, LOCAL if state.kernel == "local" else AFTER


def _layers(answer: Answer) -> tuple[tuple[str, Layer], tuple[str, Layer]]:
    """Title and layer of each picture."""
    subject, view = answer.state.subject, answer.state.view
    titles, names, after = _titles(answer), subject.names, label_layer(answer.refined.labels, subject.names)
    if view.name == TRUTH and subject.truth is not None:
        return ("Truth", label_layer(subject.truth, names)), (titles[1], after)
    if view.name == STEPS and answer.trace is not None:
        return _step(answer.trace, view.step, subject)
    if view.name == DIFFERENCE:
        return (titles[0], label_layer(answer.before.labels, names)), ("What changed", _changed(answer))
    if view.name == AFFINITY and answer.affinity is not None:
        return _weights(answer.affinity)
    if view.name not in (PROBABILITY, ENTROPY) and subject.scribbles is not None:
        # with a pin too, so that one can go on painting
        return (SCRIBBLES, scribble_layer(subject.scribbles, names)), (titles[1], after)
    before = label_layer(answer.before.labels, names)
    if view.name in (PROBABILITY, ENTROPY):
        before, after = (_numbers(view.name, view.index, one, names) for one in (answer.before, answer.refined))
    return (titles[0], before), (titles[1], after)


def _numbers(view: str, index: int, refined: Refined, names: Sequence[str]) -> Layer:
    """One class's probability, or the entropy of all."""
    if view == ENTROPY:
        return entropy_layer(refined.marginals)
    return probability_layer(refined.marginals, index, names[index] if index < len(names) else f"class {index}")


def _changed(answer: Answer) -> Layer:
    """Where the labels before and after differ."""
    labels, truth = answer.refined.labels, answer.state.subject.truth
    size = (labels.shape[0], labels.shape[1])
    return difference_layer(
        labels, decimated(answer.before.labels, size), None if truth is None else decimated(truth, size)
    )


def _compared(answer: Answer, shared: dict[str, Any]) -> Picture:
    """How the new answer differs from the pinned one, and by how much it is better.

    On scribbles it also says A's settings, as A itself gives its place to what is painted on.
    """
    title, labels = "B against A", answer.refined.labels
    if answer.state.pinned is None:
        return Picture(title, layer=photo_layer((1, 1)), hidden=True, **shared)
    moved = _share(labels != decimated(answer.before.labels, (labels.shape[0], labels.shape[1])))
    found = _mean_ious(answer)
    words = [f"{found[1] - found[0]:+.1f} points of mean IoU"] if found else []
    words.append(f"{moved} differ")
    if shows_scribbles(answer):
        words.append(f"A: {_settings(answer.state.pinned.params)}")
    return Picture(title, layer=_changed(answer), status=" · ".join(words), **shared)


def shows_scribbles(answer: Answer) -> bool:
    """Whether the left picture is that of the user's scribbles."""
    return answer.state.subject.scribbles is not None and answer.state.view.name == LABELS


def _mean_ious(answer: Answer) -> tuple[float, float] | None:
    """Before and after; None without a ground truth."""
    subject = answer.state.subject
    if subject.truth is None:
        return None
    count = len(subject.names)
    first, second = (mean_iou(one.labels, subject.truth, count) for one in (answer.before, answer.refined))
    return first, second


def _step(trace: Trace, step: int, subject: Subject) -> tuple[tuple[str, Layer], tuple[str, Layer]]:
    """The labels after an iteration, and what it alone changed."""
    last, truth = len(trace.labels) - 1, subject.truth
    at = min(step, last)
    now, earlier = trace.labels[at], trace.labels[max(at - 1, 0)]
    size = (now.shape[0], now.shape[1])
    changed = difference_layer(now, earlier, None if truth is None else decimated(truth, size))
    first = "Iteration 0: the unary alone" if at == 0 else f"After iteration {at} of {last}"
    second = f"What iteration {at} changed" if at else "Nothing changed yet"
    return (first, label_layer(now, subject.names)), (second, changed)


def _weights(affinity: Affinity) -> tuple[tuple[str, Layer], tuple[str, Layer]]:
    """What the ringed pixel weighs every other by each kernel."""
    found = []
    for name, values in zip(("Appearance", "Smoothness"), affinity, strict=True):
        # weights span decades: shown by their logarithm, three decades down from the greatest, laid over the photo
        top = max(float(values.max()), 1e-30)
        decades = np.log10(np.maximum(values, top * 1e-3) / top).astype(np.float32)
        layer = heat_layer(decades, Bar("log₁₀ of the weight, relative to the greatest", -3.0, 0.0, "magma"))
        table = layer.table.copy()
        table[:, 3] = np.linspace(120, 255, 256)
        table[0, 3] = CLEAR
        found.append((f"{name}: what the ringed pixel weighs the others", replace(layer, table=table)))
    return found[0], found[1]


def scores(answer: Answer) -> str:
    """The number that the sliders are moved for, as HTML: mean IoU before and after.

    Without a ground truth it is the share of pixels that differ from the network alone. Scribbles label too few
    pixels to count against, and beside a pinned answer the third picture says what differs.
    """
    refined, found = answer.refined, _mean_ious(answer)
    names = [SHORT[title] for title in _titles(answer)]
    big = small = ""
    if found is not None:
        big = f"{found[0]:.1f} → {found[1]:.1f} %"
        small = f"mean IoU, {names[0]} → {names[1]}: {found[1] - found[0]:+.1f}"
    elif answer.state.pinned is None and answer.state.subject.scribbles is None:
        before = decimated(answer.before.labels, (refined.labels.shape[0], refined.labels.shape[1]))
        big = f"{100 * float((refined.labels != before).mean()):.1f} %"
        small = "of pixels differ from the net alone"
    quick = "" if refined.full else " · preview"
    times = f"{1000 * refined.seconds:.0f} ms{quick}"
    if answer.state.pinned is not None:
        times = f"A {1000 * answer.before.seconds:.0f} ms, B {times}"
    return (
        '<div class="dlseg-scores" role="status" aria-live="polite">'
        f"<b>{big}</b><span>{escape(small)}</span><span>{times}</span></div>"
    )


def _words(answer: Answer) -> tuple[str, str]:
    """What stands under the two pictures."""
    state, refined, subject = answer.state, answer.refined, answer.state.subject
    if not refined.full:
        return "", "preview …"
    if state.view.name == STEPS and answer.trace is not None:
        return _step_words(answer.trace, state.view.step, subject)
    if state.view.name == AFFINITY:
        return "Click a picture, or move the ring by arrow keys", ""
    if subject.scribbles is not None and shows_scribbles(answer):
        left = _share_drawn(subject.scribbles)
    else:
        left = _score(answer.before.labels, subject)
        if state.pinned is not None:
            left = " · ".join(filter(None, [_settings(state.pinned.params), left]))
    words = [_score(refined.labels, subject)]
    if subject.scribbles is None and state.pinned is None and subject.truth is not None:
        before = decimated(answer.before.labels, (refined.labels.shape[0], refined.labels.shape[1]))
        words.append(f"{_share(refined.labels != before)} differ from the net alone")
    if answer.working != subject.size:
        (height, width), (rows, columns) = subject.size, answer.working
        words.append(f"computed on {columns} × {rows} of {width} × {height} pixels, reaches to match")
    return "" if state.view.name == TRUTH else left, " · ".join(filter(None, [*words, subject.note]))


def _settings(params: CRFParams) -> str:
    """The numbers on the sliders, so that a pinned answer says where it came from."""
    appearance = f"w1 {params.w1:g}, σα {params.sigma_alpha:g}, σβ {params.sigma_beta:g}"
    return f"{appearance}, w2 {params.w2:g}, σγ {params.sigma_gamma:g}"


def _step_words(trace: Trace, step: int, subject: Subject) -> tuple[str, str]:
    at = min(step, len(trace.labels) - 1)
    moved = f"{_share(trace.labels[at] != trace.labels[at - 1])} relabelled by this iteration" if at else ""
    return _score(trace.labels[at], subject), moved


def _score(labels: np.ndarray, subject: Subject) -> str:
    """Mean IoU, where there is a ground truth."""
    if subject.truth is None:
        return ""
    return f"mean IoU {mean_iou(labels, subject.truth, len(subject.names)):.1f} %"


def _share_drawn(scribbles: np.ndarray) -> str:
    share = float((scribbles != VOID).mean())
    return f"{100 * share:.1f} % of pixels scribbled on" if share else DRAW


def _share(which: np.ndarray) -> str:
    return f"{100 * float(which.mean()):.1f} % of pixels"


def curves(answer: Answer) -> list[Curves]:
    """What each iteration did: free energy; with a ground truth mean IoU, and near edges, else how far Q moved."""
    trace, truth, before = answer.trace, answer.state.subject.truth, answer.before
    if trace is None:
        return []
    first, second = (SHORT[title] for title in _titles(answer))
    steps = list(range(len(trace.labels)))
    values = [value / trace.labels[0].size for value in trace.free_energy]
    energy = Curves("Free energy, nats per pixel", "after iteration", steps, {second: values})
    if truth is None:
        change = {second: list(trace.change[1:])}
        return [energy, Curves("Largest change of a probability", "in iteration", steps[1:], change)]
    count = len(answer.state.subject.names)
    scores = {
        second: [mean_iou(labels, truth, count) for labels in trace.labels],
        first: [mean_iou(before.labels, truth, count)] * len(steps),
    }
    found = [energy, Curves("Mean IoU, %", "after iteration", steps, scores)]
    if (truth == VOID).any():
        size = (truth.shape[0], truth.shape[1])
        lines = {}
        for name, labels in ((second, trace.labels[-1]), (first, before.labels)):
            band = trimap_curve([decimated(labels, size)], [truth], WIDTHS, count)
            lines[name] = [100 * band[width] for width in WIDTHS]
        found.append(Curves("Mean IoU near edges (trimap), %", "px from the void ring", WIDTHS, lines))
    return found


def mean_iou(labels: np.ndarray, truth: np.ndarray, num_classes: int) -> float:
    """Mean IoU in percent over the classes that occur; labels of another size are enlarged first."""
    matrix = ConfusionMatrix(num_classes).update(decimated(labels, (truth.shape[0], truth.shape[1])), truth)
    return 100 * matrix.mean_iou("nan")
