"""Files and folders that are whole or not there: made beside their place, moved into it when nothing is missing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

MARKER = ".complete.json"


def tree_hash(folder: str | Path) -> str:
    """SHA-256 over the sorted relative paths and the bytes of a folder's files, those hidden by a dot left out.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    digest = hashlib.sha256()
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    for name in sorted(files):
        if not any(part.startswith(".") for part in name.split("/")):
            body = files[name].read_bytes()
            digest.update(f"{name}\0{len(body)}\0".encode())
            digest.update(body)
    return digest.hexdigest()


def make_whole(out: Path, recipe: dict[str, Any], fill: Callable[[Path], None], replace: bool = False) -> str:
    """The tree hash of `out`, filled by `fill` unless it was made by the same recipe before.

    The work is done in a hidden folder beside `out`, under a lock, and renamed at the end; a run that was killed
    leaves only that hidden folder, which the next run throws away. With `replace`, what another recipe made or what
    was changed since is thrown away too: for folders that are nobody's but ours.

    Raises:
        FileExistsError: `out` holds something else, or what another recipe made, or was changed since.
        OSError: the place cannot be written.
    """
    out = out.absolute()
    if is_whole(out, recipe):  # before the lock: a whole folder may lie where nothing can be written
        return _recorded_hash(out)
    lock = _locked(out)
    try:
        if replace and (out / MARKER).is_file() and not is_whole(out, recipe):
            shutil.rmtree(out)
        found = _found(out, recipe)
        if found is None:
            found = _build(out, recipe, fill)
    finally:
        if out.exists():  # then whoever still waits on this lock has nothing to make, and it can go
            with suppress(OSError):  # Windows keeps files that are open
                Path(lock.lock_file).unlink()
        lock.release()
    return found


def is_whole(folder: Path, recipe: dict[str, Any]) -> bool:
    """Whether this recipe made the folder and its files are still as many, and as large, as then."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("recipe") == recipe and marker.get("extent") == _extent(folder)


def _recorded_hash(folder: Path) -> str:
    return str(json.loads((folder / MARKER).read_text(encoding="utf-8"))["tree_hash"])


def _found(out: Path, recipe: dict[str, Any]) -> str | None:
    if is_whole(out, recipe):
        return _recorded_hash(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / MARKER).is_file():
        what = "is not empty, and nothing that was made here before" if out.is_dir() else "is a file"
    else:
        what = "was made with other settings, or its files were changed since"
    raise FileExistsError(f"{out} {what}; name another folder, or remove this one first")


def _build(out: Path, recipe: dict[str, Any], fill: Callable[[Path], None]) -> str:
    for left in out.parent.glob(f".{out.name}.part-*"):
        shutil.rmtree(left, ignore_errors=True)
    # a name of its own: processes that outlive a killed run must not write into this one
    draft = out.parent / f".{out.name}.part-{uuid4().hex}"
    try:
        draft.mkdir()
        fill(draft)
        found = tree_hash(draft)
        marker = {"recipe": recipe, "extent": _extent(draft), "tree_hash": found}
        (draft / MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def _extent(folder: Path) -> list[int]:
    """How many files, how many bytes: cheap to ask, and enough to notice an interrupted copy."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return [len(sizes), sum(sizes)]


def _locked(out: Path) -> FileLock:
    """A lock beside the place, held; waits while another process has it."""
    lock = FileLock(out.parent / f".{out.name}.lock")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise type(error)(f"cannot write to {out.parent} ({error.strerror})") from error
    return lock


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A draft beside `path` to write to; it becomes `path` at the end, on the disk, or nothing has happened.

    The draft has a name of its own, so that two processes that write one file leave one whole file. What stood at
    `path` stays until the new one is complete; where the block raises, the draft is removed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     print((Path(folder) / "a.txt").read_text())
    all of it
    """
    path = Path(path)
    # the ending stays, since some writers choose the format by it; a name has 255 bytes at most
    begin = os.fsencode(path.stem)[:100].decode(errors="ignore")
    draft = path.with_name(f".{begin}.{uuid4().hex[:12]}.tmp{path.suffix}")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())  # a name that points to bytes not yet on the disk is a half-written file
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file, UTF-8 where it is text, whole or not at all; newlines stay as they are."""
    with whole_file(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def claim(folder: Path, note: str, settings: dict[str, Any]) -> None:
    """Write in a folder, in the file `note`, what made or will make its files; make the folder where it is missing.

    Raises:
        ValueError: it says so of other settings; the message names those that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, here = folder / note, json.loads(json.dumps(settings))
    if not path.exists():
        write_whole(path, json.dumps(here, indent=2) + "\n")
        return
    try:
        there = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"folder: {str(path)!r} does not say what the folder holds ({error})") from error
    if differing := [key for key in {**here, **there} if here.get(key) != there.get(key)]:
        raise ValueError(
            f"folder: {str(folder)!r} holds what was made with other {', '.join(differing)}; "
            "name another folder, or remove this one first"
        )
