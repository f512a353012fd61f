"""A real JupyterLab and a real Chromium for the tests of this folder.

Chromium is found by $CHROMIUM or on the PATH. Without one the tests are skipped, but with
DLSEG_REQUIRE_BROWSER=1 they fail.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from executed import browser

if TYPE_CHECKING:
    from labdriver import LabServer, Notebook, Settings
    from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
OUTPUT = HERE / "output"
PATIENCE = 180_000  # ms, as in labdriver
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The book last: it is made from notebooks that JupyterLab has run by then."""
    items.sort(key=lambda item: item.path == HERE / "test_book.py")


def missing(what: str) -> None:
    if os.environ.get("DLSEG_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what}, and DLSEG_REQUIRE_BROWSER=1 asks for the browser tests", pytrace=False)
    pytest.skip(what)


def patient(make: Callable[..., Any]) -> Callable[..., Any]:
    """A context or page that waits as long as the machine may need, rather than the half minute of Playwright."""

    def made(**settings: Any) -> Any:
        new = make(**settings)
        new.set_default_timeout(PATIENCE)
        return new

    return made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = browser()
    if path is None or not Path(path).exists():
        missing("no Chromium on the PATH (or in $CHROMIUM)" if path is None else f"no Chromium at {path}")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        running.new_context = patient(running.new_context)  # type: ignore[method-assign]
        running.new_page = patient(running.new_page)  # type: ignore[method-assign]
        yield running
        running.close()


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page, for all tests of a file."""
    page = chromium.new_page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def serve(
    tmp_path_factory: pytest.TempPathFactory, repo: Path, chromium: Browser
) -> Iterator[Callable[..., LabServer]]:
    """`serve(settings)`: the JupyterLab with these settings, started when first asked for."""
    from labdriver import LabServer

    running: dict[Settings, LabServer] = {}
    with ExitStack() as stack:

        def get(settings: Settings, notebooks: Path = repo / "notebooks") -> LabServer:
            if settings not in running:
                server = LabServer(tmp_path_factory.mktemp("lab"), notebooks, settings)
                running[settings] = stack.enter_context(server)
            return running[settings]

        yield get


@pytest.fixture(scope="session")
def pages(chromium: Browser) -> Iterator[Callable[[LabServer], Page]]:
    """`pages(server)`: a new page; those of one server share what the browser keeps of JupyterLab's files."""
    contexts: dict[LabServer, BrowserContext] = {}

    def get(server: LabServer) -> Page:
        if server not in contexts:
            size = {"width": 1280, "height": 720}
            contexts[server] = chromium.new_context(viewport=size, reduced_motion="reduce")
        return contexts[server].new_page()

    yield get
    for context in contexts.values():
        context.close()


@pytest.fixture
def open_notebook(
    serve: Callable[..., LabServer], pages: Callable[[LabServer], Page], request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """`open_notebook(name, settings, cells)`: the notebook in a fresh page with a fresh kernel.

    With `cells`, a notebook of these code cells is made; without, it is one of the course's.
    A picture of each is kept in tests/browser/output; afterwards nothing may have complained.
    """
    from labdriver import Notebook, Settings

    opened: list[Notebook] = []
    stem = re.sub(r"[^\w-]+", "-", request.node.name).strip("-")
    with ExitStack() as stack:

        def get(name: str, settings: Settings | None = None, cells: Sequence[str] = ()) -> Notebook:
            server = serve(settings or Settings())
            if cells:
                server.write(name, cells)
            opened.append(Notebook(server, pages(server)))
            stack.callback(opened[-1].page.close)
            return opened[-1].open(name)

        yield get
        OUTPUT.mkdir(exist_ok=True)
        for number, notebook in enumerate(opened):
            notebook.screenshot(OUTPUT / f"{stem}{f'-{number}' if number else ''}.png")
        complaints = [complaint for notebook in opened for complaint in notebook.complaints()]
    assert not complaints, complaints
