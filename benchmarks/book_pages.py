"""The book as a browser gets it: bytes of each page and milliseconds to its first picture, from a local server.

- beyond the theme: the page itself and the files that it loads, but for those of the theme (`_static`), which all
  pages share;
- first picture: from the click on the address to the first picture or explorer in sight of the page's text that has
  been painted, with an empty cache; where a page has none, to its first words.

    make book && python benchmarks/book_pages.py [--site docs/_build/html] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import timing
from playwright.sync_api import Browser, sync_playwright

from dlseg.common.tables import table

FLAGS = ["--no-sandbox", "--disable-gpu"]
LARGEST, SLOWEST = 1_500_000, 1000  # bytes beyond the theme, milliseconds to the first picture
OWN = ("_static/book.css",)  # what lies among the theme's files and is not of the theme
FIRST = """() => {
  const blank = (canvas) => {
    if (!canvas.width || !canvas.height) return true;
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.drawImage(canvas, canvas.width / 2, canvas.height / 2, 1, 1, 0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data[3] === 0;
  };
  window.firstPicture = null;
  const look = () => {
    const images = [...document.querySelectorAll("article img")];
    const found = images.some((image) => image.complete && image.naturalWidth)
      || [...document.querySelectorAll("canvas")].some((canvas) => !blank(canvas));
    if (found) window.firstPicture = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
HAS_PICTURE = "document.querySelector('article img, canvas') !== null"
WORDS = "performance.getEntriesByName('first-contentful-paint')[0]"


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def log_message(self, *_: object) -> None:
        """Silent."""


def visit(browser: Browser, address: str, site: Path, name: str) -> tuple[int, float, set[str]]:
    """Bytes beyond the theme, milliseconds to the first picture, and the files of the theme that were loaded."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, asked = context.new_page(), set[str]()
    page.on("requestfinished", lambda request: asked.add(unquote(urlsplit(request.url).path).lstrip("/")))
    page.add_init_script(f"({FIRST})()")
    page.goto(f"{address}{name}", wait_until="load")
    if page.evaluate(HAS_PICTURE):
        page.wait_for_function("window.firstPicture !== null", timeout=60_000)
        first = float(page.evaluate("window.firstPicture"))
    else:
        page.wait_for_function(f"{WORDS} !== undefined")
        first = float(page.evaluate(f"{WORDS}.startTime"))
    page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_load_state("networkidle")
    context.close()
    files = {file for file in asked if (site / file).is_file()}
    theme = {file for file in files if file.startswith("_static/") and file not in OWN}
    return sum((site / file).stat().st_size for file in files - theme), first, theme


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=Path("docs/_build/html"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    names = sorted(path.relative_to(args.site).as_posix() for path in args.site.rglob("*.html"))
    if not names:
        parser.error(f"--site: got {args.site}, expected a folder with the book's pages; make book writes it")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(args.site)))
    Thread(target=server.serve_forever, daemon=True).start()
    address, rows, wrong, theme = f"http://127.0.0.1:{server.server_port}/", [], [], set[str]()
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        visit(browser, address, args.site, names[0])  # the browser's own first start
        for name in names:
            size, first, files = visit(browser, address, args.site, name)
            theme |= files
            rows.append([name, f"{size:,}", f"{first:.0f}"])
            wrong += [f"{name}: {size:,} bytes, expected at most {LARGEST:,}"] if size > LARGEST else []
            wrong += [f"{name}: {first:.0f} ms, expected at most {SLOWEST}"] if first > SLOWEST else []
        browser.close()
    server.shutdown()
    everything = sum(path.stat().st_size for path in args.site.rglob("*") if path.is_file())
    loaded = sum((args.site / file).stat().st_size for file in theme)
    text = (
        "# The book's pages\n\n" + timing.machine("Chromium, local server, empty cache, wall-clock time") + "\n\n"
    )
    text += table(["page", "bytes beyond the theme", "first picture, ms"], rows)
    text += f"\n\nWhole site: {everything:,} bytes. Of the theme, pages load {loaded:,} bytes, once.\n"
    timing.save(args.out, text)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
