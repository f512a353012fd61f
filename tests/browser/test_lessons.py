"""Each notebook as a student meets it: opened in JupyterLab, run from top to bottom, its explorer moved once."""

import time
from collections.abc import Callable

import pytest
from labdriver import Notebook, Picture

pytestmark = pytest.mark.browser
PATIENCE = 540_000  # ms: 04 trains, and the machine may do much else


def slide(label: str, key: str) -> Callable[[Notebook], None]:
    return lambda notebook: notebook.slider(label).press(key)


def choose(label: str, option: str) -> Callable[[Notebook], None]:
    return lambda notebook: notebook.choose(label, option)


MOVES = {
    "01_pooling": slide("right (px)", "PageUp"),
    "02_atrous": slide("rate (cells)", "ArrowRight"),
    "03_receptive_field": choose("layer", "pool3"),
    "04_training": choose("held-out image", "2"),
    "05_crf": slide("appearance weight", "Home"),
    "06_capstone": slide("appearance weight", "Home"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MOVES)
def test_it_runs_and_its_explorer_moves(open_notebook: Callable[..., Notebook], name: str) -> None:
    notebook = open_notebook(f"{name}.ipynb").run_all(PATIENCE)
    boxes = notebook.page.locator(".dlseg-canvas")
    pictures = [Picture(notebook.page, boxes.nth(index)) for index in range(boxes.count())]
    before = [picture.settled() for picture in pictures]
    assert before, "an explorer shows pictures"
    MOVES[name](notebook)
    end = time.monotonic() + 90
    while [picture.digest() for picture in pictures] == before:
        assert time.monotonic() < end, "no picture changed"
        notebook.page.wait_for_timeout(100)
    assert notebook.page.get_by_text("not attempted yet").count() >= 2, "its exercises are open"
