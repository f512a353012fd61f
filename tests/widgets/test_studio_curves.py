"""Curves and step by step: the numbers are those of the CRF's own steps and of the evaluation."""

import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dlseg.crf import CRFParams, DenseCRF
from dlseg.evaluation import ConfusionMatrix, trimap_curve
from dlseg.widgets import CRFStudio, crf_studio
from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.studio.engine import STEPS
from dlseg.widgets.studio.view import WIDTHS

NAMES = ("background", "box", "ball")
VOID_TRUTH = np.zeros((24, 32), np.uint8)
VOID_TRUTH[6:18, 4:10], VOID_TRUTH[8:16, 16:28], VOID_TRUTH[5] = 1, 2, 255
NOISE = np.random.default_rng(0).normal(0, 4, (24, 32, 3))
COLOURS = np.array([[90, 120, 80], [200, 120, 60], [80, 80, 200]])[VOID_TRUTH % 255]
IMAGE = np.clip(COLOURS + NOISE, 0, 255).astype(np.uint8)
MAPS = np.stack([gaussian_filter((c == VOID_TRUTH).astype(np.float32), 2.0) for c in range(3)]) + 0.02
PROBS = (MAPS / MAPS.sum(axis=0)).astype(np.float32)
TRUE_STEPS = list(DenseCRF(IMAGE, probs=PROBS, kernel="exact").steps(CRFParams()))


@pytest.fixture
def studio() -> Iterator[CRFStudio]:
    made = crf_studio(IMAGE, probs=PROBS, truth=VOID_TRUTH, classes=NAMES, kernel="exact")
    yield made
    made.close()


def seen(canvas: LabelCanvas) -> np.ndarray:
    return np.frombuffer(zlib.decompress(canvas.layer), np.uint8).reshape(canvas.layer_size)


def drawn(studio: CRFStudio) -> list[dict]:
    _ = studio.labels
    return [chart.data for chart in studio.charts]


def test_without_the_button_no_curve_is_computed(studio: CRFStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DenseCRF, "steps", None)
    studio.sliders["w1"].value = 2.0
    assert drawn(studio) == [{}, {}, {}] and studio.charts_row.layout.display == "none"


def test_curves_are_measured(studio: CRFStudio) -> None:
    studio.tools.curves.value = True
    energy, score, edges = drawn(studio)
    assert studio.charts_row.layout.display is None and energy["x"] == list(range(11))
    assert energy["lines"] == [{"name": "CRF", "values": [s.free_energy / VOID_TRUTH.size for s in TRUE_STEPS]}]

    def iou(labels: np.ndarray) -> float:
        return 100 * ConfusionMatrix(3).update(labels, VOID_TRUTH).mean_iou("nan")

    crf, net = score["lines"]
    assert crf["values"] == [iou(s.q.argmax(0)) for s in TRUE_STEPS]
    assert net == {"name": "net alone", "values": [iou(PROBS.argmax(0))] * 11}
    wanted = trimap_curve([studio.labels], [VOID_TRUTH], WIDTHS, 3)
    assert edges["x"] == list(WIDTHS) and edges["lines"][0]["values"] == [100 * wanted[w] for w in WIDTHS]


def test_without_a_truth_the_second_curve_is_how_far_it_moved() -> None:
    studio = crf_studio(IMAGE, probs=PROBS, classes=NAMES, kernel="exact")
    studio.tools.curves.value = True
    _, change, none = drawn(studio)
    assert change["lines"][0]["values"] == [s.change for s in TRUE_STEPS[1:]] and none == {}
    studio.close()


def test_a_pinned_answer_is_the_other_curve(studio: CRFStudio) -> None:
    pinned = studio.labels
    studio.tools.curves.value = True
    studio.tools.pin.value = True
    studio.sliders["w1"].value = 0.5
    score = drawn(studio)[1]
    wanted = 100 * ConfusionMatrix(3).update(pinned, VOID_TRUTH).mean_iou("nan")
    assert [line["name"] for line in score["lines"]] == ["B", "A"] and score["lines"][1]["values"] == [wanted] * 11


def test_step_by_step(studio: CRFStudio) -> None:
    studio.tools.curves.value = True
    studio.tools.view.value = STEPS
    assert studio.tools.step.layout.display is None and studio.tools.step.max == 10
    for step in (0, 1, 4, 10):
        studio.tools.step.value = step
        _ = studio.labels
        labels, earlier = (TRUE_STEPS[i].q.argmax(0) for i in (step, max(step - 1, 0)))
        assert np.array_equal(seen(studio.before), labels)
        assert np.array_equal(seen(studio.after) > 0, labels != earlier)
        assert [chart.marker for chart in studio.charts] == [step, step, -1]
    assert studio.before.title == "After iteration 10 of 10"
    studio.sliders["iterations"].value = 3
    _ = studio.labels
    assert studio.tools.step.max == 3 and studio.before.title == "After iteration 3 of 3"
    studio.tools.view.value = "labels"
    assert studio.tools.step.layout.display == "none"
