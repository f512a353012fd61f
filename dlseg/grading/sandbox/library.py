"""Where copies of this library lie: a job must not reach one, or it would find the worked solutions.

The grader may run from a source folder while another copy is installed, so its own folder is not enough:
everything that the interpreter would import under the library's name, and every folder or archive of that
name in what a job can see.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

NAME = "dlseg"
OWN = Path(__file__).resolve().parents[2]
ARCHIVES = (".whl", ".zip", ".egg", ".pyz", ".gz", ".bz2", ".xz", ".tar", ".tgz")


@functools.cache
def copies(seen: tuple[Path, ...]) -> tuple[Path, ...]:
    """Every copy that could be imported or read, links resolved; `seen` are the folders that a job can see."""
    every = {path.resolve() for path in seen if path.is_dir()}
    roots = {path for path in every if not any(parent in every for parent in path.parents)}
    found = {OWN, *importable(), *(copy for root in roots for copy in below(root))}
    # a folder that holds a whole interpreter may carry the library's name, as an environment often does
    return tuple(sorted(p for p in found if not any(p == root or p in root.parents for root in every)))


def importable() -> set[Path]:
    """What any of the interpreter's finders and search paths gives for the library's name."""
    specs = [PathFinder.find_spec(NAME, [entry or os.curdir]) for entry in sys.path]
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):  # somebody else's import hook
            specs.append(finder.find_spec(NAME, None))
    return {path for spec in specs if spec for path in _places(spec)}


def _places(spec: ModuleSpec) -> Iterator[Path]:
    """The folders of a package, or the archive that it lies in."""
    for place in [*(spec.submodule_search_locations or []), *([spec.origin] if spec.origin else [])]:
        path = Path(place)
        if path.is_dir():
            yield path.resolve()
        else:  # a single file; or a path that goes on inside an archive
            around = next((part for part in [path, *path.parents] if part.is_file()), None)
            if around and around.name != "__init__.py":
                yield around.resolve()


def below(root: Path) -> Iterator[Path]:
    """Folders and archives with the library's name below `root`, and what links of that name lead to."""
    waiting = [str(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                listed = list(entries)
        except OSError:  # closed to the grader, so closed to its jobs
            continue
        for entry in listed:
            name = entry.name.lower()
            if name.startswith(NAME) and _is_copy(name, entry):
                yield Path(entry.path).resolve()
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def _is_copy(name: str, entry: os.DirEntry[str]) -> bool:
    return (name in (NAME, f"{NAME}.py", f"{NAME}.pyc") and not _is_program(entry)) or name.endswith(ARCHIVES)


def _is_program(entry: os.DirEntry[str]) -> bool:
    return entry.name == NAME and entry.is_file()
