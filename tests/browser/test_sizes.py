"""Every explorer in every window: light and dark, from a laptop's to a large screen, and at 200 % zoom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import OUTPUT
from labdriver import Notebook, Settings
from labdriver.layout import faint, faults
from test_studio import SCENE, STUDIO

pytestmark = pytest.mark.browser

WINDOWS = {
    "1280": (1280, 720),
    "1440": (1440, 900),
    "1920": (1920, 1080),
    "zoom": (640, 360),
}  # zoom: 200 % of 1280
MAKE = "from dlseg.widgets import {0}\n{0[0]} = {0}()"
LARGE = SCENE + "image, truth = (x.repeat(6, 0).repeat(6, 1) for x in (image, truth))\n"
CAT = """
from dlseg.datasets.photos import load_photo
from dlseg.widgets import crf_studio
cat = load_photo("cat")
studio = crf_studio(cat.image, scribbles=cat.scribbles, classes=cat.names)
"""
CELLS = {
    "pooling": [MAKE.format("pooling_explorer")],
    "atrous": [MAKE.format("atrous_explorer")],
    "field": [MAKE.format("field_explorer")],
    "training": [MAKE.format("training_explorer")],
    "studio": [LARGE + "probs = probs.repeat(6, 1).repeat(6, 2)", STUDIO],
    "pinned": [LARGE + "probs = probs.repeat(6, 1).repeat(6, 2)", STUDIO, "studio.tools.pin.value = True"],
    "scribbles": [CAT],
    "question": ["from dlseg.course import guess\nguess('pooling.legs')", "guess('receptive_field.fc6')"],
}
WIDER = """() => [...document.querySelectorAll(".dlseg-explorer, .dlseg-explorer .widget-box")]
  .filter((e) => e.getClientRects().length && e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.scrollWidth} in ${e.clientWidth}: ${e.className} ${e.innerText.slice(0, 60)}`)"""
# what stands in view once the explorer is scrolled to the top: all of it that must, at once
UNSEEN = """(selectors) => {
  document.querySelector(".dlseg-explorer").scrollIntoView({ block: "start" });
  const view = document.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect();
  const out = (box) => box.bottom > view.bottom + 1 || box.top < view.top - 1;
  return selectors.flatMap((selector) => [...document.querySelectorAll(`.dlseg-explorer ${selector}`)]
    .filter((e) => e.offsetParent).map((e) => e.getBoundingClientRect()).filter(out)
    .map((box) => `${selector} ${Math.round(box.bottom - view.bottom)} px too low`));
}"""
TRACKS = """() => [...document.querySelectorAll(".dlseg-explorer .slider-container")].filter((e) => e.offsetParent)
  .map((e) => e.getBoundingClientRect().width)"""
AT_ONCE = {
    "pooling": [".widget-slider", ".dlseg-picture"],
    "atrous": [".widget-slider"],
    "field": ["select", ".dlseg-picture"],
    "training": [".widget-slider", ".dlseg-picture"],
    "studio": [".widget-slider", ".dlseg-scores", ".dlseg-picture"],
    "pinned": [".widget-slider", ".dlseg-scores", ".dlseg-picture"],
    "scribbles": [".widget-slider", ".dlseg-picture"],
}
SHORTEST = 60  # px of a slider's track, so that a hand can set it


def fit(notebook: Notebook, width: int, height: int) -> None:
    """The window at this size, and the page at rest in it; below 800 pixels without the list of files."""
    page: Any = notebook.page
    page.set_viewport_size({"width": width, "height": height})
    list_of_files = page.evaluate("() => !window.jupyterapp.shell.leftCollapsed")
    if (width < 800) == list_of_files:
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.wait_for_timeout(600)


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.full)], ids=["light", "dark"])
@pytest.mark.parametrize("name", list(CELLS))
def test_it_fits_every_window(open_notebook: Callable[..., Notebook], name: str, dark: bool) -> None:
    notebook = open_notebook(f"{name}.ipynb", Settings(dark=dark), CELLS[name]).run_all()
    page, found = notebook.page, list[str]()
    OUTPUT.mkdir(exist_ok=True)
    page.wait_for_timeout(1500)
    for size, (width, height) in WINDOWS.items():
        fit(notebook, width, height)
        wrong = [*faults(page), *faint(page), *page.evaluate(WIDER)]
        if name in AT_ONCE and size != "zoom":
            wrong += page.evaluate(UNSEEN, AT_ONCE[name])
            wrong += [f"a slider's track of {track:.0f} px" for track in page.evaluate(TRACKS) if track < SHORTEST]
        found += [f"{size}: {line}" for line in wrong]
        page.screenshot(path=OUTPUT / f"size-{name}-{'dark' if dark else 'light'}-{size}.png")
    assert not found, "\n".join(found)
