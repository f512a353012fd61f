"""The CRF studio in a real JupyterLab: the browser paints what the figures compute, and every tool works."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labdriver import Notebook, Picture, Settings
from PIL import Image
from playwright.sync_api import expect
from scipy.ndimage import binary_dilation, gaussian_filter

from dlseg.figures import overlay
from dlseg.widgets.layers import LIGHT

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


CLASSES = ["background", "stool", "cup"]


def paint(picture: Picture) -> np.ndarray:
    width, height, _ = picture.digest()
    return np.array(picture.pixels(), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def scene() -> dict[str, np.ndarray]:
    space: dict[str, np.ndarray] = {"gaussian_filter": gaussian_filter}
    exec(SCENE, space)
    return space


@pytest.mark.parametrize(
    "settings",
    [Settings(), pytest.param(Settings(subshells=False, dark=True), marks=pytest.mark.full)],
    ids=["subshells-light", "no_subshells-dark"],
)
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

    affinities(notebook)
    steps_and_curves(notebook, made)
    notebook.choose("view", "labels")
    right = notebook.picture("After")
    before = right.settled()
    notebook.choose("kernel", "exact (small picture)")
    expect(right.box).to_contain_text("computed on 40 × 30 of 80 × 60 pixels")
    notebook.choose("kernel", "lattice (fast)")
    expect(right.box).not_to_contain_text("computed on")
    assert right.settled() == before
    notebook.press("pin as A")
    expect(notebook.page.locator(".dlseg-title", has_text="A: pinned")).to_be_visible()
    notebook.slider("smoothness weight").press("Home")
    against = notebook.picture("B against A")
    expect(against.box).to_contain_text("points of mean IoU")
    expect(notebook.page.locator(".dlseg-scores")).to_contain_text(
        re.compile(r"mean IoU, A → B: [+-].*A \d+ ms, B \d+ ms")
    )
    notebook.press("pin as A")
    notebook.choose("settings of", "deeplab-largefov")
    reach, tolerance = notebook.slider("appearance, px").readout, notebook.slider("colour, 0–255").readout
    expect(reach).to_have_text("121")
    expect(tolerance).to_have_text("5.00")
    notebook.press("reset")
    expect(reach).to_have_text("50.0")
    expect(tolerance).to_have_text("10.0")


def affinities(notebook: Notebook) -> None:
    notebook.choose("view", "affinity of a pixel")
    appearance = notebook.picture("Appearance")
    centre = appearance.settled()
    appearance.element.click(position={"x": 20, "y": 20})
    clicked = appearance.changed_from(centre)
    notebook.page.keyboard.press("ArrowRight")
    appearance.changed_from(clicked)


def steps_and_curves(notebook: Notebook, made: dict[str, np.ndarray]) -> None:
    notebook.choose("view", "step by step")
    step = notebook.picture("Iteration 0: the unary alone")
    step.settled()
    assert np.abs(paint(step) - overlay(made["image"], made["probs"].argmax(0))).max() <= 1
    slider = notebook.slider("iteration", exact=True)
    slider.press("End")
    notebook.picture("After iteration 10 of 10").settled()
    expect(notebook.page.locator(".dlseg-chart svg")).to_have_count(0)
    notebook.press("curves")
    energy = notebook.page.locator(".dlseg-chart").filter(has_text="Free energy")
    expect(energy.locator("circle")).to_have_count(11)
    expect(notebook.page.locator(".dlseg-chart").filter(has_text="trimap")).to_contain_text("net alone")
    notebook.press("curves")
    expect(energy).to_be_hidden()


def test_the_browser_alone_shows_photo_and_one_class(open_notebook: Callable[..., Notebook]) -> None:
    """While the kernel is busy, and with its sub-shells off, only what needs no kernel can answer."""
    settings = Settings(subshells=False, dark=True)
    notebook = open_notebook("alone.ipynb", settings, [SCENE, STUDIO]).run_all()
    left = notebook.picture("Before")
    start = left.settled()
    with notebook.busy():
        left.box.get_by_role("button", name="photo").click()
        left.changed_from(start)
        assert np.array_equal(paint(left), scene()["image"])
        left.box.get_by_role("button", name="photo").click()
        left.box.get_by_role("button", name="cup").click()
        notebook.page.mouse.move(0, 0)
        left.changed_from(start)
        left.box.get_by_role("button", name="cup").click()
        notebook.page.mouse.move(0, 0)
        assert left.settled() == start


def test_a_busy_kernel_does_not_stop_the_slider(open_notebook: Callable[..., Notebook]) -> None:
    """With sub-shells the slider answers beside a running cell that plots; the cell's figures stay whole."""
    plots = """
import time, hashlib
from pathlib import Path
from dlseg.figures import label_panel, panels
seen, end = set(), time.monotonic() + 120
Path("busy").touch()
while not seen or time.monotonic() < end and Path("busy").exists():
    seen.add(hashlib.sha256(panels([label_panel("a", image, truth)]).pixels().tobytes()).hexdigest())
    if globals().get("once", True):
        once = False
        break
print(len(seen), "kind of figure")
"""
    notebook = open_notebook("busy.ipynb", Settings(), [SCENE, STUDIO, plots]).run_all()
    right, slider = notebook.picture("After"), notebook.slider("appearance weight")
    slider.press("ArrowRight")  # the very first message of a page still goes to the main thread
    start = right.settled()
    notebook.run_cell(2)
    prompt = notebook.page.locator(".jp-InputPrompt").last
    expect(prompt).to_have_text("[*]:")
    slider.press("Home")
    off = right.changed_from(start)
    slider.drag(120)
    right.changed_from(off)
    expect(prompt).to_have_text("[*]:")  # the pictures changed while the cell was still running
    (notebook.lab.root / "busy").unlink()
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
    assert "1 kind of figure" in notebook.page.locator(".jp-OutputArea-output").last.inner_text()


