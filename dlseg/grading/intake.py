"""From files, folders and zips to a list of submissions with names that do not clash."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dlseg.grading.submission import MAX_BYTES

SUFFIXES = (".ipynb", ".py")
MAX_MEMBERS = 5000
MAX_UNPACKED = 1 << 30
# RuntimeError: a password; NotImplementedError: an exotic compression; the others: a broken file
UNREADABLE = (
    zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError, zlib.error,
)


@dataclass(frozen=True)
class Item:
    """One submission: its name, where it lies, and the problem that keeps it from being read, if any."""

    name: str
    path: Path
    problem: str = ""


def collect(paths: list[Path], unpacked: Path) -> list[Item]:
    """All notebooks and Python files in `paths`; zips are unpacked below the empty folder `unpacked`.

    Raises FileNotFoundError for a path that is not there and ValueError where there is nothing to grade.
    """
    found = [item for number, path in enumerate(paths) for item in _find(path, unpacked / str(number))]
    if not found:
        raise ValueError(f"nothing to grade in {', '.join(map(str, paths))}: expected .ipynb, .py or .zip")
    return _distinct(found)


def _find(path: Path, unpacked: Path) -> Iterator[Item]:
    if path.is_dir():
        for number, child in enumerate(sorted(path.rglob("*"))):
            hidden = any(part.startswith(".") for part in child.relative_to(path).parts)
            ordinary = child.is_file() and not child.is_symlink()
            if not hidden and ordinary and child.suffix in (*SUFFIXES, ".zip"):
                yield from _find(child, unpacked / str(number))
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    elif path.suffix == ".zip":
        yield from _unzip(path, unpacked)
    else:
        yield Item(path.stem, path)


def _unzip(path: Path, target: Path) -> Iterator[Item]:
    """Only notebooks and Python files, each read up to a cap: what a zip says of itself is not believed."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                yield Item(path.stem, path, f"the zip holds more than {MAX_MEMBERS} files")
                return
            total = 0
            for number, member in enumerate(members):
                if not (item := _unpack(archive, member, target / str(number), path.stem)):
                    continue
                total += 0 if item.problem else item.path.stat().st_size
                if total > MAX_UNPACKED:
                    yield Item(path.stem, path, f"the zip unpacks to more than {MAX_UNPACKED >> 30} GB")
                    return
                yield item
    except UNREADABLE as error:
        yield Item(path.stem, path, f"the zip cannot be read: {error}")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, zip_name: str) -> Item | None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    mode = member.external_attr >> 16
    hidden = any(part.startswith((".", "__")) and part != ".." for part in name.parts)
    if member.is_dir() or name.suffix not in SUFFIXES or hidden:
        return None
    path = target / zip_name / (name.parts[-2] if len(name.parts) > 1 else "") / name.name
    if name.is_absolute() or ".." in name.parts or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        return Item(name.stem, path, f"{name.name}: not an ordinary file inside the zip")
    with archive.open(member) as source:
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return Item(name.stem, path, f"{name.name} unpacks to more than {MAX_BYTES >> 20} MB")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Item(name.stem, path)


def _distinct(items: list[Item]) -> list[Item]:
    """Clashing names get their folder's name in front, and a number where that does not help."""
    for rename in (_with_folder, _with_number):
        counts = Counter(item.name for item in items)
        items = [replace(item, name=rename(item, n)) if counts[item.name] > 1 else item
                 for n, item in enumerate(items, 1)]
    return items


def _with_folder(item: Item, number: int) -> str:
    return f"{item.path.parent.name}-{item.name}"


def _with_number(item: Item, number: int) -> str:
    return f"{item.name}-{number}"
