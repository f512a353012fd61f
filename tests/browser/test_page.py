"""`dlseg crf tune` as a user runs it: a process, a page in Chromium, a slider, the end; and who is kept out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import requests
from labdriver import Picture, Slider
from PIL import Image
from scipy.ndimage import gaussian_filter

from dlseg.crf import CRFParams, DenseCRF
from dlseg.datasets.voc import palette
from dlseg.figures import overlay

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT = 120  # seconds


@pytest.fixture
def files(tmp_path: Path) -> dict[str, np.ndarray]:
    """A photo, logits of three classes at an eighth of its size, and a truth, as files; and as arrays."""
    truth = np.zeros((48, 64), np.uint8)
    truth[10:40, 8:28], truth[14:34, 40:58] = 1, 2
    colours = np.array([[90, 120, 80], [200, 120, 60], [80, 80, 200]], np.uint8)
    image = colours[truth]
    maps = np.stack([gaussian_filter((truth == c).astype(np.float32), 3.0) for c in range(3)]) + 0.02
    probs = (maps / maps.sum(0)).astype(np.float32)
    Image.fromarray(image).save(tmp_path / "photo.png")
    labels = Image.fromarray(truth, "P")
    labels.putpalette(palette().tobytes())
    labels.save(tmp_path / "truth.png")
    np.savez(tmp_path / "scores.npz", probs=probs)
    return {"image": image, "probs": probs}


@pytest.fixture
def tune(files: dict[str, np.ndarray], tmp_path: Path, repo: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The running command and the address that it said."""
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "TMPDIR")
    own = {name: str(tmp_path / "own" / name) for name in names}
    for folder in own.values():
        Path(folder).mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "dlseg",
        "crf",
        "tune",
        "photo.png",
        "--scores",
        "scores.npz",
        "--truth",
        "truth.png",
        "--classes",
        "background, crate, ball",
    ]
    opener = tmp_path / "opener"  # stands for the user's browser
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.txt\n')
    opener.chmod(0o700)
    environment = {**os.environ, **own, "PYTHONPATH": str(repo), "PYTHONUNBUFFERED": "1", "BROWSER": str(opener)}
    with (
        (tmp_path / "said.txt").open("wb") as said,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=said, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield psutil.Process(process.pid), _address(process, tmp_path / "said.txt")
        finally:
            process.kill()


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    end = time.monotonic() + WAIT
    while not (found := re.search(r"http://\S+", said.read_text(encoding="utf-8"))):
        assert process.poll() is None and time.monotonic() < end, said.read_text(encoding="utf-8")
        time.sleep(0.05)
    return found[0]


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def test_the_page_opens_dark_where_the_system_is_dark(
    tune: tuple[psutil.Process, str], chromium: Browser, tmp_path: Path
) -> None:
    opened = (tmp_path / "opened.txt").read_text(encoding="utf-8").strip()
    for system, expected in (("dark", True), ("light", False)):
        context = chromium.new_context(color_scheme=system)
        page = context.new_page()
        page.goto(opened)
        page.wait_for_url(f"{tune[1]}*")
        page.locator(".dlseg-heading").wait_for(timeout=WAIT * 1000)
        paper = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')").strip()
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        level = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
        assert (level < 100) == expected, (system, paper, colour)
        assert page.locator(".dlseg-dot:visible").count() == 0, "no ring of the brush before a pointer is there"
        context.close()


def test_a_page_with_a_slider_that_moves_the_picture(
    files: dict[str, np.ndarray],
    tune: tuple[psutil.Process, str],
    page: Page,
    tmp_path: Path,
) -> None:
    process, address = tune
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(address)
    after = Picture(page, page.locator(".dlseg-canvas").filter(has_text="After"))
    slider = Slider(page, page.locator(".widget-slider").filter(has_text="appearance weight"))
    start = after.settled(WAIT)
    shown = np.array(after.pixels(), np.uint8).reshape(48, 64, 4)[..., :3].astype(int)
    labels = DenseCRF(files["image"], probs=files["probs"]).infer(CRFParams()).argmax(0)
    # one step: the browser and numpy may round the last half apart
    assert np.abs(shown - overlay(files["image"], labels)).max() <= 1
    slider.press("Home")
    off = after.changed_from(start)
    slider.drag(120)
    after.changed_from(off)
    opened = Path((tmp_path / "opened.txt").read_text().strip().removeprefix("file://"))
    assert address in opened.read_text(encoding="utf-8"), (
        "the user's browser was sent there, by a file only the user reads"
    )
    assert opened.parent.stat().st_mode & 0o077 == 0
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in asked), asked

    children = process.children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT) == 0
    gone, alive = psutil.wait_procs(children, WAIT)
    assert not alive and gone, "its kernel ends with it"
    assert not list((tmp_path / "own" / "TMPDIR").glob("dlseg-*")), "nothing is left behind"
    assert "Traceback" not in (tmp_path / "said.txt").read_text()


def test_without_the_token_there_is_nothing_to_see(tune: tuple[psutil.Process, str]) -> None:
    process, address = tune
    base = address.partition("?")[0]
    listening = [c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert "/login" in requests.get(base, timeout=WAIT).url
    assert "/login" in requests.get(f"{base}?token=guess", timeout=WAIT).url
    assert requests.get(f"{base}voila/files/given.npz", timeout=WAIT).status_code in (403, 404)
    assert not process.children(recursive=True), "no kernel starts for a stranger"
    opened = requests.get(address, headers={"Host": "elsewhere.example"}, timeout=WAIT)
    assert opened.status_code == 403, "another site's name for this address (DNS rebinding)"
