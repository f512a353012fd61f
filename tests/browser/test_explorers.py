"""Each explorer in a real JupyterLab: opened, moved by mouse and by keyboard, the right picture shown, nothing clipped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from labdriver import Notebook, Picture, Settings
from labdriver.layout import faults
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("settings", [Settings(), Settings(subshells=False, dark=True)],
                               ids=["subshells-light", "no_subshells-dark"])
MAKE = "from dlseg.widgets import {0}\nexplorer = {0}()"


def paint(picture: Picture) -> np.ndarray:
    """What the browser painted, (H, W, 3)."""
    width, height, _ = picture.digest()
    return np.array(picture.pixels(), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def opened(open_notebook: Callable[..., Notebook], settings: Settings, name: str) -> Notebook:
    notebook = open_notebook(f"{name}.ipynb", settings, [MAKE.format(name)]).run_all()
    assert not faults(notebook.page), faults(notebook.page)
    return notebook


@BOTH
def test_pooling(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    notebook = opened(open_notebook, settings, "pooling_explorer")
    image, scores = notebook.picture("The image"), notebook.picture("4 × 4 scores")
    start, before = image.settled(), scores.settled()
    notebook.slider("shift right").press("ArrowRight", times=3)
    assert image.changed_from(start) and "moved 3 px right" in image.box.inner_text()


@BOTH
def test_atrous(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    opened(open_notebook, settings, "atrous_explorer")


@BOTH
def test_field(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    opened(open_notebook, settings, "field_explorer")


@BOTH
def test_training(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    opened(open_notebook, settings, "training_explorer")
