"""The bubblewrap container, where bwrap is installed: Python and system libraries, read-only, no network."""

from __future__ import annotations

import shutil
from pathlib import Path

from dlseg.grading.sandbox.namespaces import SYSTEM, private_folder


def command(package: Path, visible: list[Path], hidden: list[Path]) -> list[str]:
    """The command that puts what follows into a bubblewrap container. FileNotFoundError without bwrap."""
    program = shutil.which("bwrap")
    if program is None:
        raise FileNotFoundError("no bwrap on the PATH")
    binds = [
        word for path in (*SYSTEM, *map(str, visible)) if path != "/proc" for word in ("--ro-bind-try", path, path)
    ]
    grading = package / "grading"  # the template's own source; exercises and answers stay out of sight
    shown = [*(Path(path).resolve() for path in SYSTEM), *visible]
    masked = [path for path in hidden if any(folder in path.parents for folder in shown)]
    masks = [
        word
        for path in masked
        for word in (("--tmpfs", str(path)) if path.is_dir() else ("--ro-bind", "/dev/null", str(path)))
    ]
    own = [word for path in (package / "__init__.py", grading) for word in ("--ro-bind", str(path), str(path))]
    return [
        program,
        "--unshare-all",
        "--die-with-parent",
        *binds,
        *masks,
        *own,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        str(private_folder(visible)),
        "--chdir",
        "/",
        "--",
    ]
