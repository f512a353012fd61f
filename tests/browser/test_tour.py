"""The tour in a real JupyterLab: it runs through, its slider answers to keys and mouse, nothing complains."""

from collections.abc import Callable

import pytest
from labdriver import Notebook, Settings

AFTER, BEFORE, W1 = "After", "Before", "appearance weight"


@pytest.mark.parametrize(
    "settings",
    [Settings(subshells=True), Settings(subshells=False, dark=True)],
    ids=["subshells-light", "no_subshells-dark"],
)
def test_the_slider_sharpens_the_cut(open_notebook: Callable[..., Notebook], settings: Settings) -> None:
    notebook = open_notebook("00_tour.ipynb", settings).run_all()
    slider, after, before = notebook.slider(W1), notebook.picture(AFTER), notebook.picture(BEFORE)
    start, coarse, value = after.settled(), before.settled(), slider.value

    slider.press("Home")
    after.changed_from(start)
    off = after.settled()
    assert slider.value == 0
    slider.press("PageUp")
    slider.press("Home")
    assert after.settled() == off, "the same setting must show the same pixels"

    slider.drag(150)
    assert slider.value > 0
    after.changed_from(off)
    assert before.settled() == coarse, "the net's own labels do not depend on the slider"
    while slider.value != value:
        slider.press("ArrowLeft" if slider.value > value else "ArrowRight")
    assert after.settled() == start