def test_its_cell_run_again_and_the_kernel_restarted(open_notebook: Callable[..., Notebook]) -> None:
    """One studio and one thread are left; what an earlier run showed is gone."""
    count = "import threading\nprint([t.name for t in threading.enumerate()].count('dlseg-explorer'), 'explorer')"
    notebook = open_notebook("again.ipynb", Settings(), [SCENE, STUDIO, count]).run_all()
    for again in (lambda: None, notebook.restart_kernel):
        again()
        notebook.run_all()
        assert "1 explorer" in notebook.page.locator(".jp-OutputArea-output").last.inner_text()
        expect(notebook.page.locator(".dlseg-canvas:visible")).to_have_count(2)
        right = notebook.picture("After")
        start = right.settled()
        notebook.slider("appearance weight").press("Home")
        right.changed_from(start)


DIRECT = """
import zlib
from dlseg.crf import DenseCRF
shown = np.frombuffer(zlib.decompress(studio.after.layer), np.uint8).reshape(studio.after.layer_size)
direct = DenseCRF(image, probs=probs).infer(studio.params)
np.save("labels.npy", direct.argmax(0))
print(np.array_equal(studio.marginals, direct) and np.array_equal(shown, direct.argmax(0)))
"""
BROKEN = """
from dlseg.crf import DenseCRF
honest = DenseCRF.infer
def infer(self, params, **options):
    if params.w1 == 0:
        raise FloatingPointError("forced")
    return honest(self, params, **options)
DenseCRF.infer = infer
"""


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(subshells=False, dark=True)], ids=["subshells-light", "no_subshells-dark"]
)
def test_dragged_broken_and_twice(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    """On a picture so large that previews come first: after a drag it is the direct answer, pixel for pixel; an
    error shows in place and the next move works; a second studio beside it minds its own business."""
    large = SCENE + "image, truth = (x.repeat(4, 0).repeat(4, 1) for x in (image, truth))\n"
    large += "probs = probs.repeat(4, 1).repeat(4, 2)\n"
    second = f'other = crf_studio(image, probs, classes={CLASSES}, sliders=["w2"], tools=False)'
    notebook = open_notebook("drag.ipynb", settings, [large, STUDIO, BROKEN, second, DIRECT]).run_all()
    boxes = notebook.page.locator(".dlseg-canvas:visible")
    left, right, _, beside = (Picture(notebook.page, boxes.nth(index)) for index in range(4))
    start, alone, slider = right.settled(), beside.settled(), notebook.slider("appearance weight")
    notebook.slider("appearance, px").drag(-90)
    right.changed_from(start)
    right.settled()
    assert notebook.says(4) == "True"
    labels, image = np.load(notebook.lab.root / "labels.npy"), scene()["image"].repeat(4, 0).repeat(4, 1)
    assert np.abs(paint(right) - overlay(image, labels)).max() <= 1  # the last half may be rounded apart

    slider.press("Home")
    expect(right.box.locator(".dlseg-error")).to_have_text("FloatingPointError: forced")
    slider.press("ArrowRight")
    expect(right.box.locator(".dlseg-error")).to_have_count(0)
    moved = right.settled()
    assert notebook.says(4) == "True"
    assert beside.settled() == alone, "it was not moved"
    notebook.slider("smoothness weight", number=1).press("End")
    beside.changed_from(alone)
    assert right.settled() == moved and left.settled()


def test_scribbles_and_own_photos(open_notebook: Callable[..., Notebook], tmp_path: Path) -> None:
    """By mouse and by keyboard; a photo of 12 million pixels, one of a single pixel, and no photo at all."""
    check = """
from dlseg.crf import DenseCRF
drawn = studio.scribbles
np.save("drawn.npy", drawn)
if (drawn < 255).any():  # not yet when all cells are run
    direct = DenseCRF(image, labels=drawn, num_classes=3, confidence=0.9).infer(studio.params)
    print(np.array_equal(studio.marginals, direct), *((drawn == label).sum() for label in range(3)))
"""
    make = f"from dlseg.widgets import crf_studio\nstudio = crf_studio(image, classes={CLASSES})"
    notebook = open_notebook("scribble.ipynb", Settings(), [SCENE, make, check]).run_all()
    left, right = notebook.picture("Before"), notebook.picture("After")
    start = right.settled()
    for label, place in [
        ("stool", [(0.15, 0.3), (0.6, 0.45)]),
        ("cup", [(0.8, 0.4), (0.88, 0.7)]),
        ("background", [(0.02, 0.15), (0.98, 0.15), (0.97, 0.95), (0.3, 0.95)]),
    ]:
        notebook.choose("brush", label)
        left.stroke(*place)
    right.changed_from(start)
    right.settled()
    same, *counts = notebook.says(2).split()
    assert same == "True" and all(int(count) > 20 for count in counts), counts
    labels, image = np.load(notebook.lab.root / "drawn.npy"), scene()["image"].astype(int)
    said = labels < 255
    rim = binary_dilation(said) & ~said
    assert np.abs(paint(left) - image)[~said & ~rim].max() <= 1 and (paint(left)[rim] <= image[rim]).all()
    assert (paint(left)[labels == 0] == LIGHT).all() and (paint(left) != image).any(-1)[said].mean() > 0.9
    left.element.focus()
    for key in ("ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown", " "):
        notebook.page.keyboard.press(key)
    expect(left.box.locator(".dlseg-ring")).to_be_visible()
    right.settled()
    assert int(notebook.says(2).split()[1]) > int(counts[0]), "a dab of background more"
    notebook.press("clear")
    expect(left.box).to_contain_text("Drag on this picture")

    Image.new("RGB", (4000, 3000), (90, 160, 90)).save(tmp_path / "large.jpg", exif=turned())
    Image.new("RGB", (1, 1), (9, 9, 9)).save(tmp_path / "tiny.png")
    (tmp_path / "none.png").write_text("no picture")
    chooser = notebook.page.locator("input[type=file]")
    chooser.set_input_files(tmp_path / "large.jpg")
    expect(right.box).to_contain_text("3000 × 4000 pixels, used at 750 × 1000")  # turned as its EXIF tag says
    blank = right.settled()
    assert left.digest()[:2] == blank[:2] == [750, 1000]
    notebook.choose("brush", "cup")
    left.stroke((0.2, 0.3), (0.6, 0.4))
    drawn = right.changed_from(blank)
    chooser.set_input_files(tmp_path / "none.png")
    error = notebook.page.locator(".dlseg-photo-error")
    expect(error).to_have_text("none.png is no picture that can be read")
    own = notebook.page.get_by_role("button", name="own photo …")
    beside, button = (part.bounding_box() for part in (error, own))
    assert beside is not None and button is not None and abs(beside["y"] - button["y"]) < 60
    chooser.set_input_files(tmp_path / "tiny.png")
    right.changed_from(drawn)
    assert right.settled()[:2] == [1, 1]
    left.stroke((0.2, 0.3), (0.6, 0.4))
    expect(left.box).to_contain_text("100.0 % of pixels scribbled on")


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    return exif
