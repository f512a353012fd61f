"""One notebook open in a real browser, as a test sees it: run it, move sliders, read pictures and errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page, expect

from labdriver.server import LabServer

PATIENCE = 180_000  # ms: a machine that does much else may take minutes; a test waits no longer than it must
expect.set_options(timeout=PATIENCE)
CURRENT = "window.jupyterapp.shell.currentWidget"

OPENED = """() => {
  const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const kernel = panel && panel.sessionContext && panel.sessionContext.session
    && panel.sessionContext.session.kernel;
  return !!(kernel && panel.context.isReady && kernel.status === "idle" && kernel.connectionStatus === "connected");
}"""

# Errors of widget callbacks show nowhere in the notebook: only the kernel's own messages tell of them. Two lines
# are JupyterLab's own doing: it asks each new kernel for its widgets, before ipywidgets is imported there.
LISTEN = f"""() => {{
  window.kernelComplaints = [];
  {CURRENT}.sessionContext.iopubMessage.connect((_, message) => {{
    const kind = message.header.msg_type, content = message.content;
    if (kind === "error") window.kernelComplaints.push(`${{content.ename}}: ${{content.evalue}}`);
    const early = /^No such comm( target registered: jupyter\\.widget\\.control|: [0-9a-f-]+)\\s*$/;
    if (kind === "stream" && content.name === "stderr" && !early.test(content.text))
      window.kernelComplaints.push(content.text);
  }});
}}"""

FINISHED = f"""() => {{
  const panel = {CURRENT};
  const code = panel.content.widgets.filter((c) => c.model.type === "code");
  const cells = code.filter((c) => c.model.sharedModel.getSource().trim());
  const outputs = cells.flatMap((c) => c.model.outputs.toJSON());
  if (outputs.some((o) => o.output_type === "error")) return true;
  const ran = cells.every((c) => c.model.executionCount && (c.model.executionState ?? "idle") === "idle");
  const pending = /Loading widget|Error displaying widget/.test(panel.content.node.textContent);
  return ran && !pending && panel.sessionContext.session.kernel.status === "idle";
}}"""

CELL_ERRORS = f"""() => {CURRENT}.content.widgets.filter((c) => c.model.type === "code")
  .flatMap((c) => c.model.outputs.toJSON()).filter((o) => o.output_type === "error")
  .map((o) => `${{o.ename}}: ${{o.evalue}}`)"""

LENGTH = f"""() => {{
  const scroller = {CURRENT}.content.node.querySelector(".jp-WindowedPanel-outer");
  scroller.scrollTop = 0;
  return [...scroller.querySelectorAll(".jp-Cell")].at(-1).getBoundingClientRect().bottom;
}}"""

# A picture's decoded pixels, as [width, height, FNV hash]: no screenshot, so no font or border can make it flake.
DIGEST = """async (element) => {
  if (element.tagName === "IMG") await element.decode();
  const width = element.naturalWidth || element.width, height = element.naturalHeight || element.height;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(element, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  let hash = 2166136261;
  for (let i = 0; i < rgba.length; i += 4)
    hash = Math.imul(hash ^ (rgba[i] | rgba[i + 1] << 8 | rgba[i + 2] << 16), 16777619);
  return [width, height, hash >>> 0];
}"""

PIXELS = """(element) => {
  const context = new OffscreenCanvas(element.width, element.height).getContext("2d");
  context.drawImage(element, 0, 0);
  return Array.from(context.getImageData(0, 0, element.width, element.height).data);
}"""

# JupyterLab's own, where a kernel goes while it is asked for a subshell; nothing that dlseg does calls for it
LABS_OWN = "Canceled future for create_subshell_request"


class Notebook:
    """A notebook with a fresh kernel."""

    def __init__(self, lab: LabServer, page: Page) -> None:
        self.lab, self.page = lab, page
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def open(self, name: str) -> Notebook:
        """Open the notebook `name` of the server's folder, and wait for its kernel."""
        page, address = self.page, f"{self.lab.base}/lab/workspaces/w{uuid.uuid4().hex[:8]}/tree/{name}?reset"
        self.lab.end_kernels()
        page.context.request.get(self.lab.login)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp?.restored?.then(() => true)", timeout=PATIENCE)
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
        page.wait_for_function(OPENED, timeout=PATIENCE)
        page.evaluate(LISTEN)
        return self

    def run_all(self, timeout: int = PATIENCE) -> Notebook:
        """Run every cell and wait until all are done and every widget is drawn."""
        # without outputs and run numbers first, or an earlier run's would be taken for this one's
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.page.wait_for_function(FINISHED, timeout=timeout)
        assert not self.complaints(), self.complaints()
        return self

    def complaints(self) -> list[str]:
        """Errors of cells, errors and stderr of the kernel, errors in the page's console."""
        heard: list[str] = self.page.evaluate("() => window.kernelComplaints ?? []")
        cells: list[str] = self.page.evaluate(CELL_ERRORS) if self._shown() else []
        return cells + heard + [text for text in self.console if LABS_OWN not in text]

    def document(self) -> nbformat.NotebookNode:
        """The notebook as it stands in the page, results and all."""
        text: str = self.page.evaluate(f"() => JSON.stringify({CURRENT}.content.model.toJSON())")
        return nbformat.reads(text, as_version=4)

    def slider(self, label: str, *, exact: bool = False, number: int = 0) -> Slider:
        """The slider with this text beside it; of several the one of this number."""
        beside = self.page.locator(".widget-label").get_by_text(label, exact=exact)
        return Slider(self.page, self.page.locator(".widget-slider").filter(has=beside).nth(number))

    def picture(self, title: str) -> Picture:
        """The label canvas whose title begins with this text."""
        box = self.page.locator(".dlseg-canvas").filter(has_text=title)
        return Picture(self.page, box)

    def run_cell(self, index: int) -> None:
        """Start one cell; does not wait for it."""
        self.page.evaluate(f"(index) => {{ {CURRENT}.content.activeCellIndex = index; }}", index)
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")

    def says(self, index: int) -> str:
        """Run one cell, wait for it, and return what it printed."""
        self.page.evaluate(
            f"""async (index) => {{
            {CURRENT}.content.activeCellIndex = index;
            await window.jupyterapp.commands.execute("notebook:run-cell");
        }}""",
            index,
        )
        lines: list[str] = self.page.evaluate(
            f"""(index) => {CURRENT}.content.widgets[index].model.outputs.toJSON()
            .filter((output) => output.output_type === "stream")
            .map((output) => [output.text].flat().join(""))""",
            index,
        )
        return "".join(lines).strip()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """The kernel runs a cell, for as long as this lasts."""
        flag = self.lab.root / "busy"
        flag.touch()
        self.page.evaluate(
            f"(code) => {{ {CURRENT}.sessionContext.session.kernel.requestExecute({{ code }}); }}",
            "import os, time\nwhile os.path.exists('busy'):\n    time.sleep(0.05)",
        )
        self.page.wait_for_function(f'() => {CURRENT}.sessionContext.session.kernel.status === "busy"')
        try:
            yield
        finally:
            flag.unlink()

    def restart_kernel(self) -> None:
        """Restart the kernel, as the menu does, and wait for it."""
        self.page.evaluate(f"async () => {{ await {CURRENT}.sessionContext.session.kernel.restart(); }}")
        self.page.wait_for_function(OPENED, timeout=PATIENCE)

    def choose(self, label: str, option: str) -> None:
        """Choose from the drop-down list with this text beside it."""
        self.page.locator(".widget-dropdown").filter(has=self.page.get_by_text(label, exact=True)).locator(
            "select"
        ).select_option(option)

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def screenshot(self, path: Path) -> None:
        """The notebook at full length, as a picture file; the page as it is where no notebook opened."""
        size = self.page.viewport_size
        assert size is not None
        height = self.page.evaluate(LENGTH) if self._shown() else 0
        self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], int(height) + 90)})
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)

    def _shown(self) -> bool:
        return bool(self.page.evaluate("() => !!window.jupyterapp?.shell.currentWidget?.content"))


