"""The studio's inputs: scribbles, own photos, kernels, large and tiny pictures; and what is worked out of them."""

import io
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dlseg.crf import CRFParams, DenseCRF
from dlseg.widgets import CRFStudio, crf_studio
from dlseg.widgets.canvas import LabelCanvas, deflate
from dlseg.widgets.layers import decimated
from dlseg.widgets.studio.controls import HAND, NET
from dlseg.widgets.studio.engine import (
    CONFIDENCE,
    EXACT_PIXELS,
    SCRIBBLE_NAMES,
    WHOLE_PIXELS,
    Engine,
    Subject,
)

NAMES = ("background", "box", "ball")


def scene(height: int = 24, width: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two things on a ground: image, a scribble on each, truth."""
    truth = np.zeros((height, width), np.uint8)
    truth[height // 4 : 3 * height // 4, width // 8 : width // 3] = 1
    truth[height // 3 : 2 * height // 3, width // 2 : -width // 8] = 2
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    colours = np.array([[90, 120, 80], [200, 120, 60], [80, 80, 200]])
    image = np.clip(colours[truth] + noise, 0, 255).astype(np.uint8)
    scribbles = np.full_like(truth, 255)
    scribbles[height // 2, width // 8 + 1 : width // 3 - 1] = 1
    scribbles[height // 2, width // 2 + 1 : -width // 8 - 1] = 2
    scribbles[1] = 0
    return image, scribbles, truth


IMAGE, SCRIBBLES, TRUTH = scene()


def hand(params: CRFParams, scribbles: np.ndarray = SCRIBBLES) -> np.ndarray:
    """What the CRF itself makes of scribbles."""
    return DenseCRF(IMAGE, labels=scribbles, num_classes=3, confidence=CONFIDENCE, kernel="exact").infer(params)


def draws(studio: CRFStudio, scribbles: np.ndarray) -> None:
    """What the page does after a stroke."""
    studio.before.set_state({"drawn": memoryview(deflate(scribbles)), "strokes": studio.before.strokes + 1})


def loads(studio: CRFStudio, image: np.ndarray, original: tuple[int, int] | None = None) -> None:
    """What the page does when a file was chosen."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    studio.tools.photo.set_state(
        {
            "data": memoryview(stream.getvalue()),
            "count": studio.tools.photo.count + 1,
            "original": list(original or image.shape[:2]),
            "name": "mine.png",
        }
    )


def brush(studio: CRFStudio) -> list[int]:
    """What the mouse paints, once the newest state is shown."""
    _ = studio.labels
    return studio.before.brush if studio.before.paints else []


def seen(canvas: LabelCanvas) -> np.ndarray:
    return np.frombuffer(zlib.decompress(canvas.layer), np.uint8).reshape(canvas.layer_size)


@pytest.fixture
def studio() -> Iterator[CRFStudio]:
    made = crf_studio(IMAGE, scribbles=SCRIBBLES, truth=TRUTH, classes=NAMES, kernel="exact")
    yield made
    made.close()


@pytest.fixture
def net() -> Iterator[CRFStudio]:
    made = crf_studio(IMAGE, probs=hand(CRFParams(w1=0)), classes=NAMES, kernel="exact")
    yield made
    made.close()


def test_scribbles_are_a_unary(studio: CRFStudio) -> None:
    assert np.array_equal(studio.marginals, hand(CRFParams()))
    assert np.array_equal(studio.scribbles, SCRIBBLES) and np.array_equal(studio.before.scribbles, SCRIBBLES)
    assert np.array_equal(seen(studio.before), SCRIBBLES) and studio.before.title == "Before: your scribbles"
    assert (studio.labels == TRUTH).mean() > 0.95, "a line on each thing is enough in this scene"
    assert studio.before.names[255] == "no scribble"


