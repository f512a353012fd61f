"""For every hand and eye: keyboard order, names, contrast, room; measured in the page, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from labdriver import Notebook, Settings

pytestmark = pytest.mark.browser

CELLS = ["""
import numpy as np
from dlseg.widgets import crf_studio
image = np.zeros((60, 80, 3), np.uint8)
image[:, 40:] = 200
truth = (image[..., 0] > 0).astype(np.uint8)
truth[:3] = 255
""", """
studio = crf_studio(image, truth=truth, scribbles=np.where(np.indices((60, 80))[1] % 40 == 20, truth, 255),
                    classes=["background", "bright"])
studio.tools.curves.value = True
studio.tools.view.value = "step by step"
"""]
OUTPUT = "document.querySelector('.dlseg-explorer')"

# The contrast of every text with what lies behind it, WCAG's formula; pictures are not text.
CONTRASTS = f"""() => {{
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = (text) => {{ const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a ?? 1]; }};
  const over = ([r, g, b, a], under) => [r, g, b].map((value, k) => value * a + under[k] * (1 - a));
  function behind(element) {{
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(colour(getComputedStyle(e).backgroundColor));
    return layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
  }}
  const found = [], walker = document.createTreeWalker({OUTPUT}, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {{
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), back = behind(element);
    const ink = over(colour(element.closest("svg") ? style.fill : style.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    found.push([text.slice(0, 40), Math.round(100 * (a + 0.05) / (b + 0.05)) / 100]);
  }}
  return found;
}}"""

# What can be reached by Tab: its name, and where it is.
FOCUSED = f"""() => {{
  const e = document.activeElement;
  if (!{OUTPUT}.contains(e)) return null;
  const box = e.getBoundingClientRect(), page = {OUTPUT}.getBoundingClientRect();
  const tied = [...(e.labels ?? [])].map((label) => label.textContent).join();
  const name = e.getAttribute("aria-label") || tied || e.textContent;
  return {{ name: name.trim(), tag: e.tagName, x: box.left, y: box.top + box.height / 2 - page.top }};
}}"""

# Texts that do not fit their place, and whether anything must be scrolled sideways.
CLIPPED = f"""() => {{
  const found = [], root = {OUTPUT};
  for (const e of root.querySelectorAll("*")) {{
    if (!e.getClientRects().length || e.closest("svg, select, .noUi-target") || !e.textContent.trim()) continue;
    const style = getComputedStyle(e), hides = style.overflowX !== "visible";
    if (hides && e.scrollWidth > e.clientWidth + 1) found.push([e.className, e.textContent.slice(0, 60)]);
  }}
  for (let e = root; e && !e.matches(".jp-NotebookPanel"); e = e.parentElement)
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "hidden")
      found.push(["sideways", e.className]);
  return found;
}}"""
# Two neighbours that lie on each other
OVERLAPS = f"""() => {{
  const what = "button, select, .widget-slider, .dlseg-title, .dlseg-status";
  const found = [], all = [...{OUTPUT}.querySelectorAll(what)];
  const boxes = all.map((e) => e.getBoundingClientRect());
  for (let i = 0; i < all.length; i++) for (let j = 0; j < i; j++) {{
    const [a, b] = [boxes[i], boxes[j]];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) found.push([all[j].textContent.slice(0, 30), all[i].textContent.slice(0, 30)]);
  }}
  return found;
}}"""


def tabbed(notebook: Notebook) -> list[dict[str, Any]]:
    """Everything that Tab reaches, from the first slider on."""
    notebook.page.locator(".dlseg-explorer .noUi-handle").first.focus()
    found = []
    while (now := notebook.page.evaluate(FOCUSED)) is not None:
        found.append(now)
        notebook.page.keyboard.press("Tab")
        assert len(found) < 60, "Tab never leaves the explorer"
    return found


@pytest.mark.parametrize("settings", [Settings(), Settings(subshells=False, dark=True)],
                         ids=["subshells-light", "no_subshells-dark"])
def test_the_studio_is_for_everybody(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    notebook = open_notebook("access.ipynb", settings, CELLS).run_all()
    page = notebook.page
    page.locator(".dlseg-chart svg").first.wait_for()
    notebook.slider("iteration", exact=True).press("End")
    notebook.picture("After iteration 10 of 10").settled()

    ratios = page.evaluate(CONTRASTS)
    low = [(text, ratio) for text, ratio in ratios if ratio < 4.5]
    assert len(ratios) > 60 and not low, low
    page.evaluate(f"() => {{ {OUTPUT}.querySelector('.dlseg-title').style.color = 'rgb(127 127 127 / 0.6)'; }}")
    assert min(ratio for _, ratio in page.evaluate(CONTRASTS)) < 4.5, "the measure sees a faint title"
    assert page.evaluate(CLIPPED) == [] and page.evaluate(OVERLAPS) == []

    reached = tabbed(notebook)
    names = [stop["name"] for stop in reached]
    assert all(names) and names[0] == "w₁ appearance weight", names
    for wanted in ("σα appearance reach (px)", "settings of", "reset", "pin as A", "copy as code", "view", "play",
                   "iteration", "curves", "own photo …", "kernel", "brush", "width (px)", "clear", "photo"):
        assert wanted in names, (wanted, names)
    rows = [round(stop["y"] / 24) for stop in reached if stop["tag"] != "CANVAS"]  # 24 px: less than a row's height
    jumps = [names[i] for i in range(1, len(rows)) if rows[i] < rows[i - 1] - 1 and names[i] != "photo"]
    assert not jumps, f"the order goes back up at {jumps}"  # but for the second picture, beside the first
    reach = page.locator(".noUi-handle").nth(1)
    assert reach.get_attribute("aria-valuetext") == "50.0", "the value, not its logarithm"

    # 200 % zoom of a window of 1280 × 720 leaves 640 × 360; a user puts the side bar away
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_viewport_size({"width": 640, "height": 360})
    page.wait_for_function(f"() => {OUTPUT}.getBoundingClientRect().right <= 640")
    assert page.evaluate(CLIPPED) == [] and page.evaluate(OVERLAPS) == []
