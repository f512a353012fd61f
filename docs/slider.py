"""Films the CRF studio's first slider in a page without Python: docs/slider.webp, at the head of README.

python docs/slider.py
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from dlseg.course.live import studio_of_the_course

PICTURE = Path(__file__).resolve().parent / "slider.webp"
WEIGHTS = (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)  # of w1, forth and back
READY = "window.dlsegStudio?.result() && dlsegStudio.idle()"


def film() -> list[Image.Image]:
    """The studio at each weight."""
    frames = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1240, "height": 400})
        file = Path(folder) / "studio.html"
        file.write_text(studio_of_the_course(), encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_function(READY)
        for weight in WEIGHTS:
            page.evaluate(f"dlsegStudio.set({{w1: {weight}}})")
            page.wait_for_function(READY)
            page.wait_for_timeout(50)
            frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        browser.close()
    return frames


if __name__ == "__main__":
    forth = film()
    frames = [*forth, forth[-1], *reversed(forth[1:-1]), forth[0]]
    frames[0].save(PICTURE, save_all=True, append_images=frames[1:], duration=220, loop=0, quality=60, method=6)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes, {len(frames)} pictures")
