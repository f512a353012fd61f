"""Each notebook as a student meets it: opened in JupyterLab, run from top to bottom, its explorer moved once."""

import time
from collections.abc import Callable

import nbformat
import pytest
from executed import check_stills, check_that_all_ran, check_verdicts, kept
from labdriver import Notebook, Picture

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
def test_the_tour_runs(open_notebook: Callable[..., Notebook], tmp_path_factory: pytest.TempPathFactory) -> None:
    keep(open_notebook("00_tour.ipynb").run_all(PATIENCE), "00_tour", tmp_path_factory)


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
    end = time.monotonic() + 90
    while [picture.digest() for picture in pictures] == before:
        assert time.monotonic() < end, "no picture changed"
        notebook.page.wait_for_timeout(100)
    assert notebook.page.get_by_text("not attempted yet").count() >= 2, "its exercises are open"
