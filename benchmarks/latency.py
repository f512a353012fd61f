"""From a slider's event to changed pixels in the browser: the CRF studio, JupyterLab's own floor, the usual way.

One JupyterLab, one Chromium, one kernel; three forms of the same slider (w1, a real image with 21 classes):

- null: an ipywidgets.Image of 32×32 pixels whose colour follows the slider: what JupyterLab itself takes;
- studio: `crf_studio`, all sliders and tools;
- usual: `interact`, an Output widget, matplotlib, pydensecrf.

A fourth row, "page", is the studio while the kernel runs a cell and answers nothing (sub-shells off, in another
JupyterLab): from the mouse to the preview that the page makes by itself.

A dragged step is a mouse move with the button down; the next follows as soon as the picture is new, so that the
work under way is overtaken each time. Pixels are decoded and compared at every animation frame; the studio's
picture also says which settings it is of, and counts as new when these are (a step may change no label).

    python benchmarks/latency.py [--samples DIR] [--image NAME] [--steps 60] [--out FILE]
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import timing
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from labdriver import LabServer, Notebook, Settings  # noqa: E402

FORMS = ("null", "studio", "usual")
PAGE = "page"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
LATEST = 6000  # milliseconds after which a step counts as one that changed no pixel
RANGE = (1.0, 8.0)  # of w1: where each step of it changes labels

DATA = """
import numpy as np
from pathlib import Path
from dlseg.predict.score_files import read_scores
from dlseg.crf import CRFParams, DenseCRF
from dlseg.datasets.voc import CLASSES
from dlseg.images import read_image
image = read_image(Path({folder!r}) / "JPEGImages" / "{name}.jpg")
probs = read_scores(Path({folder!r}) / "scores" / "{name}.npz", image.shape[:2])
"""
NULL = """
import io, ipywidgets
from PIL import Image
def colour(value):
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (int(value * 12), 90, 40)).save(stream, format="PNG")
    return stream.getvalue()
null = ipywidgets.FloatSlider(5.0, min=0, max=20, step=0.5, description="null", layout={"width": "400px"})
shown = ipywidgets.Image(value=colour(5.0), format="png")
null.observe(lambda change: setattr(shown, "value", colour(change["new"])), "value")
ipywidgets.VBox([null, shown])
"""
STUDIO = """
from dlseg.widgets import crf_studio
studio = crf_studio(image, probs, classes=CLASSES)
"""
USUAL = """
import matplotlib.pyplot as plt, pydensecrf.densecrf as dcrf
from ipywidgets import interact, FloatSlider
from pydensecrf.utils import unary_from_softmax
from dlseg.datasets.voc import palette
def refined(w1):
    d = dcrf.DenseCRF2D(image.shape[1], image.shape[0], 21)
    d.setUnaryEnergy(unary_from_softmax(probs))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=50, srgb=10, rgbim=np.ascontiguousarray(image), compat=w1)
    return np.argmax(d.inference(10), axis=0).reshape(image.shape[:2])
def draw(w1):
    plt.figure(figsize=(5, 3.75)); plt.imshow(palette()[refined(w1)]); plt.title(f"w1 = {w1}"); plt.show()
interact(draw, w1=FloatSlider(5.0, min=0, max=20, step=0.5, description="usual", layout={"width": "400px"}));
"""
COMPUTE = """
import io, json, statistics, time
from dataclasses import replace
from dlseg.widgets.studio.engine import Engine
engine, values = Engine(), np.arange(2.0, 8.0, 0.5)
answers = lambda w1, overtaken: engine.answers(replace(studio.state, params=CRFParams(w1=w1)), lambda: overtaken)
def median(work):
    times = []
    for value in values:
        start = time.perf_counter()
        work(value)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)
def figure(w1, labels=refined(5.0)):
    plt.figure(figsize=(5, 3.75)); plt.imshow(palette()[labels]); plt.title(f"w1 = {w1}")
    plt.savefig(io.BytesIO(), format="png"); plt.close()
list(answers(5.0, False))
canvas = studio.after
print(json.dumps({
    "studio": {"preview": median(lambda v: next(answers(v, True))),
               "whole": median(lambda v: list(answers(v, False))),
               "bytes": 2 * (len(canvas.layer) + len(canvas.table))},
    "usual": {"whole": median(refined), "draw": median(figure)},
    "null": {"whole": median(colour), "bytes": len(colour(5.0))}}))
