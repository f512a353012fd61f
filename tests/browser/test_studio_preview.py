"""While the kernel is slow, busy or gone, the studio's picture follows the sliders by the page's own engine."""

import os
import signal
import time
from collections.abc import Callable

import numpy as np
from labdriver import Notebook, Picture, Settings
from playwright.sync_api import Page, expect
from test_studio import SCENE, STUDIO, paint, scene

from dlseg.crf import CRFParams, DenseCRF
from dlseg.figures import overlay

ALONE = Settings(subshells=False)  # widgets' messages wait until the cell that runs is done
BUSY = "preview by the page: the kernel has not answered yet"
GONE = "preview by the page: the kernel is gone, run the cell again"
LARGE = SCENE + "image, truth = (x.repeat(4, 0).repeat(4, 1) for x in (image, truth))\n"
LARGE += "probs = probs.repeat(4, 1).repeat(4, 2)\n"
# every picture that comes to a canvas, and how high the canvas is with its words
LOG = """(canvas) => {
  window.shown = [];
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (image, ...rest) {
    put.call(this, image, ...rest);
    if (this.canvas !== canvas) return;
    const values = new Uint32Array(image.data.buffer);
    let hash = 0;
    for (const value of values) hash = Math.imul(hash ^ value, 16777619);
    window.shown.push([hash >>> 0, canvas.closest(".dlseg-canvas").getBoundingClientRect().height]);
  };
}"""

# random keys on random sliders, as fast as a person never is
SHAKE = """async ({ events, seed }) => {
  const keys = ["ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"];
  const handles = [...document.querySelectorAll(".noUi-handle")].filter((handle) => handle.offsetParent);
  const random = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((n * seed) / 2 ** 32);
  };
  for (let n = 0; n < events; n++) {
    const key = keys[random(keys.length)];
    const pressed = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    handles[random(handles.length)].dispatchEvent(pressed);
    await new Promise((then) => setTimeout(then, 10));
  }
}"""

# a key on the first slider every 60 ms, and after each which settings the picture is of
DRAG = """async () => {
  const handle = [...document.querySelectorAll(".noUi-handle")].find((handle) => handle.offsetParent);
  const picture = [...document.querySelectorAll("canvas.dlseg-picture")].filter((shown) => shown.offsetParent)[1];
  const seen = [];
  for (let n = 0; n < 20; n++) {
    handle.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
    await new Promise((then) => setTimeout(then, 60));
    seen.push(picture.dataset.settings);
  }
  return seen;
}"""


def agreement(picture: Picture, settings: CRFParams, larger: int = 1, factor: int = 1) -> float:
    """The share of pixels that look as the library's labels; as those of its preview where `factor` > 1."""
    made = scene()
    image = made["image"].repeat(larger, 0).repeat(larger, 1)
    crf = DenseCRF(image, probs=made["probs"].repeat(larger, 1).repeat(larger, 2))
    labels = crf.preview(settings, factor=factor).argmax(0)
    end = time.monotonic() + 10  # where the machine is slow, a preview at half the size comes first
    while (same := float((np.abs(paint(picture) - overlay(image, labels)).max(-1) <= 1).mean())) < 0.999:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return same


