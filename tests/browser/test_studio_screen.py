"""The CRF studio on one screen: what is in view, what fills it, what stays in its place, what the formula says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from labdriver import Notebook, Settings
from playwright.sync_api import expect
from test_studio import SCENE, STUDIO

pytestmark = pytest.mark.browser

LARGE = (
    SCENE
    + """
image, truth = (x.repeat(6, 0).repeat(6, 1) for x in (image, truth))
probs = probs.repeat(6, 1).repeat(6, 2)
"""
)
BOXES = """(selectors) => selectors.map((selector) =>
  [...document.querySelectorAll(selector)].filter((e) => e.offsetParent).map((e) => {
    const { left, top, right, bottom } = e.getBoundingClientRect();
    return { left, top, right, bottom };
  }))"""
# the terms that are lit, be it for a moment
NOTE_LIT = """(formula) => {
  window.lit = [];
  const lit = () => [...formula.querySelectorAll(".dlseg-term.dlseg-lit")].map((e) => e.dataset.term);
  const note = () => window.lit.push(...lit());
  new MutationObserver(note).observe(formula, { subtree: true, attributeFilter: ["class"] });
}"""
TOP = "() => document.querySelector('.dlseg-explorer').scrollIntoView({ block: 'start' })"


def boxes(notebook: Notebook, *selectors: str) -> list[list[dict[str, float]]]:
    found: list[list[dict[str, float]]] = notebook.page.evaluate(BOXES, list(selectors))
    return found


def opened(open_notebook: Callable[..., Notebook], width: int, height: int) -> Notebook:
    notebook = open_notebook("screen.ipynb", Settings(), [LARGE, STUDIO]).run_all()
    notebook.page.set_viewport_size({"width": width, "height": height})
    notebook.page.evaluate(TOP)
    notebook.picture("After").settled()
    return notebook


def test_sliders_score_and_pictures_are_in_view_and_stay_where_they_are(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = opened(open_notebook, 1280, 720)
    (scroller,), sliders, (score,), pictures, below = boxes(
        notebook, ".jp-WindowedPanel-outer", ".widget-slider", ".dlseg-scores", ".dlseg-picture", ".dlseg-status"
    )
    for box in (*sliders[:6], score, *pictures):
        assert scroller["top"] - 1 <= box["top"] and box["bottom"] <= scroller["bottom"] + 1, box
    assert len({round(box["right"] - box["left"]) for box in sliders[:6]}) == 1, "sliders are of one width"
    assert all(box["bottom"] - box["top"] > 240 for box in pictures), "and the pictures are no stamps"

    def rest() -> Any:
        return boxes(notebook, ".widget-slider", ".dlseg-picture", ".dlseg-status")

    still, after = rest(), notebook.picture("After")
    assert below
    for key in ("Home", "End"):  # no weight at all, and the most
        now = after.settled()
        notebook.slider("appearance weight").press(key)
        after.changed_from(now)
        after.settled()
        assert rest() == still, "nothing jumps"
    expect(notebook.page.locator(".dlseg-scores")).to_contain_text("net alone → CRF")


def test_a_wide_window_is_filled(open_notebook: Callable[..., Notebook]) -> None:
    notebook = opened(open_notebook, 1920, 1080)
    (explorer,), pictures = boxes(notebook, ".dlseg-explorer", ".dlseg-picture")
    filled = sum(box["right"] - box["left"] for box in pictures) / (explorer["right"] - explorer["left"])
    assert filled > 0.9, filled


def test_the_formula_has_the_values_and_lights_what_moves(open_notebook: Callable[..., Notebook]) -> None:
    notebook = opened(open_notebook, 1280, 720)
    formula = notebook.page.locator(".dlseg-formula")
    part = formula.locator("[data-name=w1]")
    expect(part.locator("sub")).to_have_text("1")
    expect(part.locator(".dlseg-value")).to_have_text("5")
    formula.evaluate(NOTE_LIT)
    notebook.slider("appearance weight").press("ArrowRight")
    notebook.page.wait_for_function("() => window.lit.includes('appearance')")
    assert notebook.page.evaluate("() => [...new Set(window.lit)]") == ["appearance"]
    expect(part.locator(".dlseg-value")).to_have_text("5.5")
    expect(formula.locator(".dlseg-lit")).to_have_count(0)  # a while later
    notebook.choose("settings of", "deeplab-largefov")
    expect(formula.locator("[data-name=sigma_alpha] .dlseg-value")).to_have_text("121")
    label = notebook.page.locator(".widget-slider .widget-label").first
    expect(label.locator("sub")).to_have_text("1")
    assert "how strongly" in (label.get_attribute("title") or ""), "each slider explains itself"


READ = """
import json
before, after, rows, columns = probs, studio.marginals, *truth.shape
print(json.dumps([[float(x) for x in m[:, rows // 2, columns // 4]] for m in (before, after)]))
"""


def test_numbers_under_the_cursor(open_notebook: Callable[..., Notebook]) -> None:
    """By mouse and by keyboard, on both pictures; labels also while the kernel is busy; and those of curves."""
    notebook = open_notebook("read.ipynb", Settings(subshells=False), [SCENE, STUDIO, READ]).run_all()
    page, left, right = notebook.page, notebook.picture("Before"), notebook.picture("After")
    right.settled()
    found = json.loads(notebook.says(2))  # before the cursor is there: running a cell scrolls to it
    left.element.scroll_into_view_if_needed()
    box = left.element.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.253, box["y"] + box["height"] * 0.503)
    words = [picture.box.locator(".dlseg-reading") for picture in (left, right)]
    names = ["background", "stool", "cup"]
    for reading, shares in zip(words, found, strict=True):
        best = max(range(3), key=shares.__getitem__)
        expect(reading).to_contain_text(f"y 30, x 20: {names[best]} · {names[best]} {100 * shares[best]:.0f} %")
    expect(right.box.locator(".dlseg-cross")).to_be_visible()
    page.mouse.move(0, 0)
    expect(words[0]).to_have_text("")
    expect(left.box.locator(".dlseg-status")).to_be_visible()

    with notebook.busy():
        left.element.focus()
        page.keyboard.press("Shift+ArrowRight")
        expect(words[1]).to_contain_text("y 30, x 50")
        page.keyboard.press("ArrowUp")
        expect(words[1]).to_contain_text("y 29, x 50")
        assert words[1].get_attribute("aria-live") == "polite"

    notebook.choose("view", "entropy")
    expect(notebook.page.locator(".dlseg-bar").first).to_be_visible()
    left.element.focus()
    page.keyboard.press("ArrowRight")
    expect(words[0]).to_contain_text("entropy in bits")
    notebook.press("curves")
    energy = page.locator(".dlseg-chart").filter(has_text="Free energy")
    energy.locator("svg[role=img]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(energy.locator(".dlseg-chart-reading")).to_contain_text("after iteration 1: CRF ")


COUNT = """
drawn = studio.scribbles
rows, columns = np.nonzero(drawn < 255)
print((drawn < 255).sum(), np.ptp(rows) + 1 if len(rows) else 0, np.ptp(columns) + 1 if len(columns) else 0)
"""


def test_scribbles_undone_redone_and_rubbed_out(open_notebook: Callable[..., Notebook]) -> None:
    make = (
        "from dlseg.widgets import crf_studio\nstudio = crf_studio(image, classes=['background', 'stool', 'cup'])"
    )
    notebook = open_notebook("undo.ipynb", Settings(), [SCENE, make, COUNT]).run_all()
    left, right = notebook.picture("Before"), notebook.picture("After")
    right.settled()

    def count() -> list[int]:
        right.settled()
        return [int(word) for word in notebook.says(2).split()]

    left.element.focus()
    notebook.page.keyboard.press(" ")
    assert count() == [12, 4, 4], "4 pixels wide, as it says"
    left.element.focus()
    notebook.page.keyboard.press("Control+z")
    assert count() == [0, 0, 0]
    left.box.get_by_role("button", name="redo").click()
    assert count() == [12, 4, 4]
    left.stroke((0.2, 0.2), (0.8, 0.2))
    two, *_ = count()
    assert two > 100
    left.box.get_by_role("button", name="undo").click()
    assert count() == [12, 4, 4]
    notebook.press("clear")
    assert count() == [0, 0, 0]
    left.box.get_by_role("button", name="undo").click()
    assert count() == [12, 4, 4], "what was cleared comes back"
    left.box.get_by_role("button", name="eraser").click()
    left.stroke((0.45, 0.49), (0.55, 0.49))
    left.stroke((0.45, 0.52), (0.55, 0.52))
    assert count()[0] < 6