"""

# In the page: watch one form's picture at every frame; times are the page's own clock.
WATCH = """
window.watch = (() => {
  const canvas = new OffscreenCanvas(1, 1), context = canvas.getContext("2d", { willReadFrequently: true });
  let find = null, last = {}, from = 0, latest = 0, changes = [], running = false;
  function digest() {
    const element = find();
    if (!element || (element.tagName === "IMG" && !(element.complete && element.naturalWidth))) return last.pixels;
    const width = element.naturalWidth || element.width, height = element.naturalHeight || element.height;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.drawImage(element, 0, 0);
    const values = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    let hash = width;
    for (let i = 0; i < values.length; i++) hash = Math.imul(hash ^ values[i], 16777619);
    return hash;
  }
  // the studio's picture says which settings it is of, and counts what was drawn; others have their pixels alone
  function frame() {
    if (!running) return;
    const pixels = digest(), { settings = pixels, frame: drawn = pixels } = find()?.dataset ?? {};
    if (settings !== last.settings) changes.push(performance.now());
    if (drawn !== last.drawn) latest = performance.now();
    last = { settings, drawn, pixels };
    requestAnimationFrame(frame);
  }
  document.addEventListener("pointermove", () => { from = performance.now(); }, true);
  document.addEventListener("pointerup", () => { window.released = performance.now(); }, true);
  return {
    start(cell, selector) {
      const root = () => window.jupyterapp.shell.currentWidget.content.widgets[cell].node;
      find = () => [...root().querySelectorAll(selector)].filter((shown) => shown.offsetParent).at(-1);
      last = {}; running = true; frame(); changes = [];
    },
    stop() { running = false; },
    forget() { changes = []; },
    changes: () => changes,
    // how long after the newest mouse move pixels changed; null where they did not
    next: (limit) => new Promise((done) => {
      const moved = from;
      const check = () => {
        const found = changes.find((time) => time > moved);
        if (found) done(found - moved);
        else if (performance.now() - moved > limit) done(null);
        else requestAnimationFrame(check);
      };
      check();
    }),
    // from the mouse's release to what was drawn last, once nothing was drawn for `calm` milliseconds
    rest: (calm) => new Promise((done) => {
      const check = () => {
        const now = performance.now(), { released } = window;
        if (now - Math.max(latest, released) > calm) done(latest - released);
        else setTimeout(check, 50);
      };
      check();
    }),
  };
})();
"""
CELLS = {"null": 1, "studio": 2, "usual": 3}
PICTURE = {"null": "img.widget-image", "studio": "canvas.dlseg-picture", "usual": ".widget-output img"}
LABEL = {"null": "null", "studio": "appearance weight", "usual": "usual"}
CALM = {"null": 400, "studio": 1000, "usual": 3500}


class Form:
    """One of the three sliders, under the mouse."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name
        self.handle = page.locator(".widget-slider").filter(has_text=LABEL[name]).locator(".noUi-handle")
        self.track = page.locator(".widget-slider").filter(has_text=LABEL[name]).locator(".noUi-base")

    def __enter__(self) -> "Form":
        self.handle.scroll_into_view_if_needed()
        track, handle = self.track.bounding_box(), self.handle.bounding_box()
        assert track is not None and handle is not None
        self.y = handle["y"] + handle["height"] / 2
        self.low, self.high = (track["x"] + track["width"] * value / 20 for value in RANGE)
        self.page.mouse.move(handle["x"] + handle["width"] / 2, self.y)
        self.page.evaluate("(what) => watch.start(...what)", [CELLS[self.name], PICTURE[self.name]])
        self.page.mouse.down()
        return self

    def __exit__(self, *_: object) -> None:
        self.page.evaluate("() => watch.stop()")

    def steps(self, count: int) -> list[float | None]:
        """Dragged steps of 0.5, up and down; each as soon as the one before showed."""
        found = []
        for number in range(count + 2):
            self.page.mouse.move(self._place(number), self.y)
            found.append(self.page.evaluate("(limit) => watch.next(limit)", LATEST))
        self.page.mouse.up()
        self.page.evaluate("(calm) => watch.rest(calm)", CALM[self.name])
        return found[2:]  # the first two only lead there

    def drag(self, seconds: float) -> tuple[float, float]:
        """Pictures a second while the mouse moves as fast as it may, and milliseconds to the last one after it."""
        self.page.evaluate("() => watch.forget()")
        start, number = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < seconds:
            self.page.mouse.move(self._place(number), self.y)
            number += 1
            time.sleep(max(0.0, 0.016 * number - spent))
        shown = len(self.page.evaluate("() => watch.changes()"))
        self.page.mouse.up()
        settled = self.page.evaluate("(calm) => watch.rest(calm)", CALM[self.name])
        return shown / spent, max(0.0, settled)

    def _place(self, number: int) -> float:
        steps = int((RANGE[1] - RANGE[0]) / 0.5)
        phase = number % (2 * steps)
        return self.low + (self.high - self.low) * min(phase, 2 * steps - phase) / steps


