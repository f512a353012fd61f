"""The empty folder that a worker starts in where it has no private scratch memory: small, gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlseg.grading.sandbox.confine import Place
from dlseg.grading.sandbox.job import MB, Limits


def make(place: Place) -> Path:
    """A new empty folder that only the worker's user may enter, or the job's own scratch memory."""
    if place.private is not None:
        return place.private
    work = Path(tempfile.mkdtemp(dir=place.scratch))
    if place.uid is not None:
        os.chown(work, place.uid, place.uid)
    return work


def remove(work: Path, place: Place) -> None:
    """Delete the folder, whatever modes its content was given."""
    if work == place.private:
        return
    for folder, _, _ in os.walk(work):  # top down: a folder is opened up before it is listed
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                Path(entry.path).chmod(0o700)
    shutil.rmtree(work)


def within(work: Path, place: Place, limits: Limits) -> bool:
    """Whether number and size of the files stay in the budget (kept by the kernel in private memory)."""
    if work == place.private:
        return True
    size = 0
    for count, entry in enumerate(_entries(work), 1):
        size += entry
        if count > limits.files or size > limits.files_mb * MB:
            return False
    return True


def _entries(folder: Path) -> Iterator[int]:
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(Path(entry.path))
    except OSError:  # vanished, or closed to us, while it was looked at
        return
