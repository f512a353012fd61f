"""A copy of this Python with the library installed as teachers install it, readable for every user.

Its folder lies where any user may go, so that all isolation levels can be tried, also by a grader that is not root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
SKIPPED = shutil.ignore_patterns("_dlseg.pth", "dlseg", "dlseg-*", "__pycache__", "tests", "test", "include")


@dataclass(frozen=True)
class Installed:
    """The environment's Python and the folder that everything lies in."""

    root: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.root / "venv" / "bin" / "python3"

    def run(
        self, *words: str, cwd: Path, user: int | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the interpreter with these words, as `user` if one is given."""
        environment = {
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "HOME": str(self.root / "home"),
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        return subprocess.run(
            [str(self.python), *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )


def make(root: Path, repo: Path) -> Installed:
    """Copy the base Python and its packages (links where the disk allows it), then install the library."""
    root.chmod(0o755)
    for folder in ("home", "venv"):
        (root / folder).mkdir()
    (root / "home").chmod(0o777)
    base = Path(sys.base_prefix)
    (root / "base").mkdir()
    for part in ("bin", "lib"):
        if base != Path("/usr"):
            _copy(base / part, root / "base" / part)
    home = root / "base" / "bin" if base != Path("/usr") else base / "bin"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([str(home / version), "-m", "venv", "--without-pip", str(root / "venv")], check=True)
    packages = Path("lib", version, "site-packages")
    shutil.rmtree(root / "venv" / packages)
    _copy(Path(sys.prefix) / packages, root / "venv" / packages)
    installed = Installed(root)
    install(installed, repo)
    return installed


def install(installed: Installed, source: Path) -> None:
    """Install the library from a copy of `source`, without a network; as a regular, not an editable install."""
    copy = installed.root / "source"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(source / name, copy)
    shutil.copytree(source / "dlseg", copy / "dlseg", ignore=shutil.ignore_patterns("__pycache__"))
    ran = installed.run(
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-build-isolation",
        "--no-deps",
        "--force-reinstall",
        ".",
        cwd=copy,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shutil.rmtree(copy)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=_link, ignore=SKIPPED)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
