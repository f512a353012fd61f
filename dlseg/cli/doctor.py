"""`dlseg doctor`: one line for each thing a user needs, OK or what to do about it."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import click

from dlseg.cli import options

FREE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """What is there of one thing; `needed` says whether dlseg works without it, `cure` what to do."""

    name: str
    ok: bool
    detail: str
    needed: bool = True
    cure: str = ""

    def __str__(self) -> str:
        mark = "OK     " if self.ok else "MISSING" if self.needed else "without"
        return f"{mark}  {self.name:12} {self.detail}" + (f" — {self.cure}" if self.cure and not self.ok else "")


def python() -> Finding:
    """3.11 to 3.13: below, the language is too old; above, packages here have no wheels yet."""
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), found, cure="use 3.11, 3.12 or 3.13")


def package(name: str, module: str = "", needed: bool = True, cure: str = "") -> Finding:
    """A package that must not only be installed but import."""
    cure = cure or f"pip install -c constraints.txt {name}"
    try:
        importlib.import_module(module or name)
    except Exception as error:  # whatever a broken build raises is what the user must read
        return Finding(name, False, f"{type(error).__name__}: {error}", needed, cure)
    return Finding(name, True, _version(name), needed)


def _version(name: str) -> str:
    for candidate in (name, f"{name}2"):
        try:
            return version(candidate)
        except PackageNotFoundError:
            continue
    return "version unknown"


def torch_device() -> Finding:
    """torch, and the device that `device="auto"` would take."""
    found = package("torch")
    if not found.ok:
        return found
    import torch

    device = "cpu"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        device = "mps"
    return dataclasses.replace(found, detail=f"{found.detail} on {device}, {torch.get_num_threads()} threads")


def data() -> Finding:
    """The validation scenes that come with the checkout."""
    from dlseg.datasets import load

    try:
        shapes = load("shapes", "val")
        return Finding("data", True, f"shapes: {len(shapes)} validation images in {shapes.root}")
    except (OSError, ValueError) as error:
        return Finding("data", False, str(error), cure="dlseg data make shapes")


def weights() -> Finding:
    """The shipped labeller and the classifier it was made from."""
    from dlseg.networks import open_weights

    try:
        infos = [open_weights("shapes", variant)[1] for variant in ("deeplab-largefov", "vgg16-20m")]
        return Finding("weights", True, f"labeller (mean IoU {infos[0]['mean_iou']:.2f}) and classifier")
    except (OSError, ValueError, KeyError) as error:
        return Finding("weights", False, str(error), cure="dlseg pretrain …, then dlseg train …")


def browser() -> Finding:
    """Chromium, for the browser tests alone."""
    path = find_browser()
    return Finding(
        "browser",
        path is not None,
        path or "no Chromium found",
        needed=False,
        cure="only the browser tests need it: install chromium, or set CHROMIUM to one",
    )


def find_browser() -> str | None:
    """The Chromium to test with: $CHROMIUM, else the first of the usual names on the path."""
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def disk() -> Finding:
    """Room in the cache folder for data sets."""
    from dlseg.datasets import cache_folder

    place = cache_folder()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    return Finding("disk", free >= FREE_GB, f"{free:.0f} GB free in {place}", cure=f"free {FREE_GB:.0f} GB")


CHECKS: tuple[Callable[[], Finding], ...] = (
    python,
    torch_device,
    *(lambda name=name: package(name) for name in ("numpy", "numba", "matplotlib", "jupyterlab", "ipywidgets")),
    lambda: package("anywidget"),
    lambda: package(
        "pydensecrf",
        "pydensecrf.densecrf",
        needed=False,
        cure="make pydensecrf; without it all but kernel='pydensecrf' works",
    ),
    data,
    weights,
    browser,
    disk,
)


def findings() -> Iterator[Finding]:
    """Every check, one after the other."""
    for check in CHECKS:
        yield check()


@click.command()
@options.as_json
def doctor(as_json: bool) -> None:
    """Say what is there and what is missing; exit status 1 if something needed is missing."""
    found = []
    for finding in findings():
        found.append(finding)
        if not as_json:
            click.echo(str(finding))
    healthy = all(f.ok for f in found if f.needed)
    if as_json:
        options.show_json({"ok": healthy, "findings": [dataclasses.asdict(f) for f in found]})
    elif healthy:
        click.echo("All that is needed is here.")
    sys.exit(0 if healthy else 1)
