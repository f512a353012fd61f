"""The studio without a browser: sliders are set from code, which calls back as the page would."""

import gc
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest
from scipy.ndimage import gaussian_filter

from dlseg.crf import CRFParams, DenseCRF
from dlseg.evaluation import ConfusionMatrix
from dlseg.widgets import CRFStudio, crf_studio
from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.layers import decimated
from dlseg.widgets.studio.controls import CONTROLS, slider
from dlseg.widgets.studio.engine import (
    AFFINITY,
    DIFFERENCE,
    ENTROPY,
    PREVIEW_PIXELS,
    PROBABILITY,
    TRUTH,
    VIEWS,
    Engine,
    StudioState,
    Subject,
)

CLASSES = ("background", "stool", "cup")


def scene(height: int = 24, width: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A stool with thin legs and a cup: image, blurred class probabilities, truth."""
    truth = np.zeros((height, width), np.uint8)
    truth[height // 4 : height // 2, width // 8 : width // 2] = 1
    truth[height // 2 : -height // 8, width // 8 : width // 8 + 3] = 1
    truth[height // 3 : 2 * height // 3, 3 * width // 4 : -width // 16] = 2
    colours = np.array([[90, 120, 80], [200, 120, 60], [80, 80, 200]])
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    image = np.clip(colours[truth] + noise, 0, 255).astype(np.uint8)
    maps = np.stack([gaussian_filter((truth == c).astype(np.float32), height / 20) for c in range(3)]) + 0.02
    return image, (maps / maps.sum(axis=0)).astype(np.float32), truth


IMAGE, PROBS, TRUTH_LABELS = scene()


@pytest.fixture
def studio() -> Iterator[CRFStudio]:
    made = crf_studio(IMAGE, probs=PROBS, truth=TRUTH_LABELS, classes=CLASSES, kernel="exact")
    yield made
    made.close()


def direct(params: CRFParams) -> np.ndarray:
    return DenseCRF(IMAGE, probs=PROBS, kernel="exact").infer(params)


def test_it_starts_with_the_answer_for_its_settings(studio: CRFStudio) -> None:
    assert studio.params == CRFParams()
    assert np.array_equal(studio.marginals, direct(CRFParams()))
    assert np.array_equal(studio.labels, direct(CRFParams()).argmax(0))


def test_steps_of_a_logarithmic_slider_lead_back_to_its_value() -> None:
    for value in (121.0, 50.0, 1.0, 3.0):
        made = slider(CONTROLS["sigma_alpha"], value)
        steps = (np.log10(value) - made.min) / made.step
        assert abs(steps - round(steps)) < 1e-9 and made.value == value
        assert made.min <= 0 and made.min > -made.step and made.max == pytest.approx(np.log10(200))
        made.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("w1", 2.0),
        ("sigma_alpha", 20.0),
        ("sigma_beta", 33.0),
        ("w2", 0.0),
        ("sigma_gamma", 1.5),
        ("iterations", 3),
    ],
)
def test_each_slider_sets_its_setting_and_nothing_else(studio: CRFStudio, name: str, value: float) -> None:
    studio.sliders[name].value = value
    wanted = CRFParams(**{name: value})
    assert studio.params == wanted
    assert np.array_equal(studio.marginals, direct(wanted))


def test_after_any_drag_the_answer_is_the_direct_one(studio: CRFStudio) -> None:
    random = np.random.default_rng(1)
    for _ in range(40):
        control = CONTROLS[str(random.choice(list(CONTROLS)))]
        value = random.uniform(control.low, control.high)
        studio.sliders[control.name].value = round(value) if control.name == "iterations" else value
    assert np.array_equal(studio.marginals, direct(studio.params))
    assert np.array_equal(studio.labels, direct(studio.params).argmax(0))


def test_two_sliders_on_two_threads_lose_no_change(studio: CRFStudio) -> None:
    def move(name: str, values: np.ndarray) -> None:
        for value in values:
            studio.sliders[name].value = float(value)

    threads = [
        threading.Thread(target=move, args=("w1", np.linspace(0, 7, 60))),
        threading.Thread(target=move, args=("w2", np.linspace(0, 4, 60))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (studio.params.w1, studio.params.w2) == (7, 4)
    assert np.array_equal(studio.marginals, direct(studio.params))


def test_what_it_hands_out_is_the_users_own(studio: CRFStudio) -> None:
    studio.labels[:] = 9
    studio.marginals[:] = 0
    assert np.array_equal(studio.marginals, direct(CRFParams())) and studio.labels.max() < 3


def test_the_words_under_the_pictures_are_measured(studio: CRFStudio) -> None:
    def score(labels: np.ndarray) -> float:
        return 100 * ConfusionMatrix(3).update(labels, TRUTH_LABELS).mean_iou("nan")

    coarse = PROBS.argmax(0)
    assert studio.before.status == f"mean IoU {score(coarse):.1f} %"
    changed = 100 * (studio.labels != coarse).mean()
    words = f"mean IoU {score(studio.labels):.1f} % · {changed:.1f} % of pixels differ from the net alone"
    assert studio.after.status == words
    assert score(studio.labels) > score(coarse) + 3, "the scene should gain by the CRF"


def test_a_failing_crf_shows_in_place_and_the_next_move_works(
    studio: CRFStudio, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    infer = DenseCRF.infer

    def fails_at_zero(self: DenseCRF, params: CRFParams, **options: object) -> np.ndarray:
        if params.w1 == 0:
            raise FloatingPointError("forced")
        return infer(self, params, **options)

    monkeypatch.setattr(DenseCRF, "infer", fails_at_zero)
    studio.sliders["w1"].value = 0.0
    with pytest.raises(RuntimeError, match="the explorer failed at"):
        _ = studio.labels
    assert studio.after.error == "FloatingPointError: forced"
    studio.sliders["w1"].value = 5.0
    assert np.array_equal(studio.labels, direct(CRFParams()).argmax(0)) and studio.after.error == ""
    assert capfd.readouterr().err == ""


def state(image: np.ndarray, probs: np.ndarray, kernel: str = "lattice") -> StudioState:
    return StudioState(Subject(image, CLASSES, probs), CRFParams(), kernel)


def test_a_large_image_is_previewed_first() -> None:
    image, probs, _ = scene(240, 320)
    preview, full = (answer.refined for answer in Engine().answers(state(image, probs), lambda: False))
    assert (preview.full, full.full) == (False, True) and full.labels.shape == (240, 320)
    assert preview.labels.size <= PREVIEW_PIXELS and preview.labels.shape == (120, 160)
    assert np.array_equal(full.marginals, DenseCRF(image, probs=probs).infer(CRFParams()))
    assert (decimated(full.labels, (120, 160)) == preview.labels).mean() > 0.95  # it errs along edges only


def test_a_large_image_overtaken_after_its_preview_stops_there() -> None:
    image, probs, _ = scene(240, 320)
    answers = Engine().answers(state(image, probs), lambda: True)
    assert [answer.refined.full for answer in answers] == [False]


def test_the_latest_settings_are_answered_again_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = Engine(), state(IMAGE, PROBS, "exact")
    (first,) = engine.answers(asked, lambda: False)
    monkeypatch.setattr(DenseCRF, "infer", None)
    (again,) = engine.answers(asked, lambda: False)
    assert again.refined is first.refined


def test_still_names_the_settings_and_the_classes(studio: CRFStudio) -> None:
    still = studio.still()
    assert [axes.get_title() for axes in still.axes][:2] == ["image", "coarse"]
    assert "w1 5" in still.axes[2].get_title()
    assert [text.get_text() for text in still.legends[0].get_texts()] == list(CLASSES)


def test_closing_ends_its_thread() -> None:
    before = threading.active_count()
    studio = crf_studio(IMAGE, probs=PROBS, sliders=["w1"], kernel="exact")
    assert list(studio.sliders) == ["w1"] and studio.before.status == ""
    studio.close()
    studio.close()
    for _ in range(2400):  # two minutes
        if threading.active_count() == before:
            break
        time.sleep(0.05)
    assert threading.active_count() == before


def test_a_start_beyond_a_sliders_range_widens_it() -> None:
    params = CRFParams(w1=35.0, sigma_alpha=400.0)
    studio = crf_studio(IMAGE, probs=PROBS, params=params, kernel="exact")
    assert studio.sliders["w1"].max == 35 and studio.sliders["sigma_alpha"].value == pytest.approx(400)
    assert studio.params == params
    studio.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": IMAGE.astype(float)}, r"image: got \(24, 32, 3\) of float64, expected \(H, W, 3\) of uint8"),
        ({"probs": PROBS[:, :-1]}, "probs: "),
        ({"truth": TRUTH_LABELS[:-1]}, r"truth: got shape \(23, 32\), expected shape \(24, 32\)"),
        ({"sliders": ["w3"]}, r"sliders: unknown \['w3'\], expected some of w1"),
        ({"kernel": "magic"}, "kernel: got 'magic'"),
    ],
)
def test_mistakes_are_named_and_leave_no_thread(change: dict[str, object], message: str) -> None:
    before = threading.active_count()
    with pytest.raises((ValueError, TypeError), match=message):
        crf_studio(**{"image": IMAGE, "probs": PROBS, "truth": TRUTH_LABELS, **change})
    assert threading.active_count() == before


def seen(canvas: LabelCanvas) -> np.ndarray:
    return np.frombuffer(zlib.decompress(canvas.layer), np.uint8).reshape(canvas.layer_size)


def test_each_view_shows_what_it_says(studio: CRFStudio) -> None:
    tools, coarse, labels = studio.tools, PROBS.argmax(0), direct(CRFParams()).argmax(0)
    assert list(tools.view.options) == list(VIEWS)
    tools.view.value = DIFFERENCE
    _ = studio.labels
    wanted = np.select([labels == coarse, coarse == TRUTH_LABELS, labels == TRUTH_LABELS], [0, 1, 2], 3)
    assert np.array_equal(seen(studio.after), wanted) and studio.after.title == "What changed"
    tools.view.value = PROBABILITY
    tools.index.value = 2
    _ = studio.labels
    assert tools.index.layout.display is None
    assert np.array_equal(seen(studio.before), np.floor(np.clip(PROBS[2], 0, 1) * 255 + 0.5))
    assert studio.after.bar["label"] == "probability of cup"
    tools.view.value = ENTROPY
    _ = studio.labels
    assert tools.index.layout.display == "none" and studio.after.bar["high"] == pytest.approx(np.log2(3))
    tools.view.value = TRUTH
    _ = studio.labels
    assert np.array_equal(seen(studio.before), TRUTH_LABELS) and studio.before.title == "Truth"


def test_a_clicked_pixels_affinities(studio: CRFStudio) -> None:
    studio.tools.view.value = AFFINITY
    studio.after.set_state({"picked": [0.5, 0.25, 1]})  # as the page does
    _ = studio.labels
    assert studio.before.mark == studio.after.mark == [0.5, 0.25] and studio.before.pickable
    wanted = DenseCRF(IMAGE, probs=PROBS, kernel="exact").affinity(CRFParams(), 12, 8).appearance
    decades = np.clip(np.log10(np.maximum(wanted, 1e-30) / wanted.max()), -3, 0)
    assert np.abs(seen(studio.before) - (decades + 3) / 3 * 255).max() <= 1  # one step of the scale
    assert "Appearance" in studio.before.title and "Smoothness" in studio.after.title
    studio.tools.view.value = "labels"
    _ = studio.labels
    assert not studio.before.pickable and studio.before.mark == []


def test_presets_and_reset_move_sliders_and_answer(studio: CRFStudio) -> None:
    studio.tools.preset.value = "deeplab-largefov"
    wanted = CRFParams.presets()["deeplab-largefov"]
    assert studio.params == wanted and studio.sliders["sigma_alpha"].value == wanted.sigma_alpha
    assert np.array_equal(studio.marginals, direct(wanted))
    studio.sliders["w1"].value = 1.0
    studio.tools.reset.click()
    assert studio.params == CRFParams() and studio.tools.preset.value == "start"
    assert np.array_equal(studio.marginals, direct(CRFParams()))


def test_setting_params_from_code_moves_the_sliders(studio: CRFStudio) -> None:
    wanted = CRFParams(w1=33.0, sigma_beta=7.0, iterations=4)
    studio.params = wanted
    assert {name: made.value for name, made in studio.sliders.items()} == {
        name: getattr(wanted, name) for name in CONTROLS
    }
    assert np.array_equal(studio.marginals, direct(wanted))


def test_a_pinned_answer_stays_on_the_left(studio: CRFStudio) -> None:
    first, kept = studio.labels, studio.params
    studio.tools.pin.value = True
    studio.sliders["w1"].value = 0.0
    second = studio.labels
    assert np.array_equal(seen(studio.before), first) and np.array_equal(seen(studio.after), second)
    assert (first != second).any() and studio.before.title.startswith("A")
    assert np.array_equal(seen(studio.compared) > 0, first != second) and studio.compared.layout.display is None
    assert studio.before.status.startswith(f"w1 {kept.w1:g}, σα {kept.sigma_alpha:g}, σβ {kept.sigma_beta:g}, w2")
    gain = np.diff([100 * ConfusionMatrix(3).update(x, TRUTH_LABELS).mean_iou("nan") for x in (first, second)])[0]
    assert studio.compared.status.startswith(f"{gain:+.1f} points of mean IoU")
    assert f"A → B: {gain:+.1f}" in studio.tools.scores.value and " ms, B " in studio.tools.scores.value
    studio.tools.pin.value = False
    _ = studio.labels
    assert np.array_equal(seen(studio.before), PROBS.argmax(0)) and studio.compared.layout.display == "none"


def test_what_is_copied_gives_the_settings_back(studio: CRFStudio) -> None:
    studio.sliders["sigma_beta"].value = 12.5
    _ = studio.labels
    space: dict[str, object] = {}
    exec(studio.tools.code.text, space)
    assert space["params"] == CRFParams.from_json(studio.tools.json.text) == studio.params


def test_without_tools_there_is_one_slider_and_two_pictures() -> None:
    studio = crf_studio(IMAGE, probs=PROBS, sliders=["w1"], tools=False, kernel="exact")
    sliders, pictures, *unseen = studio.box.children
    assert list(studio.controls) == ["params.w1"] and len(sliders.children) == 1 and len(pictures.children) == 3
    assert [type(part).__name__ for part in unseen] == ["PagePreview", "KeptStill", "Accessibility"]
    studio.close()


def test_a_thousand_random_events_leave_nothing_behind() -> None:
    """On a picture with previews: no error at any time, nothing queues, memory and threads are as before."""
    image, probs, truth = scene(240, 320)
    studio = crf_studio(image, probs=probs, truth=truth, classes=CLASSES)
    random, tools, errors = np.random.default_rng(5), studio.tools, []
    studio.after.observe(lambda change: errors.append(change["new"]), "error")

    def slide() -> None:
        control = CONTROLS[str(random.choice(list(CONTROLS)))]
        value = random.uniform(control.low, control.high)
        studio.sliders[control.name].value = round(value) if control.name == "iterations" else value

    def pick() -> None:
        studio.after.set_state({"picked": [float(random.random()), float(random.random()), 1]})

    events = [
        slide,
        slide,
        slide,
        pick,
        tools.reset.click,
        lambda: setattr(tools.view, "value", str(random.choice(VIEWS))),
        lambda: setattr(tools.index, "value", int(random.integers(3))),
        lambda: setattr(tools.step, "value", int(random.integers(11))),
        lambda: setattr(tools.pin, "value", bool(random.integers(2))),
        lambda: setattr(tools.preset, "value", str(random.choice(tools.preset.options))),
    ]

    def happen(count: int) -> None:
        for _ in range(count):
            events[random.integers(len(events))]()
            if random.random() < 0.03:  # now and then the hand rests
                _ = studio.labels

    happen(200)  # until everything that is kept has been made once
    gc.collect()
    before, threads = psutil.Process().memory_info().rss, threading.active_count()
    happen(1000)
    tools.view.value = "labels"
    frame = studio.after.frame
    assert np.array_equal(studio.marginals, DenseCRF(image, probs=probs).infer(studio.params))
    assert studio.after.frame - frame <= 4, "at most the work under way and the newest's preview, whole and trace"
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 50e6
    assert not any(errors), errors
    assert threading.active_count() <= threads
    studio.close()
    assert threading.active_count() <= threads - 1, "its own thread is gone; the CRF's helpers stay"


def test_a_pair_for_a_length_is_told_in_words(studio: CRFStudio) -> None:
    words = r"sigma_alpha: got \(60.0, 121.0\), expected one number; the studio has one slider for both directions"
    with pytest.raises(ValueError, match=words):
        crf_studio(IMAGE, probs=PROBS, params=CRFParams(sigma_alpha=(60, 121)))
    with pytest.raises(ValueError, match="sigma_gamma: got"):
        studio.params = CRFParams(sigma_gamma=(2, 3))
    assert studio.params == CRFParams()


def test_scribbling_goes_on_beside_a_pinned_answer() -> None:
    drawn = np.full(IMAGE.shape[:2], 255, np.uint8)
    drawn[10:14, 10:40], drawn[40:44, 10:40] = 1, 0
    studio = crf_studio(IMAGE, scribbles=drawn, classes=["background", "stool", "cup"])
    assert studio.answer and "%" not in studio.tools.scores.value, "few pixels are labelled: no share of them"
    studio.tools.pin.value = True
    studio.params = replace(studio.params, w1=0)
    assert studio.answer and studio.before.paints and studio.before.title == "Before: your scribbles"
    assert studio.compared.layout.display != "none"
    assert "differ" in studio.compared.status and "A: w1 5, σα 50" in studio.compared.status
    assert "differ" not in studio.after.status + studio.before.status + studio.tools.scores.value
    studio.close()
