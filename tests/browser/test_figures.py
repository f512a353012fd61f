"""Figures in a notebook's page: no white box in the dark, words that stand out, pictures with their own colours."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from labdriver import Notebook, Settings
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CELLS = [
    "import matplotlib.pyplot as plt\nimport numpy as np\nfrom dlseg.course import hint\n"
    "from dlseg.datasets import load\nfrom dlseg.figures import Panel, holes_1d, label_panel, panels\n"
    'val = load("shapes", "val")\nimage, truth = val[32].image, val[32].label',
    'panels([Panel("the image", image), label_panel("the truth", image, truth)], val.classes)',
    "holes_1d()",
    'plt.plot([1, 3, 2], label="yours"), plt.xlabel("step"), plt.title("loss"), plt.legend();',
    'hint("pooling.max_pool2d")\nhint("pooling.max_pool2d")',
]
GROUND = """(element) => {
  for (let at = element.parentElement; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor.match(/[\\d.]+/g).map(Number);
    if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
  }
  return [255, 255, 255];
}"""


def contrast(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    def light(rgb: np.ndarray) -> np.ndarray:
        share = np.asarray(rgb) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        found: np.ndarray = linear @ np.array([0.2126, 0.7152, 0.0722]) + 0.05
        return found

    return np.maximum(light(one) / light(other), light(other) / light(one))


def painted(element: Locator) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(element.screenshot())).convert("RGB"))


def fits_its_page(page: Page) -> list[np.ndarray]:
    """Every figure of a page stands on the page's own ground, with words on it; the figures as painted."""
    figures = page.locator(".dlseg-figure:visible")
    found = []
    for figure in figures.all():
        pixels, ground = painted(figure), np.array(figure.evaluate(GROUND))
        edge = np.concatenate([pixels[1, 2:-2], pixels[-2, 2:-2]])
        assert (np.abs(edge - ground).max(-1) <= 2).mean() > 0.9, f"a box of {edge[0]} on {ground}"
        ink = contrast(pixels, ground)
        assert (ink > 4.5).mean() > 0.005, "nothing on it stands out"
        found.append(pixels)
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_figures_fit_the_page(
    open_notebook: Callable[..., Notebook], chromium: "Browser", tmp_path: Path, dark: bool
) -> None:
    notebook = open_notebook("figures.ipynb", Settings(subshells=not dark, dark=dark), CELLS).run_all()
    expect(notebook.page.locator(".dlseg-figure")).to_have_count(4)
    drawn = fits_its_page(notebook.page)
    saved = notebook.document()
    kinds = [set(o.data) for cell in saved.cells for o in cell.outputs if "data" in o]
    assert kinds[:3] == [{"text/plain", "text/html", "image/png"}] * 3

    photo = []
    for theme in ("light", "dark"):
        file = tmp_path / f"{theme}.html"
        file.write_text(HTMLExporter(theme=theme).from_notebook_node(saved)[0], encoding="utf-8")
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        page.goto(file.as_uri())
        assert len(fits_its_page(page)) == 4
        photo.append(painted(page.locator(".dlseg-figure").first))
        page.close()
    same = (photo[0] == photo[1]).all(-1)
    assert 0.5 < same.mean() < 0.99, "the photograph is the same, the page and the words are not"
    assert drawn[0].std() > 10
