"""What the page gets to preview by itself: a problem small enough, and none where it computes another CRF."""

import sys
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF
from dlseg.widgets import crf_studio
from dlseg.widgets.crf_studio import CRFStudio
from dlseg.widgets.studio.engine import AFFINITY, PROBABILITY, Engine, StudioState, View, make_subject
from dlseg.widgets.studio.preview import WORK

crf_studio_module = sys.modules[CRFStudio.__module__]  # the package's name is the function's


def problem(height: int = 30, width: int = 40, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Noise with two likely labels, one here and there, and others that are nowhere."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    probs = rng.uniform(0, 0.01, (classes, height, width)).astype(np.float32)
    probs[0, :, : width // 2], probs[3, :, width // 2 :], probs[5, 0, 0] = 1, 1, 0.5
    return image, probs / probs.sum(0)


def carried(studio: CRFStudio) -> tuple[np.ndarray, np.ndarray]:
    """Image and probabilities as the page gets them."""
    form, data = studio.preview.form, zlib.decompress(studio.preview.problem)
    size, count = (form["height"], form["width"]), len(form["kept"])
    cut = 2 * count * size[0] * size[1]
    probs = np.frombuffer(data[:cut], "<f2").reshape(count, *size)
    return np.frombuffer(data[cut:], np.uint8).reshape(*size, 3), probs


def test_a_small_picture_travels_as_it_is_without_labels_that_are_nowhere() -> None:
    image, probs = problem()
    studio = crf_studio(image, probs)
    found, kept = carried(studio)
    assert studio.preview.form["kept"] == [0, 3, 5] and studio.preview.form["factor"] == 1
    assert np.array_equal(found, image)
    np.testing.assert_allclose(kept, probs[[0, 3, 5]] / probs[[0, 3, 5]].sum(0), atol=1e-3)
    assert studio.preview.params == [5, 50, 10, 3, 3, 10] and studio.preview.shows == "labels"
    assert studio.after.settings == [5, 50, 10, 3, 3, 10]
    studio.close()


def test_a_large_picture_travels_as_small_as_the_page_can_refine_it() -> None:
    """The same means over squares as the kernel's own preview."""
    image, probs = problem(600, 500)
    studio = crf_studio(image, probs)
    found, kept = carried(studio)
    factor, count = studio.preview.form["factor"], len(kept)
    assert found.shape[0] * found.shape[1] * 4 <= WORK * 1.05 and count == 3 and factor > 1
    small = DenseCRF(image, probs=probs).reduced(factor)
    assert (small.height, small.width) == found.shape[:2]
    unary = next(small.steps(CRFParams())).q[[0, 3, 5]]
    np.testing.assert_allclose(kept, unary / unary.sum(0), atol=2e-3)
    assert len(studio.preview.problem) < 500_000
    studio.close()


def test_it_travels_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image, probs = problem()
    studio = crf_studio(image, probs)
    sent = studio.preview.problem
    monkeypatch.setattr(studio.preview, "_packed", lambda *_: pytest.fail("packed again"))
    studio.params = CRFParams(w1=1)
    assert studio.answer.state.params.w1 == 1
    assert studio.preview.problem is sent and studio.preview.params[0] == 1
    studio.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel": "local"},
        {"kernel": "exact"},
        {"compatibility": 1 - np.eye(6, dtype=np.float32)},
    ],
    ids=["local", "exact", "compatibility"],
)
def test_another_crf_is_not_previewed(settings: dict[str, Any]) -> None:
    studio = crf_studio(*problem(), **settings)
    assert studio.preview.problem == b"" and studio.preview.shows == ""
    studio.close()


def test_a_view_that_the_page_cannot_draw_is_not_previewed() -> None:
    studio = crf_studio(*problem())
    studio.tools.view.value = "what changed"
    assert studio.answer.state.view.name == "what changed"
    assert studio.preview.shows == "" and studio.preview.problem
    studio.tools.view.value = "entropy"
    assert studio.answer.state.view.name == "entropy"
    assert studio.preview.shows == "entropy"
    studio.close()


def test_the_page_covers_only_what_it_was_given_to_preview() -> None:
    image, probs = problem()
    studio = crf_studio(image, probs)
    state, preview = studio.state, studio.preview
    assert not preview.covers(state), "no page has said yet that it makes previews"
    preview.answers = True  # as the page's script sets it
    assert preview.covers(state)
    assert preview.covers(replace(state, params=CRFParams(w1=1.0)))
    assert not preview.covers(replace(state, params=CRFParams(normalization="symmetric")))
    assert not preview.covers(replace(state, kernel="exact"))
    assert not preview.covers(replace(state, view=View(AFFINITY)))
    assert not preview.covers(replace(state, view=View(PROBABILITY, 1)))
    assert not preview.covers(replace(state, subject=replace(state.subject)))
    studio.close()


def test_a_dragged_slider_leaves_the_processors_to_the_page_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, probs = problem()
    studio = crf_studio(image, probs)
    studio.preview.answers = True
    asked = [replace(studio.state, params=CRFParams(w1=w1)) for w1 in (1.0, 2.0, 3.0)]
    assert list(studio._answers(asked[0], lambda: True)) == [], "a newer state is there"
    (found,) = studio._answers(asked[1], lambda: False)
    assert found.refined.full and found.state is asked[1]
    monkeypatch.setattr(crf_studio_module, "STALE", 0.0)
    studio._since = 1e-9  # the first state that waits is old
    (found,) = studio._answers(asked[2], lambda: True)
    assert found.refined.full, "it is computed although the slider goes on"
    studio.preview.answers = False
    studio.params = CRFParams(w1=4.0)
    assert studio.answer.state.params.w1 == 4.0
    studio.close()


def test_without_quick_answers_a_large_picture_gets_the_whole_one_alone() -> None:
    image, probs = problem(600, 500)
    engine, state = Engine(), StudioState(make_subject(image, probs, None, None, ()), CRFParams())
    assert [answer.refined.full for answer in engine.answers(state, lambda: False, quick=False)] == [True]
    moved = replace(state, params=CRFParams(w1=1.0))
    assert list(engine.answers(moved, lambda: True, quick=False)) == [], "given up"
    assert [answer.refined.full for answer in engine.answers(moved, lambda: False)] == [False, True]
