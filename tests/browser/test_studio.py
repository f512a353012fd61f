"""The CRF studio in a real JupyterLab: the browser paints what the figures compute, and every tool works."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from labdriver import Notebook, Picture, Settings
from playwright.sync_api import expect
from scipy.ndimage import gaussian_filter

from dlseg.figures import overlay

pytestmark = pytest.mark.browser

SCENE = """
import numpy as np
from scipy.ndimage import gaussian_filter

truth = np.zeros((60, 80), np.uint8)
truth[15:30, 10:50], truth[30:54, 12:15], truth[30:54, 45:48], truth[20:45, 60:75] = 1, 1, 1, 2
truth[:6] = 255
colours = np.array([[90, 120, 80], [200, 120, 60], [80, 80, 200]])[np.where(truth == 255, 0, truth)]
noise = np.random.default_rng(0).normal(0, 6, (60, 80, 3))
image = np.clip(colours + noise, 0, 255).astype(np.uint8)
maps = np.stack([gaussian_filter((truth == c).astype(np.float32), 3.0) for c in range(3)]) + 0.02
probs = maps / maps.sum(axis=0)
"""
STUDIO = """
from dlseg.widgets import crf_studio
studio = crf_studio(image, probs, truth, classes=["background", "stool", "cup"])
"""


def paint(picture: Picture) -> np.ndarray:
    return np.array(picture.pixels(), np.uint8).reshape(60, 80, 4)[..., :3].astype(int)


def scene() -> dict[str, np.ndarray]:
    space: dict[str, np.ndarray] = {"gaussian_filter": gaussian_filter}
    exec(SCENE, space)
    return space


@pytest.mark.parametrize("settings", [Settings(), Settings(subshells=False, dark=True)],
                         ids=["subshells-light", "no_subshells-dark"])
def test_every_view_and_tool(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    notebook, made = open_notebook("studio.ipynb", settings, [SCENE, STUDIO]).run_all(), scene()
    left, right = notebook.picture("Before"), notebook.picture("After")
    coarse = left.settled()
    # one step: the browser and numpy may round the last half apart
    assert np.abs(paint(left) - overlay(made["image"], made["probs"].argmax(0))).max() <= 1

    notebook.choose("view", "labels beside the truth")
    truth = notebook.picture("Truth")
    truth.changed_from(coarse)
    truth.settled()
    assert np.abs(paint(truth) - overlay(made["image"], made["truth"])).max() <= 1, "void is hatched"

    notebook.choose("view", "probability of a class")
    expect(notebook.page.locator(".dlseg-bar").first).to_contain_text("probability of background")
    notebook.choose("class", "cup")
    expect(notebook.page.locator(".dlseg-bar").first).to_contain_text("probability of cup")
    notebook.choose("view", "entropy")
    expect(notebook.page.locator(".dlseg-bar").first).to_contain_text("bits")
    notebook.choose("view", "what changed")
    expect(notebook.page.get_by_role("button", name="wrong before and right now")).to_be_visible()

    notebook.choose("view", "affinity of a pixel")
    appearance = notebook.picture("Appearance")
    centre = appearance.settled()
    appearance.element.click(position={"x": 20, "y": 20})
    clicked = appearance.changed_from(centre)
    notebook.page.keyboard.press("ArrowRight")
    appearance.changed_from(clicked)

    notebook.choose("view", "labels")
    right = notebook.picture("After")
    right.settled()
    notebook.press("pin as A")
    expect(notebook.page.locator(".dlseg-title", has_text="A: pinned")).to_be_visible()
    notebook.press("pin as A")
    notebook.choose("settings of", "deeplab-largefov")
    reach, tolerance = notebook.slider("appearance reach").readout, notebook.slider("colour tolerance").readout
    expect(reach).to_have_text("121")
    expect(tolerance).to_have_text("5.00")
    notebook.press("reset")
    expect(reach).to_have_text("50.0")
    expect(tolerance).to_have_text("10.0")


def test_the_browser_alone_shows_photo_and_one_class(open_notebook: Callable[..., Notebook]) -> None:
    """While the kernel is busy, and with its sub-shells off, only what needs no kernel can answer."""
    settings = Settings(subshells=False, dark=True)
    notebook = open_notebook("alone.ipynb", settings, [SCENE, STUDIO]).run_all()
    left = notebook.picture("Before")
    start = left.settled()
    notebook.page.evaluate("""() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
        .requestExecute({ code: "import time; time.sleep(8)" }); }""")
    left.box.get_by_role("button", name="photo").click()
    left.changed_from(start, timeout=5)
    assert np.array_equal(paint(left), scene()["image"])
    left.box.get_by_role("button", name="photo").click()
    left.box.get_by_role("button", name="cup").click()
    notebook.page.mouse.move(0, 0)
    left.changed_from(start, timeout=5)
    left.box.get_by_role("button", name="cup").click()
    notebook.page.mouse.move(0, 0)
    assert left.settled() == start


def test_a_busy_kernel_does_not_stop_the_slider(open_notebook: Callable[..., Notebook]) -> None:
    """With sub-shells the slider answers beside a running cell that plots; the cell's figures stay whole."""
    plots = """
import time, hashlib
from dlseg.figures import label_panel, panels
seen, end = set(), time.monotonic() + 20
while time.monotonic() < end:
    seen.add(hashlib.sha256(panels([label_panel("a", image, truth)]).pixels().tobytes()).hexdigest())
print(len(seen), "kind of figure")
"""
    notebook = open_notebook("busy.ipynb", Settings(), [SCENE, STUDIO, plots]).run_all()
    right, slider = notebook.picture("After"), notebook.slider("appearance weight")
    slider.press("ArrowRight")  # the very first message of a page still goes to the main thread
    start = right.settled()
    notebook.run_cell(2)
    notebook.page.wait_for_timeout(500)
    slider.press("Home")
    right.changed_from(start)
    slider.drag(120)
    prompt = notebook.page.locator(".jp-InputPrompt").last
    expect(prompt).to_have_text("[*]:")  # the picture changed while the cell was still running
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
    assert "1 kind of figure" in notebook.page.locator(".jp-OutputArea-output").last.inner_text()


def test_running_its_cell_again_leaves_one_studio_and_one_thread(open_notebook: Callable[..., Notebook]) -> None:
    count = "import threading\nprint([t.name for t in threading.enumerate()].count('dlseg-explorer'), 'explorer')"
    notebook = open_notebook("again.ipynb", Settings(), [SCENE, STUDIO, count]).run_all()
    notebook.run_all()
    assert "1 explorer" in notebook.page.locator(".jp-OutputArea-output").last.inner_text()
    expect(notebook.page.locator(".dlseg-canvas")).to_have_count(2)
    right = notebook.picture("After")
    start = right.settled()
    notebook.slider("appearance weight").press("Home")
    right.changed_from(start)
