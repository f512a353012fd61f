"""The CRF studio as an HTML file, in Chromium, without Python: how fast, and whether its memory is steady.

- first: from opening the file to the first picture;
- dragged: w1 by mouse moves, the next as soon as the last is answered: milliseconds from one picture to the next;
- built: σα, after which the lattice is made anew: from the change to the whole answer;
- large: the same on 321×321 pixels with 21 labels;
- memory: the page's JavaScript heap before and after a thousand random events (sliders, views, clicks, pins).

    python benchmarks/page_studio.py [--events 1000] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import timing
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from dlseg.common.tables import table
from dlseg.course.live import problem
from dlseg.crf import CRFParams
from dlseg.training.recipe import SHAPES_CRF
from dlseg.widgets.webpage import studio_page

FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info", "--js-flags=--expose-gc"]
EVENTS = ("w1", "sigma_alpha", "sigma_beta", "iterations", "view", "pin", "click")
READY = "window.dlsegStudio?.result() && dlsegStudio.idle()"
DRAGGED = """async (steps) => {
    const root = document.querySelector('.dlseg'), slider = document.querySelector('[id$="-w1"]'), times = [];
    for (let step = 0; step < steps; step++) {
        const answered = new Promise((then) => root.addEventListener('answered', then, {once: true}));
        const start = performance.now();
        slider.value = 1 + (step % 15) / 2;
        slider.dispatchEvent(new Event('input'));
        await answered;
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - start);
    }
    slider.dispatchEvent(new Event('change'));
    return times;
}"""
BUILT = """async (value) => {
    const root = document.querySelector('.dlseg'), slider = document.querySelector('[id$="-sigma_alpha"]');
    const answered = new Promise((then) => root.addEventListener('answered', then, {once: true}));
    const start = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event('change'));
    dlsegStudio.set({sigma_alpha: value});
    await answered;
    await new Promise(requestAnimationFrame);
    return performance.now() - start;
}"""


def large_problem() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The notebooks' image at 321×321, its probabilities shared among 21 labels."""
    sample, probs, _ = problem()
    image = np.asarray(Image.fromarray(sample.image).resize((321, 321), Image.Resampling.BICUBIC))
    wide = [np.asarray(Image.fromarray(p).resize((321, 321), Image.Resampling.BILINEAR)) for p in probs]
    more = np.random.default_rng(0).uniform(0, 0.02, (21, 321, 321)).astype(np.float32)
    more[: len(wide)] += np.stack(wide)
    return image, more / more.sum(0), [f"label {n}" for n in range(21)]


def few_labels() -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """The notebooks' image with its eight likeliest labels."""
    sample, probs, classes = problem()
    kept = np.sort(np.argsort(-probs.mean((1, 2)))[:8])
    assert sample.label is not None
    return sample.image, probs[kept] / probs[kept].sum(0), [classes[n] for n in kept], sample.label


def memory(page: Page) -> float:
    page.evaluate("gc()")
    return float(page.evaluate("performance.memory.usedJSHeapSize")) / 2**20


def shake(page: Page, events: int, rng: random.Random) -> None:
    """Random events, a hundred at a time, each batch answered before the next."""
    for _ in range(events // 100):
        chosen = [(rng.choice(EVENTS), rng.random()) for _ in range(100)]
        page.evaluate(
            """async (events) => {
                for (const [what, share] of events) {
                    const slider = document.querySelector(`[id$="-${what}"]`);
                    if (slider) {
                        slider.value = +slider.min + share * (slider.max - slider.min);
                        slider.dispatchEvent(new Event('input'));
                        slider.dispatchEvent(new Event('change'));
                    } else if (what === 'pin') {
                        [...document.querySelectorAll('button')].find((b) => b.textContent === 'pin').click();
                    } else if (what === 'view') {
                        const select = document.querySelectorAll('select')[1];
                        select.selectedIndex = Math.floor(share * select.options.length);
                        select.dispatchEvent(new Event('change'));
                    } else {
                        const canvas = document.querySelector('canvas'), box = canvas.getBoundingClientRect();
                        const at = {clientX: box.left + share * box.width, clientY: box.top + share * box.height};
                        canvas.dispatchEvent(new PointerEvent('pointerdown', {pointerId: 1, ...at}));
                    }
                    await new Promise((then) => setTimeout(then, 5));
                }
            }""",
            chosen,
        )
        page.wait_for_function(READY, timeout=60_000)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    image, probs, classes, truth = few_labels()
    small = studio_page(image, probs, classes, truth, SHAPES_CRF)
    large_image, large_probs, names = large_problem()
    large = studio_page(large_image, large_probs, names, None, CRFParams())
    rows: list[list[str]] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)

        def opened(text: str) -> tuple[Page, float]:
            file = Path(folder) / "studio.html"
            file.write_text(text, encoding="utf-8")
            page = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True).new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
            start = time.perf_counter()
            page.goto(file.as_uri())
            page.wait_for_function(READY)
            return page, 1000 * (time.perf_counter() - start)

        page, first = opened(small)
        rows.append(["128×128, 8 labels: first picture", f"{first:.0f}", ""])
        page.evaluate(DRAGGED, 20)
        dragged = page.evaluate(DRAGGED, 100)
        rows.append(["w1 dragged", f"{statistics.median(dragged):.0f}", f"{np.quantile(dragged, 0.95):.0f}"])
        built = [page.evaluate(BUILT, 20 + 2 * n) for n in range(15)]
        rows.append(["after σα: lattice and whole answer", f"{statistics.median(built):.0f}", f"{max(built):.0f}"])
        shake(page, 200, random.Random(1))
        before = memory(page)
        shake(page, args.events, random.Random(2))
        after = memory(page)
        page, first = opened(large)
        rows.append(["321×321, 21 labels: first picture", f"{first:.0f}", ""])
        built = [page.evaluate(BUILT, 30 + 5 * n) for n in range(7)]
        rows.append(["after σα: lattice and whole answer", f"{statistics.median(built):.0f}", f"{max(built):.0f}"])
        browser.close()
    text = "# The CRF studio in a page\n\n" + timing.machine("one page, wall-clock time") + "\n\n"
    text += table(["", "median, ms", "p95 or worst, ms"], rows)
    text += f"\n\nJavaScript heap: {before:.1f} MB, after {args.events:,} random events {after:.1f} MB."
    text += f"\nErrors on the console: {len(wrong)}. File: {len(small):,} bytes.\n"
    timing.save(args.out, text)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