def test_a_stroke_changes_the_answer(studio: CRFStudio) -> None:
    more = SCRIBBLES.copy()
    more[20:, 2:9] = 1
    draws(studio, more)
    assert np.array_equal(studio.scribbles, more) and np.array_equal(studio.marginals, hand(CRFParams(), more))
    studio.tools.clear.click()
    assert (studio.scribbles == 255).all() and np.allclose(studio.marginals, 1 / 3)  # nothing drawn, nothing known
    assert "scribble" in studio.before.status and (studio.before.scribbles == 255).all()


def test_what_is_handed_out_does_not_lead_back(studio: CRFStudio) -> None:
    studio.scribbles[:] = 1
    studio.image[:] = 0
    assert np.array_equal(studio.scribbles, SCRIBBLES) and np.array_equal(studio.image, IMAGE)


def test_the_brush_is_held_where_it_paints_what_is_seen(studio: CRFStudio) -> None:
    assert brush(studio) == [1, 4]
    studio.tools.brush.value, studio.tools.width.value = 2, 9
    assert brush(studio) == [2, 9]
    studio.tools.view.value = "entropy"
    assert brush(studio) == []
    studio.tools.view.value = "labels"
    assert brush(studio) == [2, 9]


def test_from_the_nets_scores_to_scribbles_and_back(net: CRFStudio) -> None:
    first = net.marginals
    assert brush(net) == [] and net.scribbles is None and net.tools.brush.layout.display == "none"
    net.tools.source.value = HAND
    assert brush(net) == [1, 4] and net.tools.brush.layout.display is None
    draws(net, SCRIBBLES)
    assert np.array_equal(net.marginals, hand(CRFParams()))
    net.tools.source.value = NET
    assert np.array_equal(net.marginals, first) and net.scribbles is None and brush(net) == []
    net.tools.source.value = HAND
    assert np.array_equal(net.scribbles, SCRIBBLES) and np.array_equal(net.before.scribbles, SCRIBBLES), "kept"


def test_an_own_photo_is_scribbled_on(net: CRFStudio) -> None:
    net.tools.view.value = "probability of a class"
    net.tools.index.value = 2
    net.tools.pin.value = True
    mine = np.ascontiguousarray(IMAGE[:10, ::-1])
    loads(net, mine, original=(1000, 3200))
    assert net.tools.source.value == HAND and not net.tools.pin.value
    assert np.array_equal(net.image, mine) and net.labels.shape == (10, 32) and net.after.size == (10, 32)
    assert "3200 × 1000 pixels, used at 32 × 10" in net.after.status
    drawn = np.full((10, 32), 255, np.uint8)
    drawn[2:5, 3:9], drawn[8] = 3, 0
    draws(net, drawn)
    direct = DenseCRF(mine, labels=drawn, num_classes=len(SCRIBBLE_NAMES), confidence=CONFIDENCE, kernel="exact")
    assert np.array_equal(net.marginals, direct.infer(net.params))
    net.tools.source.value = NET
    assert np.array_equal(net.image, IMAGE)


@pytest.mark.parametrize("kernel", ["lattice", "local", "pydensecrf"])
def test_kernels_are_chosen_by_name(net: CRFStudio, kernel: str) -> None:
    if kernel == "pydensecrf":
        pytest.importorskip("pydensecrf")
    net.tools.kernel.value = kernel
    direct = DenseCRF(IMAGE, probs=hand(CRFParams(w1=0)), kernel=kernel).infer(net.params)
    assert np.array_equal(net.marginals, direct) and net.kernel == kernel


def test_the_exact_kernel_works_on_a_smaller_picture_and_says_so() -> None:
    image, scribbles, _ = scene(120, 160)
    studio = crf_studio(image, scribbles=scribbles, classes=NAMES)
    studio.tools.kernel.value = "exact"
    full = DenseCRF(image, labels=scribbles, num_classes=3, confidence=CONFIDENCE, kernel="exact")
    small = full.reduced(3)
    assert small.height * small.width <= EXACT_PIXELS
    direct = small.infer(CRFParams().scaled(1 / 3))
    assert np.array_equal(studio.labels, decimated(direct.argmax(0), (120, 160)))
    assert "computed on 54 × 40 of 160 × 120 pixels" in studio.after.status
    studio.close()


