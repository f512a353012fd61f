"""The CRF studio on one screen: what is in view, what fills it, what stays in its place, what the formula says."""

from __future__ import annotations

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
BOXES = """(selectors) => selectors.map((selector) => [...document.querySelectorAll(selector)].map((e) => {
  const { left, top, right, bottom } = e.getBoundingClientRect();
  return { left, top, right, bottom };
}))"""
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
    notebook.slider("appearance weight").press("ArrowRight")
    expect(formula.locator(".dlseg-term.dlseg-lit")).to_have_attribute("data-term", "appearance")
    expect(part.locator(".dlseg-value")).to_have_text("5.5")
    expect(formula.locator(".dlseg-lit")).to_have_count(0)  # a while later
    notebook.choose("settings of", "deeplab-largefov")
    expect(formula.locator("[data-name=sigma_alpha] .dlseg-value")).to_have_text("121")
    label = notebook.page.locator(".widget-slider .widget-label").first
    expect(label.locator("sub")).to_have_text("1")
    assert "how strongly" in (label.get_attribute("title") or ""), "each slider explains itself"
