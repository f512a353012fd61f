"""What is left of an explorer when its kernel is gone: its last still, and how to move it; never an error."""

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from labdriver import Notebook
from labdriver.page import CURRENT, PATIENCE
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MAKE = "from dlseg.widgets import {0}\n{0}()"
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
STATE = f"""() => {CURRENT}.content.widgets[0].model.outputs.toJSON().at(-1).data["text/html"]"""
LOST = re.compile(r"model not found|Could not restore the debugger state|Kernel is dead", re.IGNORECASE)


def is_live(page: Page) -> None:
    """The explorer is to be seen, and its still is not."""
    expect(page.locator(".dlseg-explorer .dlseg-picture").first).to_be_visible()
    expect(page.locator(".dlseg-still")).to_be_hidden()


def is_still(page: Page) -> None:
    """The still is to be seen with its sentence, and neither an error nor a control that does nothing."""
    picture = page.locator(".dlseg-still img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 500
    expect(page.get_by_text("run this cell to move it")).to_be_visible()
    expect(page.locator(".noUi-handle:visible, .jp-OutputArea select:visible")).to_have_count(0)
    for words in ("Error displaying widget", "Loading widget"):
        expect(page.get_by_text(words).locator("visible=true")).to_have_count(0)


def without_kernel(notebook: Notebook, name: str) -> Page:
    """The notebook in a new page of a JupyterLab that starts no kernel for it."""
    notebook.lab.end_kernels()
    page = notebook.page.context.new_page()
    page.goto(f"{notebook.lab.base}/lab/workspaces/survival/?reset", wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp?.restored?.then(() => true)", timeout=PATIENCE)
    opening = """(path) => window.jupyterapp.commands.execute("docmanager:open", {
      path, kernelPreference: { shouldStart: false, canStart: false, autoStartDefault: false } })"""
    page.evaluate(opening, name)
    page.wait_for_function(f"() => {CURRENT}?.context?.isReady")
    return page


@pytest.mark.parametrize("maker", ["pooling_explorer", "field_explorer"])
def test_what_is_left_without_a_kernel(
    open_notebook: Callable[..., Notebook], chromium: "Browser", tmp_path: Path, maker: str
) -> None:
    name = f"survival-{maker}.ipynb"
    notebook = open_notebook(name, None, [MAKE.format(maker)]).run_all()
    page = notebook.page
    is_live(page)
    first = page.evaluate(STATE)
    if maker == "pooling_explorer":
        notebook.slider("right (px)").press("ArrowRight", times=3)
    else:
        notebook.choose("network", "deeplab")
    page.wait_for_function(f"(old) => ({STATE})() !== old", arg=first)  # the still follows into the notebook
    last = page.evaluate(STATE)
    found = [b64decode(data) for data in re.findall(r'src="data:image/webp;base64,([^"]+)"', last)]
    assert found and sum(map(len, found)) <= 150_000
    assert np.asarray(Image.open(BytesIO(found[0])).convert("L")).std() > 10
    is_live(page)

    page.evaluate(SAVE)
    file = tmp_path / "page.html"
    file.write_text(HTMLExporter().from_notebook_node(notebook.document())[0], encoding="utf-8")
    static = chromium.new_page()
    static.goto(file.as_uri())
    is_still(static)
    static.close()

    page.reload(wait_until="domcontentloaded")  # with its kernel: it moves as before
    page.wait_for_function("() => window.jupyterapp?.restored?.then(() => true)", timeout=PATIENCE)
    is_live(page)

    notebook.restart_kernel()
    is_still(page)
    page.reload(wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp?.restored?.then(() => true)", timeout=PATIENCE)
    is_still(page)
    assert page.evaluate(STATE) == last

    alone = without_kernel(notebook, name)
    is_still(alone)
    alone.close()
    page.goto("about:blank")  # what JupyterLab has to say of kernels that end, it has said by now
    page.wait_for_timeout(500)
    notebook.console[:] = [line for line in notebook.console if not LOST.search(line)]


def reloaded(page: Page) -> None:
    page.reload(wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp?.restored?.then(() => true)", timeout=PATIENCE)
    is_live(page)


def test_the_still_follows_after_a_reload_with_its_kernel(open_notebook: Callable[..., Notebook]) -> None:
    """A reloaded page knows no outputs by name: the explorer itself brings its still into the notebook."""
    notebook = open_notebook("followed.ipynb", None, [MAKE.format("pooling_explorer")]).run_all()
    page = notebook.page
    is_live(page)
    first = page.evaluate(STATE)
    page.evaluate(SAVE)
    image = notebook.picture("The image")
    start = image.settled()
    notebook.slider("right (px)").press("ArrowRight", times=3)
    image.changed_from(start)
    page.wait_for_function(f"(old) => ({STATE})() !== old", arg=first)
    moved = page.evaluate(STATE)

    reloaded(page)  # not saved since: the file has the still of the beginning
    page.wait_for_function(f"(wanted) => ({STATE})() === wanted", arg=moved, timeout=30_000)
    notebook.slider("down (px)").press("ArrowRight", times=3)
    page.wait_for_function(f"(old) => ({STATE})() !== old", arg=moved, timeout=30_000)
    last = page.evaluate(STATE)
    assert len({first, moved, last}) == 3
    is_live(page)
    page.evaluate(SAVE)
    notebook.restart_kernel()
    is_still(page)
    assert page.evaluate(STATE) == last
    page.goto("about:blank")
    page.wait_for_timeout(500)
    notebook.console[:] = [line for line in notebook.console if not LOST.search(line)]


def test_a_question_is_left_as_text_with_its_answer(open_notebook: Callable[..., Notebook]) -> None:
    cells = ['from dlseg.course import guess\nguess("pooling.legs")']
    notebook = open_notebook("question.ipynb", cells=cells).run_all()
    expect(notebook.page.get_by_role("button", name="b", exact=True)).to_be_visible()
    expect(notebook.page.locator(".dlseg-asked")).to_be_hidden()
    notebook.press("b")
    expect(notebook.page.locator(".dlseg-asked")).to_contain_text("Your guess: the legs")
    notebook.page.evaluate(SAVE)
    page = without_kernel(notebook, "question.ipynb")
    expect(page.locator(".dlseg-asked")).to_be_visible()
    expect(page.locator(".dlseg-asked")).to_contain_text("Your guess: the legs")
    for words in ("Error displaying widget", "Loading widget"):
        expect(page.get_by_text(words).locator("visible=true")).to_have_count(0)
    page.close()
    notebook.page.goto("about:blank")
    notebook.page.wait_for_timeout(500)
    notebook.console[:] = [line for line in notebook.console if not LOST.search(line)]
