"""A JupyterLab of our own: free port, random token, private home and settings; it dies with the test run."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

# Run by the server's own process before it becomes JupyterLab: on Linux the kernel then ends it with its parent,
# however the parent ends. (A preexec_fn would run Python between fork and exec of a process that has threads.)
LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *sys.argv[1:]])
"""
START_SECONDS = 180


@dataclass(frozen=True)
class Settings:
    """What differs between the servers that tests ask for."""

    subshells: bool = True  # JupyterLab's default: widget messages run beside cells, on another thread
    dark: bool = False

    def overrides(self) -> dict[str, Any]:
        """JupyterLab's settings: nothing that phones, pops up, saves by itself or hides cells outside the view."""
        return {
            "@jupyterlab/apputils-extension:notification": {
                "fetchNews": "false",
                "checkForUpdates": False,
                "doNotDisturbMode": True,
            },
            "@jupyterlab/apputils-extension:kernels-settings": {
                "commsOverSubshells": "perCommTarget" if self.subshells else "disabled"
            },
            "@jupyterlab/apputils-extension:themes": {
                "theme": "JupyterLab Dark" if self.dark else "JupyterLab Light",
                "adaptive-theme": False,
            },
            "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
            "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none", "scrollPastEnd": False},
        }


class LabServer:
    """A running JupyterLab over a copy of `notebooks`. Use as a context manager."""

    def __init__(self, folder: Path, notebooks: Path, settings: Settings) -> None:
        self.root, self.settings, self.log = folder / "root", settings, folder / "lab.log"
        shutil.copytree(notebooks, self.root, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "source"))
        self._folder, self._token = folder, secrets.token_hex(16)
        self.port = _free_port()
        self.base = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> LabServer:
        config = self._folder / "config" / "labconfig"
        config.mkdir(parents=True)
        (config / "default_setting_overrides.json").write_text(json.dumps(self.settings.overrides()))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    LAUNCH,
                    "--no-browser",
                    "--allow-root",
                    "--expose-app-in-browser",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={self.port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.root}",
                    f"--IdentityProvider.token={self._token}",
                ],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # the server ends its kernels itself
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def api(self, path: str, method: str = "GET") -> Any:
        """Ask the server's REST interface."""
        request = urllib.request.Request(
            f"{self.base}/api/{path}", method=method, headers={"Authorization": f"token {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def write(self, name: str, cells: Sequence[str]) -> None:
        """Put a notebook of these code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
        nbformat.write(notebook, self.root / name)

    def end_kernels(self) -> None:
        """End every session, so that the next notebook starts with a fresh kernel."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    @property
    def login(self) -> str:
        """The address that lets a browser in."""
        return f"{self.base}/login?token={self._token}"

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": "home",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "IPYTHONDIR": "ipython",
            "JUPYTER_RUNTIME_DIR": "run",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "MPLCONFIGDIR": "matplotlib",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        for name in own.values():
            (self._folder / name).mkdir(exist_ok=True)
        settings = {
            "OMP_NUM_THREADS": os.environ.get("DLSEG_TEST_THREADS", "1"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }  # else a slow kernel warns of its debugger
        return {**os.environ, **settings, **{key: str(self._folder / name) for key, name in own.items()}}

    def _wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()}")
            try:
                self.api("status")
                return
            except OSError:
                time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
