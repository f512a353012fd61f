"""Each explorer in a real JupyterLab: moved by mouse and by keyboard, the right picture shown, nothing clipped."""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from labdriver import Notebook, Picture, Settings
from labdriver.layout import faint, faults
from PIL import Image
from playwright.sync_api import Locator, expect

from dlseg.widgets import atrous_explorer, field_explorer, pooling_explorer
from dlseg.widgets.field_explorer import MARGIN, SIDE

if TYPE_CHECKING:
    from playwright.sync_api import Browser


MAKE = "from dlseg.widgets import {0}\n{0[0]} = {0}()"
TRAIN = """
from dlseg.training import Recipe
from dlseg.widgets import training_explorer
t = training_explorer(Recipe.shapes(batch=4, crop=66, iterations=2000, lr=0.001))
"""
TRAINED = re.compile(r"After ([2-9]|[1-9]\d+)0 iterations")  # more than the first ten; how many is seen is chance
COUNT = """
import threading
names = [thread.name for thread in threading.enumerate()]
print(names.count("dlseg-explorer"), "explorer,", names.count("dlseg-training"), "training")
"""


# the name of what has the keyboard, as a screen reader would say it; null outside the explorer
FOCUSED = """(explorer) => {
  const e = document.activeElement, tied = [...(e.labels ?? [])].map((label) => label.textContent).join();
  return explorer.contains(e) ? (e.getAttribute("aria-label") || tied || e.textContent).trim() : null;
}"""
REACHED = (
    ["right (px)", "down (px)", "stride", "scores for", "photo", "the highest score"],
    ["kernel (taps)", "rate (cells)", "stride (cells)", "filter", "layer", "photo", "taps on the map", "native"],
    ["network", "geometry", "layer", "photo", "fc6 sees", "field in theory", "How much"],
    ["train", "stop", "start again", "after iteration", "held-out image", "photo", "chair"],
)


