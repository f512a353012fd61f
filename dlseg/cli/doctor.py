"""`dlseg doctor`: one line for each thing a user needs, OK or what to do about it. It looks; `--fix` does."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from dlseg.cli import options
from dlseg.common.shipped import PACKAGE

FREE_GB = 0.1  # over what is still to be made; less is a full disk
MAKE = (sys.executable, "-m", "dlseg", "data", "make", "shapes")


@dataclass(frozen=True)
class Finding:
    """What is there of one thing.

    Attributes:
        name: the thing.
        ok: whether it is there.
        detail: what was found, or what is wrong.
        needed: whether dlseg needs it; without the others only a part does not work.
        cure: what to do where it is not there.
        fix: the command that does it, where one does.
    """

    name: str
    ok: bool
    detail: str
    needed: bool = True
    cure: str = ""
    fix: tuple[str, ...] = ()

    def __str__(self) -> str:
        mark = "OK     " if self.ok else "MISSING" if self.needed else "without"
        return f"{mark}  {self.name:12} {self.detail}" + (f" — {self.cure}" if self.cure and not self.ok else "")


def in_checkout() -> bool:
    """Whether dlseg runs from its repository; in an installed copy it is a library, and the lab is an extra."""
    return (PACKAGE.parent / "pyproject.toml").is_file()


def in_conda() -> bool:
    """Whether this Python is a conda environment's."""
    return (Path(sys.prefix) / "conda-meta").is_dir()


def install(name: str) -> tuple[str, ...]:
    """The command that installs a package where this Python looks for packages."""
    if in_conda():
        return (os.environ.get("CONDA_EXE", "conda"), "install", "--yes", "--channel", "conda-forge", name)
    pins = PACKAGE.parent / "constraints.txt"
    constraint = ("-c", str(pins)) if in_checkout() and pins.is_file() else ()
    return (sys.executable, "-m", "pip", "install", *constraint, name)


def python() -> Finding:
    """3.11 to 3.13: below, the language is too old; above, packages here have no wheels yet."""
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), found, cure="use 3.11, 3.12 or 3.13")


def package(name: str, module: str = "", needed: bool = True, cure: str = "", fix: tuple[str, ...] = ()) -> Finding:
    """A package that must not only be installed but import."""
    fix = fix or install(name)
    cure = cure or shlex.join(fix)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # without a home it tells of its temporary folder
    try:
        importlib.import_module(module or name)
    except Exception as error:  # whatever a broken build raises is what the user must read
        return Finding(name, False, f"{type(error).__name__}: {error}", needed, cure, fix)
    return Finding(name, True, _version(name), needed)


def lab_package(name: str) -> Finding:
    """A package of JupyterLab's, which the course needs and the library does not."""
    return package(name, needed=in_checkout(), cure="" if in_checkout() else 'pip install "dlseg[lab]"')


def pydensecrf() -> Finding:
    """The other CRF engine, for comparison."""
    cure = f"without it all but kernel='pydensecrf' works; {_adds_pydensecrf()[0]}"
    return package("pydensecrf", "pydensecrf.densecrf", needed=False, cure=cure, fix=_adds_pydensecrf()[1])


def _adds_pydensecrf() -> tuple[str, tuple[str, ...]]:
    if in_checkout() and not in_conda() and shutil.which("make"):
        return "make pydensecrf", ("make", "-C", str(PACKAGE.parent), "pydensecrf")
    renamed = "pydensecrf2==1.1"  # the maintained re-release of the same code, which pip builds on its own
    return f"pip install {renamed}", (sys.executable, "-m", "pip", "install", renamed)


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
    """The scenes that come with dlseg; where they do not, those made before."""
    from dlseg.datasets import shapes
    from dlseg.datasets.paths import EMBEDDED, cache_folder
    from dlseg.datasets.voc import Dataset

    faults = []
    for root in (EMBEDDED / "shapes", cache_folder() / shapes.folder_name()):
        try:
            val = Dataset(root, "val")
        except (OSError, ValueError) as error:
            faults.append(str(error))
            continue
        files = [root / "JPEGImages" / f"{name}.jpg" for name in val.names]
        files += [root / val.labels / f"{name}.png" for name in val.names]
        if missing := sum(not path.is_file() for path in files):
            faults.append(f"{missing} files of split val are missing in {root}")
            continue
        origin = "shipped" if root.parent == EMBEDDED else "made"
        return Finding("data", True, f"shapes: {len(val)} validation images, {origin}, in {root}")
    return Finding("data", False, faults[0], cure="dlseg data make shapes", fix=MAKE)


def train_set() -> Finding:
    """The training pictures of the shapes, which are made on first use."""
    from dlseg.datasets import shapes
    from dlseg.datasets.paths import EMBEDDED, cache_folder

    root = cache_folder() / shapes.folder_name()
    if (root / "ImageSets" / "Segmentation" / "train.txt").is_file():
        return Finding("train set", True, f"shapes: in {root}", needed=False)
    return Finding(
        "train set",
        False,
        f"shapes: not made yet; {_shapes_mb(EMBEDDED / 'shapes'):.0f} MB in {cache_folder()}",
        needed=False,
        cure="made on first use, in about a minute, or now by `dlseg data make shapes`",
        fix=MAKE,
    )