def measure(page: Page, name: str, steps: int, drags: int) -> dict[str, object]:
    with Form(page, name) as form:
        latencies = form.steps(steps)
    found = []
    for number in range(drags):
        with Form(page, name) as form:
            found.append(form.drag(3.0 if number == 0 else 0.6))
    return {"steps": latencies, "pictures": found[0][0], "settle": [settle for _, settle in found]}


def report(results: dict[str, dict], compute: dict[str, dict], name: str, size: str) -> str:
    shown = {form: [x for x in result["steps"] if x is not None] for form, result in results.items()}
    middle = {form: statistics.median(values) for form, values in shown.items()}
    high = {form: statistics.quantiles(values, n=20)[-1] for form, values in shown.items()}
    settle = {form: statistics.median(result["settle"]) for form, result in results.items()}
    rows = [
        [
            form,
            str(len(shown[form])),
            str(len(results[form]["steps"]) - len(shown[form])),
            f"{middle[form]:.0f}",
            f"{high[form]:.0f}",
            f"{results[form]['pictures']:.1f}",
            f"{settle[form]:.0f} ({max(results[form]['settle']):.0f})",
        ]
        for form in results
    ]
    studio, usual = compute["studio"], compute["usual"]
    apart = [
        ["null", f"{compute['null']['whole']:.0f}", f"{middle['null'] - compute['null']['whole']:.0f}"],
        ["studio, preview", f"{studio['preview']:.0f}", f"{middle['studio'] - studio['preview']:.0f}"],
        ["studio, preview and whole", f"{studio['whole']:.0f}", f"{settle['studio'] - studio['whole']:.0f}"],
        [
            "usual",
            f"{usual['whole'] + usual['draw']:.0f} ({usual['whole']:.0f} the CRF)",
            f"{middle['usual'] - usual['whole'] - usual['draw']:.0f}",
        ],
    ]
    return "\n\n".join(
        [
            "# From the slider to the picture, measured",
            f"{timing.machine()}. {os.cpu_count()} processors. "
            f"Image {name}, {size}, 21 classes, 10 iterations; milliseconds unless said.",
            timing.table(
                [
                    "form",
                    "dragged steps",
                    "of them without change",
                    "median",
                    "p95",
                    "pictures a second in a drag of 3 s",
                    "whole picture after release, median (worst)",
                ],
                rows,
            ),
            f"- p95 of a dragged step, page to null: {high[PAGE] / high['null']:.2f}\n"
            f"- p95 of a dragged step, studio to null: {high['studio'] / high['null']:.2f} (at most 2.0 wanted)\n"
            f"- whole picture after release: {settle['studio']:.0f} ms (at most 500 wanted)\n"
            f"- usual to studio, median of a dragged step: {middle['usual'] / middle['studio']:.1f} (8 wanted); "
            f"p95: {high['usual'] / high['studio']:.1f}; after release: {settle['usual'] / settle['studio']:.1f}",
            "Computing alone, in the same kernel while nothing else moves, and what messages and display take:",
            timing.table(["form", "computing", "the rest"], apart),
            f"An update of the studio's two pictures is {studio['bytes'] / 1000:.1f} kB.",
        ]
    )


def main(options: argparse.Namespace) -> str:
    cells = [DATA.format(folder=str(options.samples / "voc"), name=options.image), NULL, STUDIO, USUAL, COMPUTE]
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with LabServer(Path(folder), ROOT / "notebooks", Settings()) as lab:
            lab.write("latency.ipynb", cells)
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            notebook = Notebook(lab, page).open("latency.ipynb").run_all()
            page.evaluate(WATCH)
            results = {form: measure(page, form, options.steps, 3 if form == "usual" else 11) for form in FORMS}
            compute = json.loads(notebook.says(4))
            size = page.locator("canvas.dlseg-picture").first.evaluate("(e) => `${e.width}×${e.height}`")
            page.close()
        alone = Path(folder) / "alone"
        alone.mkdir()
        with LabServer(alone, ROOT / "notebooks", Settings(subshells=False)) as lab:
            lab.write("page.ipynb", cells[:3])
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            notebook = Notebook(lab, page).open("page.ipynb").run_all()
            page.evaluate(WATCH)
            with notebook.busy():
                results[PAGE] = measure(page, "studio", options.steps, 11)
            browser.close()
    return report(results, compute, options.image, size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--samples",
        type=Path,
        default=os.environ.get("DLSEG_SAMPLES"),
        required=False,
        help="a folder that holds voc/ with images and scores; default $DLSEG_SAMPLES",
    )
    parser.add_argument("--image", default="2009_000488")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if chosen.samples is None or not (chosen.samples / "voc" / "scores").is_dir():
        parser.error("--samples: expected a folder that holds voc/ with JPEGImages and scores")
    timing.save(chosen.out, main(chosen))
