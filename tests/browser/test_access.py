"""For every hand and eye: keyboard order, names, contrast, room; measured in the page, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from labdriver import Notebook, Settings
from labdriver.layout import faint, faults

CELLS = [
    """
import numpy as np
from dlseg.widgets import crf_studio
image = np.zeros((60, 80, 3), np.uint8)
image[:, 40:] = 200
truth = (image[..., 0] > 0).astype(np.uint8)
truth[:3] = 255
""",
    """
studio = crf_studio(image, truth=truth, scribbles=np.where(np.indices((60, 80))[1] % 40 == 20, truth, 255),
                    classes=["background", "bright"])
studio.tools.curves.value = True
studio.tools.view.value = "step by step"
""",
]
OUTPUT = "document.querySelector('.dlseg-explorer')"

# What can be reached by Tab: its name, and where it is.
FOCUSED = f"""() => {{
  const e = document.activeElement;
  if (!{OUTPUT}.contains(e)) return null;
  const box = e.getBoundingClientRect(), page = {OUTPUT}.getBoundingClientRect();
  const tied = [...(e.labels ?? [])].map((label) => label.textContent).join();
  const name = e.getAttribute("aria-label") || tied || e.textContent;
  return {{ name: name.trim(), tag: e.tagName, x: box.left, y: box.top + box.height / 2 - page.top }};
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


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(subshells=False, dark=True)], ids=["subshells-light", "no_subshells-dark"]
)
def test_the_studio_is_for_everybody(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    notebook = open_notebook("access.ipynb", settings, CELLS).run_all()
    page = notebook.page
    page.locator(".dlseg-chart svg").first.wait_for()
    notebook.slider("iteration", exact=True).press("End")
    notebook.picture("After iteration 10 of 10").settled()

    assert faint(page) == [] and faults(page) == []
    page.evaluate(f"() => {{ {OUTPUT}.querySelector('.dlseg-title').style.color = 'rgb(127 127 127 / 0.6)'; }}")
    assert len(faint(page)) == 1, "the measure sees a faint title"
    page.evaluate(f"() => {{ {OUTPUT}.querySelector('.dlseg-title').style.color = ''; }}")

    reached = tabbed(notebook)
    names = [stop["name"] for stop in reached]
    assert all(names) and names[0] == "w1 appearance weight", names
    for wanted in (
        "σα appearance, px",
        "settings of",
        "reset",
        "pin as A",
        "copy as code",
        "view",
        "play",
        "iteration",
        "curves",
        "own photo …",
        "kernel",
        "brush",
        "width (px)",
        "clear",
        "photo",
    ):
        assert wanted in names, (wanted, names)
    stops = [stop for stop in reached if stop["tag"] != "CANVAS"]
    rows = [round(stop["y"] / 24) for stop in stops]  # 24 px: less than a row's height
    back = [stops[i]["name"] for i in range(1, len(rows)) if rows[i] < rows[i - 1] - 1]
    jumps = [name for name in back if name != "photo"]
    assert not jumps, f"the order goes back up at {jumps}"  # but for the second picture, beside the first
    reach = page.locator(".noUi-handle").nth(1)
    assert reach.get_attribute("aria-valuetext") == "50.0", "the value, not its logarithm"

    # 200 % zoom of a window of 1280 × 720 leaves 640 × 360; a user puts the side bar away
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_viewport_size({"width": 640, "height": 360})
    page.wait_for_function(f"() => {OUTPUT}.getBoundingClientRect().right <= 640")
    assert faults(page) == []
