"""From files, folders and zips to a list of submissions with names that do not clash.

Nothing that one file holds or is called keeps another from being graded: what is wrong with it becomes its problem.
"""

from __future__ import annotations

import hashlib
import stat
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from dlseg.grading.result import file_stem, plain
from dlseg.grading.submission import MAX_BYTES, SUFFIXES

MAX_MEMBERS = 5000
MAX_UNPACKED = 1 << 30
MAX_NAME = 180  # bytes of a report's file name, before what the report adds


@dataclass(frozen=True)
class Item:
    """One submission: its name, where it lies, and the problem that keeps it from being read, if any.

    `stem` is what its file was called, `folder` the folder or zip around it, `place` all of its path; `changed` is
    when the file was last written, in seconds since 1970; `content` its bytes, once they were taken.
    """

    name: str
    path: Path
    problem: str = ""
    stem: str = ""
    folder: str = ""
    place: str = ""
    changed: float = 0.0
    content: bytes | None = field(default=None, repr=False)

    def taken(self) -> Item:
        """The same with its bytes: read once, so that what is graded and what is noted are the same."""
        if self.problem:
            return self
        try:
            if not self.path.is_symlink() and self.path.is_file() and self.path.stat().st_size <= MAX_BYTES:
                return replace(self, content=self.path.read_bytes())
        except OSError:  # the harness meets it again, and says so
            pass
        return self

    @property
    def digest(self) -> str:
        """A fingerprint of the bytes that were taken, or of the problem where there are none."""
        fingerprint = hashlib.sha256(self.problem.encode(errors="replace"))
        fingerprint.update(b"" if self.content is None else b"\n" + self.content)
        return fingerprint.hexdigest()


def collect(paths: list[Path], unpacked: Path) -> list[Item]:
    """All notebooks and Python files in `paths`; zips are unpacked below the empty folder `unpacked`.

    Raises FileNotFoundError for a path that is not there and ValueError where there is nothing to grade.
    """
    found = [item for number, path in enumerate(paths) for item in _find(path, unpacked / str(number))]
    if not found:
        raise ValueError(f"nothing to grade in {', '.join(map(str, paths))}: expected .ipynb, .py or .zip")
    return _distinct(found)


def _item(stem: str, path: Path, folder: str, place: str, problem: str = "", changed: float | None = None) -> Item:
    if changed is None:
        try:
            changed = path.lstat().st_mtime
        except OSError:
            changed = 0.0
    return Item(safe_name(stem), path, plain(problem), stem, safe_name(folder), place, changed)


def _find(path: Path, unpacked: Path) -> Iterator[Item]:
    if path.is_dir():
        for number, child in enumerate(sorted(path.rglob("*"))):
            hidden = any(part.startswith(".") for part in child.relative_to(path).parts)
            if not hidden and not child.is_dir() and child.suffix.lower() in (*SUFFIXES, ".zip"):
                if child.is_symlink() or not child.is_file():
                    problem = f"{child.name}: expected an ordinary file"
                    yield _item(child.stem, child, child.parent.name, str(child), problem)
                else:
                    yield from _find(child, unpacked / str(number))
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    elif path.suffix.lower() == ".zip":
        yield from _unzip(path, unpacked)
    else:
        yield _item(path.stem, path, path.parent.name, str(path))


def _unzip(path: Path, target: Path) -> Iterator[Item]:
    """Only notebooks and Python files, each read up to a cap: what a zip says of itself is not believed."""

    def whole(problem: str) -> Item:
        return _item(path.stem, path, path.parent.name, str(path), problem)

    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                yield whole(f"the zip holds more than {MAX_MEMBERS} files")
                return
            total = 0
            for number, member in enumerate(members):
                if not (item := _member(archive, member, target / str(number), path)):
                    continue
                total += 0 if item.problem else item.path.stat().st_size
                if total > MAX_UNPACKED:
                    yield whole(f"the zip unpacks to more than {MAX_UNPACKED >> 30} GB")
                    return
                yield item
    except Exception as error:  # a broken zip can raise nearly anything
        yield whole(f"the zip cannot be read: {error or type(error).__name__}")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, zipped: Path) -> Item | None:
    """One file of a zip; whatever is wrong with it costs it alone. None for what is no submission."""
    name = PurePosixPath(member.filename.replace("\\", "/"))
    mode = member.external_attr >> 16
    hidden = any(part.startswith((".", "__")) and part != ".." for part in name.parts)
    if member.is_dir() or name.suffix.lower() not in SUFFIXES or hidden:
        return None
    # its own name might be too long for this disk, or mean another place
    path = target / f"member{name.suffix.lower()}"
    folder = name.parts[-2] if len(name.parts) > 1 else zipped.stem
    problem = ""
    if name.is_absolute() or ".." in name.parts or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        problem = f"{name.name}: not an ordinary file inside the zip"
    else:
        try:
            problem = _extract(archive, member, path, name.name)
        except Exception as error:  # a broken member can raise nearly anything, and so can a broken codec
            problem = f"{name.name}: cannot be read from the zip: {error or type(error).__name__}"
    try:
        changed = time.mktime((*member.date_time, 0, 0, -1))
    except (ValueError, OverflowError):  # a date that there is not
        changed = zipped.stat().st_mtime
    return _item(name.stem, path, folder, f"{zipped}/{member.filename}", problem, changed)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, name: str) -> str:
    with archive.open(member) as source:
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return f"{name} unpacks to more than {MAX_BYTES >> 20} MB"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return ""


def safe_name(name: str) -> str:
    """A name that can be printed, stored and read by any program: no control characters, not too long."""
    text = unicodedata.normalize("NFC", name)
    text = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in text).strip() or "unnamed"
    if len(file_stem(text).encode()) <= MAX_NAME:
        return text
    ending = f"~{_short(name)}"
    while len(file_stem(text + ending).encode()) > MAX_NAME:
        text = text[:-1]
    return text + ending


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def _same(name: str) -> str:
    """Equal for two names that some disk takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _distinct(items: list[Item]) -> list[Item]:
    """Clashing names get their folder's name in front, then a mark of their whole path, then a number."""
    for rename in (_with_folder, _with_place):
        counts = Counter(_same(item.name) for item in items)
        items = [replace(item, name=rename(item)) if counts[_same(item.name)] > 1 else item for item in items]
    taken: set[str] = set()
    unique = []
    for item in items:
        name, number = item.name, 1
        while _same(name) in taken:
            number += 1
            name = safe_name(f"{item.name}-{number}")
        taken.add(_same(name))
        unique.append(replace(item, name=name))
    return unique


def _with_folder(item: Item) -> str:
    return safe_name(f"{item.folder}-{item.name}")


def _with_place(item: Item) -> str:
    return safe_name(f"{item.name}-{_short(item.place)}")
