"""What all explorers share, without a browser: controls set states, answers follow, errors show in place."""

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
from ipywidgets import FloatLogSlider

from dlseg.figures import Still
from dlseg.training import Recipe
from dlseg.widgets import atrous_explorer, field_explorer, pooling_explorer, training_explorer

IMAGE = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
LABEL = np.zeros((100, 100), np.uint8)
LABEL[30:60, 20:80] = 3
MAKE: dict[str, Callable[[], Any]] = {
    "pooling": lambda: pooling_explorer(IMAGE, LABEL),
    "atrous": lambda: atrous_explorer(IMAGE),
    "field": lambda: field_explorer(image=IMAGE),
    "training": lambda: training_explorer(Recipe.shapes(batch=2, iterations=4), first=2),
}


def threads() -> list[str]:
    """An explorer's own; the CRF keeps a few for good."""
    return [thread.name for thread in threading.enumerate() if thread.name in ("dlseg-explorer", "dlseg-training")]


@pytest.fixture(params=list(MAKE))
def explorer(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = MAKE[request.param]()
    yield made
    made.close()


def test_each_control_changes_its_field_and_nothing_is_said_on_stderr(
    explorer: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, control in explorer.controls.items():
        options = getattr(control, "options", None)
        values = [option[1] if isinstance(option, tuple) else option for option in options or ()]
        most = 10.0**control.max if isinstance(control, FloatLogSlider) else getattr(control, "max", None)
        wanted = (values or [most])[-1]
        control.value = wanted
        assert explorer.answer is not None
        if type(explorer).__name__ != "TrainingExplorer" or name != "iteration":  # clamped to the newest snapshot
            assert getattr(explorer.state, name) == wanted
    assert capfd.readouterr().err == ""


def test_the_controls_follow_a_state_that_is_set(explorer: Any) -> None:
    name, control = next((n, c) for n, c in explorer.controls.items() if hasattr(c, "options"))
    values = [option[1] if isinstance(option, tuple) else option for option in control.options]
    explorer.state = replace(explorer.state, **{name: values[0]})
    assert control.value == values[0] and explorer.answer is not None


def test_the_still_has_a_panel_for_each_picture_and_draws(explorer: Any) -> None:
    still = explorer.still()
    assert isinstance(still, Still)
    titles = [axes.get_title() for axes in still.axes]
    assert titles[: len(explorer.pictures)] == [picture.title for picture in explorer.pictures]
    assert still.pixels(dpi=50).std() > 10


def test_a_failing_answer_shows_in_place_and_the_next_move_works(
    explorer: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(state: Any) -> Any:
        raise FloatingPointError("forced")

    with monkeypatch.context() as broken:
        broken.setattr(explorer, "_answer", fail)
        explorer.state = explorer.state
        with pytest.raises(RuntimeError, match="the explorer failed at"):
            _ = explorer.answer
        assert explorer.pictures[-1].error == "FloatingPointError: forced"
    explorer.state = explorer.state
    assert explorer.answer is not None and explorer.pictures[-1].error == ""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["pooling", "atrous", "field"])
def test_after_any_events_the_answer_is_the_direct_one(name: str) -> None:
    """Two hundred moves and clicks: none raises, none queues, memory stays, and the last one counts."""
    explorer, random, process = MAKE[name](), np.random.default_rng(3), psutil.Process()
    memory = 0
    for event in range(200):
        control = explorer.controls[str(random.choice(list(explorer.controls)))]
        if random.random() < 0.3:
            place = [float(random.random()), float(random.random()), event + 1]
            explorer.pictures[int(random.integers(len(explorer.pictures)))].set_state({"picked": place})
        elif hasattr(control, "options"):
            control.index = int(random.integers(len(control.options)))
        else:
            control.value = int(random.integers(control.min, control.max + 1))
        if event == 100:
            memory = process.memory_info().rss  # by now every network is loaded
    shown, direct = explorer.answer, explorer._answer(explorer.state)
    for wanted, picture in zip(explorer._draw(direct), explorer.pictures, strict=True):
        layer = np.frombuffer(zlib.decompress(picture.layer), np.uint8).reshape(picture.layer_size)
        assert np.array_equal(layer, wanted.layer.values) and picture.title == wanted.title
    assert type(shown) is type(direct) and process.memory_info().rss - memory < 50e6
    explorer.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda photo: pooling_explorer(photo, np.zeros(photo.shape[:2], np.uint8)),
        atrous_explorer,
        lambda photo: field_explorer(image=photo),
    ],
)
def test_a_large_photo_is_worked_on_at_the_size_of_a_page(make: Callable[[np.ndarray], Any]) -> None:
    explorer = make(np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8))
    assert explorer.answer is not None and max(explorer.pictures[0].size) < 600
    explorer.close()


@pytest.mark.parametrize("name", list(MAKE))
def test_closing_ends_its_threads(name: str) -> None:
    made = MAKE[name]()
    assert threads()
    made.close()
    made.close()
    end = time.monotonic() + 120
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert not threads()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pooling_explorer(IMAGE), "label: got None, expected the image's truth"),
        (lambda: pooling_explorer(IMAGE, LABEL[1:]), r"label: got \(99, 100\), expected shape \(100, 100\)"),
        (lambda: pooling_explorer(IMAGE[:40], LABEL[:40]), r"image: got .*, expected at least 64×64 pixels"),
        (lambda: pooling_explorer(IMAGE.astype(float), LABEL), "image: got .* expected .*uint8"),
        (lambda: atrous_explorer(IMAGE[:40, :40]), r"image: got .*, expected a map of at least 24×24"),
        (lambda: atrous_explorer(np.full((30, 30), np.nan)), "finite"),
        (lambda: field_explorer("resnet"), r"net: got .*, expected one of deeplab-7x7"),
        (lambda: field_explorer(image=IMAGE[:20]), r"image: got .*, expected at least 64×64 pixels"),
        (lambda: training_explorer("fast"), "recipe: got str, expected a dlseg.training.Recipe"),
        (lambda: training_explorer(first=1000), "first: got 1000, expected 0 … 300 iterations"),
    ],
)
def test_mistakes_are_named_and_leave_no_thread(
    as_users_see_it: None, make: Callable[[], Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
    assert not threads()