class Slider:
    """An ipywidgets slider: keys and mouse."""

    def __init__(self, page: Page, box: Locator) -> None:
        self.page, self.box = page, box
        self.handle, self.readout = box.locator(".noUi-handle"), box.locator(".widget-readout")
        expect(self.handle).to_be_visible()

    @property
    def value(self) -> float:
        """What the slider's readout says."""
        return float(self.readout.inner_text())

    def press(self, key: str, times: int = 1) -> None:
        """Press a key on the focused handle, each time until the readout moved."""
        for _ in range(times):
            before = self.readout.inner_text()
            self.handle.focus()
            self.page.keyboard.press(key)
            expect(self.readout).not_to_have_text(before)

    def drag(self, pixels: int, steps: int = 20) -> None:
        """Drag the handle sideways by the mouse, in small steps, as a hand does."""
        self.handle.scroll_into_view_if_needed()
        box = self.handle.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, steps + 1):
            self.page.mouse.move(x + pixels * step / steps, y)
            self.page.wait_for_timeout(15)
        self.page.mouse.up()


class Picture:
    """A canvas or image; compared by its decoded pixels."""

    def __init__(self, page: Page, box: Locator) -> None:
        self.page, self.box, self.element = page, box, box.locator("canvas, img").first
        expect(self.element).to_be_visible()

    def digest(self) -> list[int]:
        """[width, height, hash of all pixels]."""
        digest: list[int] = self.element.evaluate(DIGEST)
        return digest

    def pixels(self) -> list[int]:
        """All pixels, RGBA, row by row."""
        values: list[int] = self.element.evaluate(PIXELS)
        return values

    def settled(self, timeout: float = PATIENCE / 1000) -> list[int]:
        """Wait until the explorer says that it is done and the pixels rest for 400 ms; their digest."""
        end, last = time.monotonic() + timeout, None
        while time.monotonic() < end:
            done = self.element.get_attribute("data-settled") != "false"
            digest = self.digest()
            if done and digest == last:
                return digest
            last = digest
            self.page.wait_for_timeout(400)
        raise AssertionError(f"the picture did not come to rest in {timeout} s")

    def stroke(self, *places: tuple[float, float]) -> None:
        """Draw with the mouse through places, in shares of width and height."""
        self.element.scroll_into_view_if_needed()
        box = self.element.bounding_box()
        assert box is not None
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=8)
        self.page.mouse.up()

    def changed_from(self, old: Any, timeout: float = PATIENCE / 1000) -> list[int]:
        """Wait until the pixels differ from an earlier digest; the new one."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if (digest := self.digest()) != old:
                return digest
            self.page.wait_for_timeout(50)
        raise AssertionError(f"the picture did not change in {timeout} s")
