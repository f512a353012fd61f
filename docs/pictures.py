"""Photographs the explorers in pages without Python: docs/pictures/*.webp, for README and the book's first page.

    python docs/pictures.py [ITERATIONS]

The training explorer shows a run of so many iterations, by default its own recipe's (a minute or two).
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from dlseg.course.live import LiveExplorers, studio_of_the_course
from dlseg.widgets import webpage

FOLDER = Path(__file__).resolve().parent / "pictures"
WEIGHTS = (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)  # of w1, forth and back
READY = "window.dlsegStudio?.result() && dlsegStudio.idle()"


def shot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def film(page: Page, file: Path) -> None:
    """The CRF studio as its first slider moves."""
    file.write_text(studio_of_the_course(), encoding="utf-8")
    page.set_viewport_size({"width": 1240, "height": 400})
    page.goto(file.as_uri())
    page.wait_for_function(READY)
    forth = []
    for weight in WEIGHTS:
        page.evaluate(f"dlsegStudio.set({{w1: {weight}}})")
        page.wait_for_function(READY)
        page.wait_for_timeout(50)
        forth.append(shot(page))
    frames = [*forth, forth[-1], *reversed(forth[1:-1]), forth[0]]
    path = FOLDER / "slider.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=220, loop=0, quality=60, method=6)


def stills(page: Page, file: Path, live: LiveExplorers) -> None:
    """The other explorers, as they stand at first."""
    page.set_viewport_size({"width": 1000, "height": 400})
    for name in ("pooling", "atrous", "field", "training"):
        parts = getattr(live, name)(still="", name=name)
        file.write_text(webpage.page("", parts), encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_timeout(500)
        shot(page).save(FOLDER / f"{name}.webp", quality=60, method=6)


def main() -> None:
    """Write the five pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page, file = browser.new_page(), Path(folder) / "page.html"
        film(page, file)
        live = LiveExplorers(Path(folder), int(sys.argv[1])) if len(sys.argv) > 1 else LiveExplorers(Path(folder))
        stills(page, file, live)
        browser.close()
    for made in sorted(FOLDER.glob("*.webp")):
        print(f"{made}: {made.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
