"""Each notebook as a student meets it: opened in JupyterLab, run from top to bottom, its explorer moved once."""

import time
from collections.abc import Callable

import nbformat
import pytest
from executed import check_stills, check_that_all_ran, check_verdicts, kept
from labdriver import Notebook, Picture, Settings

BOTH = [Settings(), pytest.param(Settings(subshells=False, dark=True), marks=pytest.mark.full)]
PATIENCE = 540_000  # ms: 04 trains, and the machine may do much else


def slide(label: str, key: str) -> Callable[[Notebook], None]:
    return lambda notebook: notebook.slider(label).press(key)


def choose(label: str, option: str) -> Callable[[Notebook], None]:
    return lambda notebook: notebook.choose(label, option)


def keep(notebook: Notebook, name: str, factory: pytest.TempPathFactory) -> None:
    """What is asked of a notebook that ran anywhere; it is then the book's as well."""
    ran = notebook.document()
    check_that_all_ran(ran)
    check_stills(ran)
    check_verdicts(ran, "student")
    nbformat.write(ran, kept(factory, name))


MOVES = {
    "01_pooling": slide("right (px)", "PageUp"),
    "02_atrous": slide("rate (cells)", "ArrowRight"),
    "03_receptive_field": choose("layer", "pool3"),
    "04_training": choose("held-out image", "2"),
    "05_crf": slide("appearance weight", "Home"),
    "06_capstone": slide("appearance weight", "Home"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("settings", BOTH, ids=["subshells-light", "no_subshells-dark"])
def test_the_tour_runs_and_its_slider_sharpens_the_cut(
    open_notebook: Callable[..., Notebook], settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    notebook = open_notebook("00_tour.ipynb", settings).run_all(PATIENCE)
    keep(notebook, "00_tour", tmp_path_factory)
    slider, after, before = (
        notebook.slider("appearance weight"),
        notebook.picture("After"),
        notebook.picture("Before"),
    )
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MOVES)
def test_it_runs_and_its_explorer_moves(
    open_notebook: Callable[..., Notebook], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    notebook = open_notebook(f"{name}.ipynb").run_all(PATIENCE)
    keep(notebook, name, tmp_path_factory)
    boxes = notebook.page.locator(".dlseg-canvas")
    # the studio's picture of a difference is not shown before it is asked for
    shown = [box for box in boxes.all() if box.is_visible()]
    pictures = [Picture(notebook.page, box) for box in shown]
    before = [picture.settled() for picture in pictures]
    assert before, "an explorer shows pictures"
    MOVES[name](notebook)
    end = time.monotonic() + 300
    while [picture.digest() for picture in pictures] == before:
        assert time.monotonic() < end, "no picture changed"
        notebook.page.wait_for_timeout(100)
    assert notebook.page.get_by_text("not attempted yet").count() >= 2, "its exercises are open"
