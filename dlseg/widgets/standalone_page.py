"""The CRF studio as a web page of its own, outside JupyterLab: Voilà serves one notebook to this computer only."""

from __future__ import annotations

import os
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from traitlets import Bool
from traitlets import Callable as Called
from traitlets.config import Config
from voila.app import Voila

Announce = Callable[[str], None]
HERE_ONLY = "127.0.0.1"
PING = 30_000  # milliseconds
SHORT = 35  # a socket's path holds about 100 letters, of which Jupyter takes 65
EXTENSIONS = ("@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget")  # no others
# The page's template asks a font server for icons that the studio does not use; nothing may leave the computer.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; "
    f"form-action 'self'; connect-src 'self' data: blob: ws://{HERE_ONLY}:*"
)
HEADING = (
    '<h1 class="dlseg-heading" style="font-size: 18px; margin: 4px 0">{title}</h1>'
    '<p role="note" style="margin: 0; color: var(--jp-warn-color0)">{note}</p>'
)
# only the browser knows whether the system is dark
OPEN = """<script>
location.replace("{address}" + (matchMedia("(prefers-color-scheme: dark)").matches ? "{dark}" : ""));
</script>
<noscript><meta http-equiv="refresh" content="0;url={address}"></noscript>
"""
CELL = """
import os
import numpy as np
from IPython.display import HTML, display
from dlseg.crf import CRFParams
from dlseg.widgets import crf_studio

with np.load({path!r}) as kept:
    given = dict(kept)
os.chdir({folder!r})
display(HTML({heading!r}))
studio = crf_studio(given.pop("image"), params=CRFParams.from_json(str(given.pop("params"))),
                    classes=given.pop("classes").tolist(), kernel=str(given.pop("kernel")), **given)
"""


class Page(Voila):  # type: ignore[misc]
    """Voilà for one notebook: this computer only, Jupyter's token, no configuration from elsewhere.

    Its kernel takes messages of widgets and no code, so that what the page can do is what the studio offers.
    """

    announce = Called()
    opens = Bool(True)
    follows = Bool(True)  # the system's light or dark

    def launch_browser(self) -> None:
        """Called once the server listens: say where, and open it. (Voilà's own leaves the token out.)"""
        address = f"{self.connection_url}?token={self.identity_provider.token}"
        self.announce(address)
        if self.opens:
            threading.Thread(target=self._open, args=(address,), daemon=True).start()

    def _open(self, address: str) -> None:
        # by a file in a folder that only its owner reads: a command line, token and all, anybody may list
        file = Path(self.root_dir) / "open.html"
        file.write_text(OPEN.format(address=address, dark="&theme=dark" if self.follows else ""))
        webbrowser.open(file.as_uri())


def serve(
    image: np.ndarray,
    params: str,
    classes: list[str],
    kernel: str,
    arrays: dict[str, np.ndarray],
    *,
    port: int,
    browser: bool,
    announce: Announce,
    title: str = "CRF studio",
    note: str = "",
    dark: bool | None = None,
) -> None:
    """Serve the studio of an image until the process is told to end (Ctrl+C or SIGTERM).

    Args:
        image: uint8 RGB, (H, W, 3). params: CRFParams as JSON.
        arrays: the other arrays that `crf_studio` takes, by its names.
        port: where to listen; where it is taken, at one nearby. browser: whether to open the page.
        announce: called with the page's address, token included, as soon as it can be opened.
        title, note: the heading, and a line under it. dark: light words on a dark page; None: as the system.
    """
    with tempfile.TemporaryDirectory(prefix="dlseg-") as name:
        folder = Path(name)
        given: dict[str, Any] = {"image": image, "params": params, "classes": classes, "kernel": kernel, **arrays}
        np.savez(folder / "given.npz", **given)
        heading = HEADING.format(title=escape(title), note=escape(note))
        cell = CELL.format(path=str(folder / "given.npz"), folder=str(Path.cwd()), heading=heading)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
        notebook.metadata["title"] = title
        nbformat.write(notebook, folder / "studio.ipynb")
        page = Page(
            ip=HERE_ONLY,
            port=port,
            notebook_path=str(folder / "studio.ipynb"),
            root_dir=str(folder),
            connection_dir_root=str(folder),
            auto_token=True,
            config_file_paths=[],
            log_level="ERROR",
            config=_config(folder, dark),
            tornado_settings=_settings(),
            announce=announce,
            opens=browser,
            follows=dark is None,
        )
        page.initialize([])
        page.start()


def _config(folder: Path, dark: bool | None) -> Config:
    config = Config()
    config.VoilaConfiguration.extension_allowlist = list(EXTENSIONS)
    config.VoilaConfiguration.theme = "dark" if dark else "light"
    config.VoilaConfiguration.allow_theme_override = "YES" if dark is None else "NO"
    if os.name == "posix" and len(str(folder)) < SHORT:
        config.KernelManager.transport = "ipc"  # server and kernel talk through files that only their owner opens
    return config


def _settings() -> dict[str, object]:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return {"headers": headers, "allow_remote_access": False, "ws_ping_interval": PING, "ws_ping_timeout": PING}