def test_a_photo_of_twelve_million_pixels_is_worked_on_smaller() -> None:
    image, scribbles, truth = (np.repeat(np.repeat(x, 125, 0), 125, 1) for x in scene())
    studio = crf_studio(image, scribbles=scribbles, truth=truth, classes=NAMES, params=CRFParams(sigma_alpha=400))
    assert studio.labels.shape == (3000, 4000) and studio.marginals.shape == (3, 3000, 4000)
    assert "computed on 1000 × 750 of 4000 × 3000 pixels" in studio.after.status
    assert studio.after.size[0] * studio.after.size[1] <= 1.01 * WHOLE_PIXELS
    assert (studio.labels == truth).mean() > 0.95
    assert studio.still().axes
    studio.close()


@pytest.mark.parametrize("view", ["labels", "what changed", "entropy", "step by step", "affinity of a pixel"])
def test_a_photo_of_one_pixel(view: str) -> None:
    studio = crf_studio(IMAGE[:1, :1], probs=np.array([[[0.25]], [[0.75]]], np.float32))
    studio.tools.view.value = view
    assert studio.labels.tolist() == [[1]] and studio.after.error == ""
    studio.close()


@pytest.mark.parametrize("kernel", ["lattice", "exact"])
def test_a_trace_is_what_the_steps_are(kernel: str) -> None:
    probs = hand(CRFParams(w1=0))
    engine = Engine()
    engine.take(Subject(IMAGE, NAMES, probs), kernel)
    trace = engine.trace(CRFParams(), lambda: False)
    steps = list(DenseCRF(IMAGE, probs=probs, kernel=kernel).steps(CRFParams()))
    assert np.array_equal(trace.labels, [step.q.argmax(0) for step in steps])
    assert trace.free_energy == tuple(step.free_energy for step in steps)
    assert trace.change == tuple(step.change for step in steps)
    assert engine.trace(CRFParams(w1=1), lambda: True) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probs": hand(CRFParams())}, "probs, scribbles: got both"),
        (
            {"scribbles": SCRIBBLES[:-1]},
            r"scribbles: got uint8 \(23, 32\), expected whole numbers of shape \(24, 32\)",
        ),
        ({"scribbles": SCRIBBLES / 2}, "scribbles: got float64 .* expected whole numbers"),
        ({"classes": ("ground", "box")}, "scribbles: got label 2, expected 0 … 1"),
        ({"classes": ("ground",)}, "classes: got .* expected two names"),
        ({"image": IMAGE[..., :2]}, r"image: got \(24, 32, 2\) of uint8, expected \(H, W, 3\)"),
    ],
)
def test_mistakes_are_named_and_leave_no_thread(change: dict[str, object], message: str) -> None:
    before = threading.active_count()
    with pytest.raises((ValueError, TypeError), match=message):
        crf_studio(**{"image": IMAGE, "scribbles": SCRIBBLES, "classes": NAMES, **change})
    assert threading.active_count() == before


def test_a_broken_photo_is_told_in_place_and_the_next_one_works(
    net: CRFStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    button = net.tools.photo
    button.set_state({"data": memoryview(b"no picture"), "count": button.count + 1, "original": [1, 1]})
    assert "is no picture that can be read" in button.error
    loads(net, IMAGE)
    assert net.labels.shape == (24, 32) and button.error == ""
    assert capfd.readouterr().err == ""


def test_settings_survive_another_photo(net: CRFStudio) -> None:
    net.sliders["w1"].value = 2.5
    loads(net, IMAGE)
    assert net.params == replace(CRFParams(), w1=2.5)
