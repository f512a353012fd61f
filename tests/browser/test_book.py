"""The book in a real browser, without a network: every page opens, no dead link, no missing image, search works."""

import importlib.util
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

import pytest
from executed import kept
from labdriver.layout import faint
from playwright.sync_api import expect

from dlseg.course.book import build_book, executed_copy
from dlseg.course.notebook_source import student

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = ("00_tour", "02_atrous")
NEEDED = ("sphinx", "myst_nb", "furo", "sphinx-mathjax-offline")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]
LINKS = "[...document.querySelectorAll('a[href]')].map((a) => a.href)"
EXPLORERS = ("00_tour", "01_pooling", "02_atrous", "03_receptive_field", "04_training", "05_crf", "06_capstone")
# places in the same page that are not there, and files that no page can reach
DEAD = """() => [...document.querySelectorAll("a[href*='#']")].map((a) => a.getAttribute("href"))
  .filter((href) => href.length > 1 && href.startsWith("#"))
  .filter((href) => !document.getElementById(decodeURIComponent(href.slice(1))))"""
BROKEN = "[...document.images].filter((i) => !(i.complete && i.naturalWidth)).map((i) => i.src)"

LOADED = r"""async (site) => {
  const asked = performance.getEntriesByType("resource").map((entry) => entry.name);
  const images = [...document.images].map((image) => image.src);
  const mine = (name) => name.startsWith(site) && !/_static\/|favicon\.ico$/.test(name);
  const own = [location.href, ...asked, ...images].filter(mine);
  const sizes = [];  // one after the other: the small server of the test refuses a crowd
  for (const name of new Set(own)) sizes.push((await (await fetch(name)).arrayBuffer()).byteLength);
  return sizes;
}"""

# controls of the explorers that can be used now, in the page's order
CONTROLS = """() => [...document.querySelectorAll(".dlseg")].flatMap((root) =>
  [...root.querySelectorAll("input, select, button, canvas[tabindex], [tabindex='0']")]
    .filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0))"""