def test_a_busy_kernel_leaves_the_preview_alive(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("preview.ipynb", ALONE, [SCENE, STUDIO]).run_all()
    right, w1 = notebook.picture("After"), notebook.slider("appearance weight")
    start = right.settled()
    with notebook.busy():
        w1.press("Home")
        moved = right.changed_from(start)
        assert agreement(right, CRFParams(w1=0)) >= 0.999
        expect(right.box.locator(".dlseg-status")).to_have_text(BUSY)
        w1.press("End")
        right.changed_from(moved)
        notebook.page.wait_for_function("(e) => e.dataset.settled === 'false'", arg=right.element.element_handle())
        expect(right.box.locator(".dlseg-status")).to_have_text(BUSY)
        assert agreement(right, CRFParams(w1=20)) >= 0.999
        right.element.evaluate(LOG)
    exact = right.settled()
    expect(right.box.locator(".dlseg-status")).to_contain_text("mean IoU")
    assert agreement(right, CRFParams(w1=20)) == 1.0
    seen: list[list[float]] = notebook.page.evaluate("shown")
    assert {height for *_, height in seen} == {seen[0][1]}, "nothing jumps"
    assert len({digest for digest, *_ in seen}) <= 2, f"nothing flickers back to an older answer: {seen}"
    assert exact[:2] == [80, 60]


def test_while_a_slider_is_dragged_the_page_answers_and_the_kernel_once_it_rests(
    open_notebook: Callable[..., Notebook],
) -> None:
    count = """
from dlseg.crf import DenseCRF
computed, infer = [], DenseCRF.infer
def counted(self, params, *args, **kwargs):
    found = infer(self, params, *args, **kwargs)
    computed.append(params)
    return found
DenseCRF.infer = counted
"""
    says = "print(studio.preview.answers, len(computed), studio.params == computed[-1])"
    notebook = open_notebook("dragged.ipynb", Settings(), [SCENE, count, STUDIO, says]).run_all()
    page, right, w1 = notebook.page, notebook.picture("After"), notebook.slider("appearance weight")
    start = right.settled()
    w1.press("Home")
    right.changed_from(start)
    right.settled()
    before = int(notebook.says(3).split()[1])
    seen = page.evaluate(DRAG)
    right.settled()
    answers, after, newest = notebook.says(3).split()
    assert (answers, newest) == ("True", "True")
    assert len(set(seen)) >= 10, f"settings whose picture was shown while the slider moved: {seen}"
    assert 1 <= int(after) - before <= 8, f"answers of the kernel in 1.2 s of {len(set(seen))} pictures"


def test_a_killed_kernel_leaves_the_preview_alive(open_notebook: Callable[..., Notebook]) -> None:
    """Killed from outside while nothing runs: JupyterLab starts another, which knows nothing of the studio."""
    pid = "import os\nprint(os.getpid())"
    notebook = open_notebook("killed.ipynb", Settings(), [SCENE, STUDIO, pid]).run_all()
    right, w1, page = notebook.picture("After"), notebook.slider("appearance weight"), notebook.page
    w1.press("ArrowRight")
    start = right.settled()
    notebook.says(2)
    kill(int(notebook.says(2)))
    page.wait_for_selector(".jupyter-widgets-disconnected.dlseg-explorer", timeout=60_000)
    dialog = page.locator(".jp-Dialog .jp-mod-accept")
    if dialog.count():
        dialog.first.click()
    expect(page.locator(".dlseg-still")).to_be_hidden()
    w1.press("Home")
    right.changed_from(start)
    expect(right.box.locator(".dlseg-status")).to_have_text(GONE)
    assert agreement(right, CRFParams(w1=0)) >= 0.999
    expect(page.get_by_role("button", name="pin as A", exact=True)).to_be_hidden()
    moved = right.digest()
    notebook.slider("appearance, px").press("Home")
    w1.press("End")
    right.changed_from(moved)
    notebook.run_all()  # in the new kernel: a studio whose answers are the kernel's
    assert notebook.picture("After").settled() == right.settled()
    expect(page.locator(".dlseg-status").filter(has_text="preview")).to_have_count(0)


def test_a_restarted_kernel(open_notebook: Callable[..., Notebook]) -> None:
    """A large picture, which the page refines at half its size; first as the probability of a class."""
    notebook = open_notebook("restarted.ipynb", Settings(dark=True), [LARGE, STUDIO]).run_all()
    right, w1, page = notebook.picture("After"), notebook.slider("appearance weight"), notebook.page
    start = right.settled()
    notebook.choose("view", "probability of a class")
    right.changed_from(start)
    belief = right.settled()
    notebook.restart_kernel()
    w1.press("Home")
    off = right.changed_from(belief)
    expect(right.box.locator(".dlseg-bar")).to_contain_text("probability of background")
    expect(right.box.locator(".dlseg-status")).to_have_text(GONE)
    w1.press("End")
    right.changed_from(off)
    notebook.run_all()
    again = notebook.picture("After")
    assert again.settled() == start
    with notebook.busy():
        notebook.slider("smoothness weight").press("End")
        again.changed_from(start)
    again.settled()
    notebook.restart_kernel()
    notebook.slider("smoothness weight").press("Home")
    expect(again.box.locator(".dlseg-status")).to_have_text(GONE)
    page.wait_for_timeout(500)
    assert agreement(again, CRFParams(w2=0), 4, 2) >= 0.999


def test_two_studios_and_a_thousand_events(open_notebook: Callable[..., Notebook]) -> None:
    """Each preview is its own studio's; nothing piles up, and after all the answers are the kernel's."""
    second = 'other = crf_studio(image, probs, truth, sliders=["w2", "sigma_gamma"], tools=False)'
    check = """
import zlib
from dlseg.crf import DenseCRF
def right(studio):
    shown = np.frombuffer(zlib.decompress(studio.after.layer), np.uint8).reshape(studio.after.layer_size)
    return np.array_equal(shown, DenseCRF(image, probs=probs).infer(studio.params).argmax(0))
print(right(studio), right(other))
"""
    notebook = open_notebook("events.ipynb", ALONE, [SCENE, STUDIO, second, check]).run_all()
    boxes, page = notebook.page.locator(".dlseg-canvas:visible"), notebook.page
    one, two = Picture(page, boxes.nth(1)), Picture(page, boxes.nth(3))
    start, alone = one.settled(), two.settled()
    with notebook.busy():
        notebook.slider("appearance weight").press("Home")
        one.changed_from(start)
        assert two.digest() == alone
        notebook.slider("smoothness weight", number=1).press("End")
        two.changed_from(alone)
        expect(boxes.nth(3).locator(".dlseg-status")).to_have_text(BUSY)
    one.settled()
    two.settled()
    assert notebook.says(3) == "True True"

    def shake(events: int, seed: int) -> None:
        page.evaluate(SHAKE, {"events": events, "seed": seed})

    shake(200, 1)
    before = heap(page)
    with notebook.busy():
        shake(500, 2)
    one.settled()
    shake(500, 3)
    one.settled()
    two.settled()
    after = heap(page)
    assert after < before + 8, f"JavaScript's memory grew from {before:.0f} to {after:.0f} MB"
    assert notebook.says(3) == "True True"


def heap(page: Page) -> float:
    """Megabytes that the page's scripts hold."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    held: float = session.send("Runtime.getHeapUsage")["usedSize"] / 2**20
    session.detach()
    return held


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
