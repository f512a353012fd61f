"""Unpacking archives from the net: everything or nothing, and nothing outside the folder it belongs to."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from pathlib import Path

from dlseg.common.files import make_whole


def unpack(archive: Path, out: Path, inside: str, name: str) -> None:
    """Put the folder `inside` of a tar archive at `out`, whole or not at all; nothing where it was put before.

    Members with absolute paths, with `..`, links that lead outside and devices make the whole archive refused
    (Python's "data" filter).

    Args:
        archive: a tar file, compressed or not.
        out: the folder to be.
        inside: the folder in the archive that becomes `out`.
        name: of what this is, noted in `out`.

    Raises:
        ValueError: damaged, cut short, without `inside`, or with a member that reaches outside.
        FileExistsError: `out` is something else.
        OSError: the disk has no room.
    """

    def fill(draft: Path) -> None:
        whole = draft / ".archive"
        try:
            with tarfile.open(archive) as tar:
                _check_room(draft, sum(member.size for member in tar.getmembers()))
                tar.extractall(whole, filter="data")
        except tarfile.FilterError as error:
            raise ValueError(f"{archive}: refused, since a member reaches outside ({error})") from error
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f"{archive}: not a whole tar archive ({error})") from error
        if not (whole / inside).is_dir():
            there = ", ".join(sorted(path.name for path in whole.iterdir())) or "nothing"
            raise ValueError(f"{archive}: no folder {inside!r} in it, but {there}")
        for path in (whole / inside).iterdir():
            path.rename(draft / path.name)
        shutil.rmtree(whole)

    make_whole(out, {"archive": name, "folder": inside}, fill)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder}: {free / 1e9:.1f} GB free, the archive unpacks to {needed / 1e9:.1f} GB")
