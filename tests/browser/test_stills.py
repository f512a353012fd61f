"""An explorer whose kernel is gone leaves its last still, and the words how to move it: no error, no dead slider.

The kernel restarted, the notebook saved and opened again, a page made by nbconvert.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from labdriver import Notebook
    from playwright.sync_api import Browser, Page

CELL = "from dlseg.widgets import pooling_explorer\npooling = pooling_explorer()"
CURRENT = "window.jupyterapp.shell.currentWidget"
WORDS = "A still picture: run this cell to move it."
pytestmark = pytest.mark.browser


def shown(notebook: "Notebook", *, live: bool) -> None:
    page = notebook.page
    still, explorer = page.locator(".dlseg-still"), page.locator(".dlseg-explorer")
    if live:
        expect(explorer).to_be_visible()
        expect(still).not_to_be_visible()
    else:
        alone(page)


def alone(page: "Page") -> None:
    """The still and its words are there, and of the explorer nothing."""
    still = page.locator(".dlseg-still")
    expect(still).to_be_visible()
    expect(still).to_contain_text(WORDS)
    assert still.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 600
    for slider in page.locator(".noUi-handle").all():
        expect(slider).not_to_be_visible()
    for words in ("Error displaying widget", "Loading widget", "PoolingExplorer("):
        for found in page.get_by_text(words).all():
            expect(found).not_to_be_visible()


def address(notebook: "Notebook") -> str:
    pages = [output["data"].get("text/html", "") for output in notebook.document().cells[0].outputs]
    return "".join(pages).partition("src='")[2].partition("'")[0]


def test_the_last_still_is_what_stays(open_notebook: "Callable[..., Notebook]", chromium: "Browser") -> None:
    notebook = open_notebook("stills.ipynb", None, [CELL]).run_all()
    page, first = notebook.page, address(notebook)
    shown(notebook, live=True)
    notebook.slider("right (px)").press("ArrowRight", times=5)
    expect(notebook.picture("The image").box).to_contain_text("moved 5 px right")
    page.wait_for_function(  # it follows, when the explorer has rested
        f"""(first) => !{CURRENT}.content.widgets[0].model.outputs.toJSON()
        .some((output) => (output.data?.["text/html"] ?? "").toString().includes(first))""",
        arg=first[:4000],
    )
    moved = address(notebook)
    assert moved != first and len(moved) < 150_000
    page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")

    notebook.restart_kernel()
    shown(notebook, live=False)
    notebook.open("stills.ipynb")  # as saved, with a new kernel that knows nothing of it
    shown(notebook, live=False)
    assert address(notebook) == moved
    page.screenshot(path=Path(__file__).parent / "output" / "still-after-reopening.png")
    # JupyterLab itself writes to the console that it has no such model
    notebook.console[:] = [line for line in notebook.console if "model not found" not in line.lower()]

    file = Path(notebook.lab.root) / "stills.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR", str(file)]
    subprocess.run(command, check=True, timeout=600)
    context = chromium.new_context(offline=True)
    static = context.new_page()
    static.goto(file.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    alone(static)
    context.close()
