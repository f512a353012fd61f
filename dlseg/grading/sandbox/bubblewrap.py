"""The bubblewrap container, where there is one: Python and the system, read-only; no network, own processes."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from dlseg.grading.sandbox.locks import SYSTEM

MEMORY = 64 << 20  # of files in the container


def command(package: Path, visible: list[Path], hidden: list[Path]) -> list[str]:
    """The command that puts what follows into a container. FileNotFoundError without bwrap.

    Args:
        package: the library's folder, of which only the template's own source is shown.
        visible: folders that this Python lives in.
        hidden: what must not be seen of `visible` and of the system's folders.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise FileNotFoundError("no bwrap on the PATH")
    paths = [path for path in (*SYSTEM, *map(str, visible)) if path != "/proc"]
    shown = [*(Path(path).resolve() for path in SYSTEM), *visible]
    masks: list[str] = []
    for path in hidden:
        if any(folder in path.parents for folder in shown):
            masks += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", "/dev/null", str(path)]
    own = [package / "__init__.py", package / "grading"]  # exercises and answers stay out of sight
    size = _sized(program)
    return [
        *(program, "--unshare-all", "--die-with-parent"),
        *(word for path in paths for word in ("--ro-bind-try", path, path)),
        *masks,
        *(word for path in own for word in ("--ro-bind", str(path), str(path))),
        *("--proc", "/proc", "--dev", "/dev"),
        *(*size, "--tmpfs", "/dev/shm"),
        *(*size, "--tmpfs", str(private_folder(visible))),
        *("--chdir", "/", "--"),
    ]


@functools.cache
def _sized(program: str) -> tuple[str, ...]:
    """The words that bound the memory of a folder, where this bwrap has them."""
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    return ("--size", str(MEMORY)) if "--size" in said else ()


def private_folder(visible: list[Path]) -> Path:
    """Where a job finds its own files: /tmp, unless this Python or this package lives below it."""
    needed = (*visible, Path(__file__).resolve())
    return Path("/scratch" if any(Path("/tmp") in path.parents for path in needed) else "/tmp")