# of the focused element: its place among them, and whether a person sees where the focus is
FOCUSED = f"""() => {{
  const e = document.activeElement, style = getComputedStyle(e);
  const seen = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  const named = e.getAttribute("aria-label") || e.labels?.length || e.innerText || e.title;
  return [({CONTROLS})().indexOf(e), seen, Boolean(named), e.outerHTML.slice(0, 80)];
}}"""


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Iterator[str]:
    """The address of the book; two notebooks have results, the others stand in it as they are."""
    out = tmp_path_factory.mktemp("book")
    (out / "executed").mkdir()
    for name in RUN:
        if (ran := kept(tmp_path_factory, name)).is_file():  # else the book runs it itself
            shutil.copy(ran, executed_copy(out / "executed", student(repo / "notebooks" / "source" / f"{name}.py")))
    build_book(repo / "notebooks", repo / "docs", out, only=RUN, iterations=10)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(out / "html")))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(chromium: "Browser", site: str) -> Iterator["Page"]:
    """A page that may load nothing from elsewhere, and notes what failed."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.failed = []  # type: ignore[attr-defined]
    # what is still loading when the page is left is aborted, and no failure
    page.on(
        "requestfailed",
        lambda request: (
            page.failed.append(request.url)  # type: ignore[attr-defined]
            if request.failure != "net::ERR_ABORTED"
            else None
        ),
    )
    page.on(
        "response",
        lambda answer: (
            page.failed.append(answer.url)  # type: ignore[attr-defined]
            if answer.status >= 400 and "favicon" not in answer.url
            else None
        ),
    )
    context.route(
        lambda url: not url.startswith((site, "data:", "blob:")), lambda route: route.abort("internetdisconnected")
    )
    yield page
    context.close()


def visit(page: "Page", site: str) -> dict[str, list[str]]:
    """Every page that can be reached, with the images that do not show and the places in it that are not there."""
    waiting, seen = [f"{site}index.html"], dict[str, list[str]]()
    while waiting:
        address = waiting.pop()
        page.goto(address, wait_until="load")
        seen[address] = [*page.evaluate(BROKEN), *page.evaluate(DEAD)]
        links = {link.partition("#")[0] for link in page.evaluate(LINKS)}
        waiting += [
            link
            for link in sorted(links)
            if link.startswith(site) and link.endswith(".html") and link not in {*seen, *waiting}
        ]
    return seen


@pytest.mark.timeout(900)
def test_no_dead_link_and_no_missing_image(page: "Page", site: str) -> None:
    seen = visit(page, site)
    names = {address.removeprefix(site) for address in seen}
    assert {
        "student-guide.html",
        "teacher-guide.html",
        "paper-vs-release.html",
        "api.html",
        "api/grading.html",
        "tables.html",
        "notebooks/00_tour.html",
        "notebooks/06_capstone.html",
    } <= names
    assert {address: broken for address, broken in seen.items() if broken} == {}
    assert page.failed == []  # type: ignore[attr-defined]
    page.goto(f"{site}notebooks/05_crf.html")
    text = page.get_by_role("link", name="engine.js")
    source = page.request.get(text.evaluate("(a) => a.href")).text()
    assert "class DenseCRF" in source and len(source.splitlines()) <= 400


def test_stills_formulas_and_answers(page: "Page", site: str) -> None:
    page.goto(f"{site}notebooks/02_atrous.html")
    expect(page.locator("mjx-container").first).to_be_attached()
    assert page.locator(".cell_output .dlseg-figure").count() == 5
    page.get_by_label("rate (cells)").press("End")
    expect(page.locator(".dlseg table").last).to_contain_text("the map read every 6 cells")
    text = page.locator("article").inner_text()
    assert "not attempted yet" in text and "Traceback" not in text and "BEGIN SOLUTION" not in text
    folder = Path(__file__).parent / "output"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / "book-02_atrous.png", full_page=True)


def test_the_studio_moves_in_the_page(page: "Page", site: str) -> None:
    page.goto(f"{site}notebooks/00_tour.html")
    page.wait_for_function("window.dlsegStudio?.result() && dlsegStudio.idle()")
    before = page.evaluate("[...dlsegStudio.result().labels]")
    page.get_by_label("w1: weight of appearance").press("Home")
    page.wait_for_function("dlsegStudio.idle() && dlsegStudio.state.params.w1 === 0")
    assert page.evaluate("[...dlsegStudio.result().labels]") != before


def test_every_page_is_small(page: "Page", site: str) -> None:
    """At most 1.5 MB beyond what every page of the theme loads: the page and its own files."""
    sizes = dict[str, int]()
    for address in visit(page, site):
        page.goto(address)
        loaded = page.evaluate(LOADED, site)
        sizes[address] = sum(loaded)
    assert {address: size for address, size in sizes.items() if size >= 1_500_000} == {}


def test_search(page: "Page", site: str) -> None:
    page.goto(f"{site}search.html?q=decimation")
    expect(page.locator("#search-results li").first).to_be_visible()


def test_the_reference_has_everything_public(page: "Page", site: str) -> None:
    import dlseg.crf

    page.goto(f"{site}api/crf.html")
    missing = [name for name in dlseg.crf.__all__ if not page.locator(f"[id='dlseg.crf.{name}']").count()]
    assert missing == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_can_be_read(
    chromium: "Browser", site: str, scheme: Literal["light", "dark"]
) -> None:
    """Nothing is wider than the window, every text stands out from its ground, nothing fails on the console."""
    context = chromium.new_context(viewport={"width": 375, "height": 800}, color_scheme=scheme)
    page, said = context.new_page(), list[str]()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    guides = ("index", "student-guide", "architecture", "tables", "api/crf", "glossary", "studio")
    for name in (*guides, *(f"notebooks/{name}" for name in EXPLORERS)):
        page.goto(f"{site}{name}.html", wait_until="load")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, name
        assert faint(page, within="body") == [], name
        assert [line for line in said if "404" not in line] == [], name  # 404: the browser asks for a favicon
    context.close()


def test_without_scripts_every_explorer_is_a_picture_and_says_so(chromium: "Browser", site: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page, found = context.new_page(), 0
    for name in EXPLORERS:
        page.goto(f"{site}notebooks/{name}.html", wait_until="load")
        for still in page.locator("noscript:has(p)").all():
            assert "This picture moves where JavaScript is switched on." in still.inner_text(), name
            picture = still.locator("img, svg").first
            expect(picture).to_be_visible()
            box = picture.bounding_box()
            assert box is not None and box["width"] > 100 and box["height"] > 50, name
            found += 1
    assert found >= 2  # of the notebooks that were run for this site
    context.close()


def test_every_explorer_can_be_used_without_a_mouse(page: "Page", site: str) -> None:
    """Tab reaches every control in order; each has a name, and shows that it has the focus."""
    for name in EXPLORERS:
        page.goto(f"{site}notebooks/{name}.html", wait_until="load")
        page.wait_for_timeout(1500)  # what is computed at first is there
        count = page.evaluate(f"({CONTROLS})().length")
        if not count:
            continue
        page.evaluate(f"({CONTROLS})()[0].focus({{focusVisible: true}})")
        reached = [page.evaluate(FOCUSED)]
        for _ in range(count + 200):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
            if reached[-1][0] == count - 1:
                break
        inside = [found for found in reached if found[0] >= 0]
        assert [found[0] for found in inside] == list(range(count)), f"{name}: {inside}"
        assert [found for found in inside if not (found[1] and found[2])] == [], name