def _shapes_mb(sample: Path) -> float:
    """What the whole set takes, from the mean of the pictures that are here."""
    sizes = [
        path.stat().st_size for part in ("JPEGImages", "SegmentationClass") for path in (sample / part).glob("*")
    ]
    pictures = len(sizes) / 2 or 1
    return sum(sizes or [13_000]) / pictures * 2240 / 1e6


def voc2012() -> Finding:
    """PASCAL VOC 2012, for the paper's own run."""
    from dlseg.datasets.download import VOC2012
    from dlseg.datasets.voc2012 import find

    try:
        return Finding("VOC 2012", True, str(find()), needed=False)
    except FileNotFoundError:
        size = (VOC2012.size or 0) / 1e9
        return Finding(
            "VOC 2012",
            False,
            f"not here; a download of {size:.1f} GB that takes {2 * size:.0f} GB while it is unpacked",
            needed=False,
            cure="for the paper's own run: `dlseg data download voc2012`, or set DLSEG_VOC to a copy",
        )


def imagenet() -> Finding:
    """VGG-16's public weights, for the paper's own run."""
    from dlseg.networks.imagenet import SIZE, kept

    if kept().is_file():
        return Finding("VGG-16", True, str(kept()), needed=False)
    return Finding(
        "VGG-16",
        False,
        f"not here; a download of {SIZE / 1e9:.2f} GB",
        needed=False,
        cure="for the paper's own run: `--init imagenet` fetches it",
    )


def weights() -> Finding:
    """The shipped segmentation network and the classifier it was made from."""
    from dlseg.networks import open_weights

    try:
        infos = [open_weights("shapes", variant)[1] for variant in ("deeplab-largefov", "vgg16-20m")]
        return Finding("weights", True, f"segmentation (mean IoU {infos[0]['mean_iou']:.2f}) and classifier")
    except (OSError, ValueError, KeyError) as error:
        return Finding(
            "weights", False, str(error), cure="install dlseg anew, or dlseg pretrain …, then dlseg train …"
        )


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
    """Room, and leave to write, in the cache folder."""
    from dlseg.datasets.paths import EMBEDDED, cache_folder

    place = cache_folder().absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding(
            "disk",
            False,
            f"{cache_folder()} cannot be written",
            needed=False,
            cure="what is made or fetched needs it: set DLSEG_CACHE to a folder that can be written",
        )
    free, wanted = shutil.disk_usage(place).free / 1e9, FREE_GB + _shapes_mb(EMBEDDED / "shapes") / 1e3
    return Finding("disk", free >= wanted, f"{free:.1f} GB free in {place}", cure=f"free {wanted:.1f} GB")


CHECKS: tuple[Callable[[], Finding], ...] = (
    python,
    torch_device,
    *(lambda name=name: package(name) for name in ("numpy", "numba", "matplotlib")),
    *(lambda name=name: lab_package(name) for name in ("jupyterlab", "ipywidgets", "anywidget")),
    pydensecrf,
    data,
    weights,
    train_set,
    voc2012,
    imagenet,
    browser,
    disk,
)


def findings() -> Iterator[Finding]:
    """Every check, one after the other; none makes or fetches anything."""
    for check in CHECKS:
        yield check()


def mend(found: list[Finding]) -> int:
    """Run the command of everything that is not there and has one; returns how many failed."""
    failed = 0
    for finding in found:
        if not finding.ok and finding.fix:
            click.echo(f"$ {shlex.join(finding.fix)}")
            try:
                failed += subprocess.run(finding.fix, check=False).returncode != 0
            except OSError as error:
                click.echo(f"{finding.fix[0]}: {error.strerror}")
                failed += 1
    return failed


@click.command()
@options.as_json
@click.option("--fix", is_flag=True, help="Install and make what is missing, then look again; prints each command.")
def doctor(as_json: bool, fix: bool) -> None:
    """Say what is there and what is missing; exit status 1 if something needed is missing.

    Nothing is made, fetched or written without --fix, and with it no large download.
    """
    if as_json and fix:
        raise click.UsageError("--json shows what is there; --fix changes it: give one of them")
    found = []
    for finding in findings():
        found.append(finding)
        if not as_json and not fix:
            click.echo(str(finding))
    healthy = all(f.ok for f in found if f.needed)
    if fix and any(f.fix for f in found if not f.ok):
        mend(found)
        # what was installed is seen by a new process alone
        sys.exit(subprocess.run([sys.executable, "-m", "dlseg", "doctor"], check=False).returncode)
    if as_json:
        options.show_json({"ok": healthy, "findings": [dataclasses.asdict(f) for f in found]})
    elif healthy:
        click.echo("Nothing is left to fix." if fix else "All that is needed is here.")
    elif fix:
        click.echo("\n".join(str(f) for f in found if not f.ok))
    sys.exit(0 if healthy else 1)