@pytest.fixture
def explorers() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Makes the same explorer in this process: what the page shows is compared with its own."""
    made: list[Any] = []

    def make(call: Callable[[], Any]) -> Any:
        made.append(call())
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()


def same(picture: Picture, explorer: Any, index: int) -> None:
    """The page's picture is what the explorer drew, pixel for pixel.

    Two steps: the browser and numpy may round apart, and numbers at the very bottom of a scale give way to marks.
    """
    wanted = replace(explorer._draw(explorer.answer)[index], ring=None)  # the ring is no pixel of the canvas
    picture.settled()
    data: str = picture.element.evaluate("(canvas) => canvas.toDataURL()")
    painted = np.asarray(Image.open(BytesIO(b64decode(data.partition(",")[2]))).convert("RGB")).astype(int)
    off = np.abs(painted - wanted.panel().picture).max(-1)
    assert np.percentile(off, 99) <= 2 and (off <= 12).all(), f"{(off > 2).sum()} pixels differ in {wanted.title}"


def fine(notebook: Notebook) -> None:
    """Nothing overlaps or is cut off, and every word stands out."""
    assert not faults(notebook.page), faults(notebook.page)
    assert not faint(notebook.page), faint(notebook.page)


def tabbed(notebook: Notebook, number: int) -> list[str]:
    """The names of all that Tab reaches in explorer `number`, in order; from its first control on."""
    box, found = notebook.page.locator(".dlseg-explorer").nth(number), list[str]()
    box.locator(".noUi-handle, select, button").first.focus()
    while (name := box.evaluate(FOCUSED)) is not None:
        found.append(name)
        notebook.page.keyboard.press("Tab")
        assert len(found) < 60, "Tab never leaves the explorer"
    return found


def at(element: Locator, row: float, column: float) -> dict[str, float]:
    """A place of a picture, given as shares of its height and width, in its pixels on the page."""
    box = element.bounding_box()
    assert box is not None
    return {"x": column * box["width"], "y": row * box["height"]}


def test_pooling(open_notebook: Callable[..., Notebook], explorers: Callable[..., Any]) -> None:
    notebook = open_notebook("pooling.ipynb", None, [MAKE.format("pooling_explorer")]).run_all()
    mine = explorers(pooling_explorer)
    image, scores, best = (notebook.picture(title) for title in ("The image", "scores for", "perfect"))
    for index, picture in enumerate((image, scores, best)):
        same(picture, mine, index)
    right, down = notebook.slider("right (px)"), notebook.slider("down (px)")
    right.press("ArrowRight", times=3)
    down.drag(25)
    wanted = replace(mine.state, right=3, down=int(down.value))
    assert wanted.down > 0
    expect(image.box).to_contain_text(f"moved 3 px right and {wanted.down} px down")
    notebook.choose("stride", "8 px")
    expect(scores.box).to_contain_text("13 × 13 scores")
    mine.state = replace(wanted, stride=8)
    for index, picture in enumerate((image, scores, best)):
        same(picture, mine, index)
    fine(notebook)
    notebook.press("back to the first")
    expect(scores.box).to_contain_text("window 1 of 169")
    notebook.press("play")
    # it walks on; which one is seen is chance
    expect(scores.box).to_contain_text(re.compile(r"window ([2-9]|\d\d+) of 169"))


def test_atrous(open_notebook: Callable[..., Notebook], explorers: Callable[..., Any]) -> None:
    notebook = open_notebook("atrous.ipynb", None, [MAKE.format("atrous_explorer")]).run_all()
    mine = explorers(atrous_explorer)
    taps, native, zeros = (notebook.picture(title) for title in ("on the map", "native", "zeros"))
    start = taps.settled()
    notebook.slider("rate").press("ArrowRight")
    taps.changed_from(start)
    expect(zeros.box).to_contain_text("40 zeros put between the taps")
    native.element.click(position=at(native.element, 5.5 / 24, 7.5 / 24))
    mine.state = replace(mine.state, rate=3, row=5.5 / 24, column=7.5 / 24)
    assert mine.answer.unit == (5, 7)
    expect(taps.box).to_contain_text("24 × 24 cells")
    total = f"Output (5, 7): weight × cell, tap by tap; their sum is {mine.answer.output:.3f}"
    expect(notebook.page.locator(".dlseg-terms")).to_contain_text(total)
    same(taps, mine, 0)
    start = taps.settled()
    notebook.page.keyboard.press("ArrowDown")  # one output down
    taps.changed_from(start)
    mine.state = replace(mine.state, row=6.5 / 24)
    for index, picture in ((0, taps), (1, native), (3, zeros)):
        same(picture, mine, index)
    fine(notebook)
    notebook.choose("layer", "pool5")
    released = notebook.picture("as released")
    expect(released.box).to_contain_text(re.compile(r"from shift and stitch: (0\.\d*[1-9]|[1-9])"))
    exact = notebook.picture("with holes").box.locator(".dlseg-status")
    expect(exact).to_contain_text(re.compile(r"from shift and stitch: (0|.*e-\d+)\s*$"))
    fine(notebook)


def test_field(open_notebook: Callable[..., Notebook], explorers: Callable[..., Any]) -> None:
    notebook = open_notebook("field.ipynb", None, [MAKE.format("field_explorer")]).run_all()
    mine = explorers(field_explorer)
    theory, effect = notebook.picture("sees"), notebook.picture("How much")
    same(theory, mine, 0)
    same(effect, mine, 1)
    chart = notebook.page.locator(".dlseg-bars")
    expect(chart.locator(".dlseg-bars-chosen").first).to_have_text("LargeFOV")
    chart.locator(".dlseg-bars-row").nth(4).hover()
    expect(chart.locator(".dlseg-chart-reading")).to_have_text(
        "7×7, parameters (millions): here 134.3, paper 134.3"
    )
    chart.locator("[role=img]").focus()
    notebook.page.mouse.move(0, 0)
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("ArrowDown")
    expect(chart.locator(".dlseg-chart-reading")).to_contain_text("4×4, what fc6 sees (px): as the paper counts")
    theory.element.hover(position=at(theory.element, 0.5, 0.5))
    expect(theory.box.locator(".dlseg-reading")).to_have_text(re.compile(r"^y 15\d, x 15\d: .+"))
    notebook.choose("network", "deeplab")
    expect(theory.box).to_contain_text("fc6 sees 308 × 308 px")
    expect(chart.locator(".dlseg-bars-chosen").first).to_have_text("4×4")
    expect(notebook.page.get_by_text("65.1 M")).to_be_visible()
    effect.element.click(position=at(effect.element, 0.3, 0.6))
    row, column = ((share * (SIDE + 2 * MARGIN) - MARGIN) / SIDE for share in (0.3, 0.6))
    mine.state = replace(mine.state, net="deeplab", row=row, column=column)
    unit = mine.answer.unit
    expect(theory.box).to_contain_text(f"unit ({unit[0]}, {unit[1]}) of 39 × 39")
    same(theory, mine, 0)
    same(effect, mine, 1)
    notebook.page.keyboard.press("ArrowLeft")
    expect(theory.box).to_contain_text(f"unit ({unit[0]}, {unit[1] - 1}) of 39 × 39")
    notebook.choose("layer", "conv4_3")
    expect(theory.box).to_contain_text("conv4_3 sees 92 × 92 px")
    notebook.choose("layer", "conv1_2")
    expect(theory.box).to_contain_text("small: choose")
    expect(theory.box.locator(".dlseg-ring")).to_be_hidden()
    notebook.choose("show", "the unit's field")
    mine.state = replace(mine.state, column=(unit[1] * 8 - 4) / SIDE, layer="conv1_2", zoom="the unit's field")
    fine(notebook)


def test_training(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("training.ipynb", None, [TRAIN, COUNT]).run_all()
    page, truth = notebook.page, notebook.picture("The truth")
    expect(truth.box).to_contain_text("paused: 10 of 2000 iterations")
    labels = notebook.picture("After").settled()
    notebook.press("train")
    expect(truth.box).to_contain_text("running")
    expect(page.locator(".dlseg-title", has_text=TRAINED)).to_be_visible()
    notebook.press("pause")
    expect(truth.box).to_contain_text("paused")
    slider = notebook.slider("after iteration")
    newest = slider.value
    slider.press("Home")
    expect(page.locator(".dlseg-title", has_text="Before training")).to_be_visible()
    slider.press("ArrowRight")
    assert notebook.picture("After 10 iterations").settled() == labels, "a snapshot stays as it was"
    slider.press("End")
    expect(slider.readout).to_have_text(f"{newest:g}")  # not beyond the newest
    fine(notebook)
    notebook.press("stop")
    expect(truth.box).to_contain_text("stopped")
    notebook.press("take up again")
    expect(truth.box).to_contain_text("running")
    notebook.press("start again")
    expect(truth.box).to_contain_text("ready: 0 of 2000 iterations")
    notebook.choose("frozen", "all but fc8")
    notebook.press("train")
    expect(truth.box).to_contain_text("running")
    expect(page.locator(".dlseg-chart-legend").first).to_contain_text("lr 0.001, batch 4")
    notebook.run_all()
    assert "1 explorer, 1 training" in page.locator(".jp-OutputArea-output").last.inner_text()


def test_all_four_in_the_dark_without_subshells(open_notebook: Callable[..., Notebook]) -> None:
    names = ("pooling_explorer", "atrous_explorer", "field_explorer")
    cells = [*(MAKE.format(name) for name in names), TRAIN]
    notebook = open_notebook("dark.ipynb", Settings(subshells=False, dark=True), cells).run_all()
    fine(notebook)
    for number, wanted in enumerate(REACHED):
        names = tabbed(notebook, number)
        assert all(names)
        places = [next((i for i, name in enumerate(names) if name.startswith(word)), -1) for word in wanted]
        assert -1 not in places and places == sorted(places), (wanted, names)
    image = notebook.picture("The image")
    start = image.settled()
    notebook.slider("right (px)").press("ArrowRight")
    image.changed_from(start)
    taps = notebook.picture("on the map")
    start = taps.settled()
    notebook.slider("kernel").drag(30)
    taps.changed_from(start)
    notebook.choose("geometry", "release")
    expect(notebook.picture("sees").box).to_contain_text("fc6 sees 435 × 435 px")
    notebook.press("train")
    expect(notebook.page.locator(".dlseg-title", has_text=TRAINED)).to_be_visible()
    notebook.press("pause")
    expect(notebook.picture("The truth").box).to_contain_text("paused")
    fine(notebook)
    notebook.page.set_viewport_size({"width": 640, "height": 360})  # what a zoom of 200 % leaves of 1280×720
    notebook.page.wait_for_function(
        "() => document.querySelector('.dlseg-explorer').getBoundingClientRect().right <= 640"
    )
    fine(notebook)
    notebook.page.set_viewport_size({"width": 1280, "height": 720})


def test_the_layouts_faults_are_found(chromium: "Browser") -> None:
    """A check that finds nothing in a bad page would find nothing anywhere."""
    page = chromium.new_page(viewport={"width": 800, "height": 400})

    def found(inside: str) -> str:
        page.set_content(f'<div class="jp-OutputArea-output" style="background: #fff">{inside}</div>')
        return "\n".join(faults(page) + faint(page))

    assert not found("<button>whole</button> <p>all is well</p>")
    assert "cut off" in found('<p style="width: 40px; overflow: hidden; white-space: nowrap">much too long</p>')
    assert "cut off: option" in found('<select style="width: 50px"><option>a very long option</option></select>')
    assert "cut off: long" in found('<svg width="40"><text x="30">long</text></svg>')
    assert "overlap" in found('<button>one</button><button style="margin-left: -20px">two</button>')
    assert "outside" in found('<p style="position: absolute; left: 780px; width: 90px">gone</p>')
    assert "scrolls sideways" in found('<div style="width: 2000px">wide</div>')
    assert "1.6:1" in found('<p style="color: #cccccc">faint</p>')
    page.close()
