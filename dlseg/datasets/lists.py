"""Lists of pictures as people write them: a name a line, or the paths of an image and its label."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from dlseg.common.checks import message

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif", ".jp2", ".avif")
LONGEST = 255  # bytes that a file's name may have
_PATH = rf".*?(?:{'|'.join(map(re.escape, ENDINGS))})"
_TWO = re.compile(rf"(?P<image>{_PATH})\s+(?P<label>{_PATH})", re.IGNORECASE)


class Entry(NamedTuple):
    """A line of a list: the image's name or path, and the label's where the line has one."""

    image: str
    label: str | None


def read_entries(path: Path, may_be_empty: bool = False) -> list[Entry]:
    """The lines of a list; empty ones are left out.

    A line has two columns where a tab parts it, or a blank behind a file's ending. Other blanks are part of a name.

    Raises ValueError for one that is no text, and for a list without a name unless it `may_be_empty`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text in UTF-8 ({error}); expected one picture's name a line") from error
    for number, line in enumerate(lines, 1):
        if "\0" in line or max(len(part.encode()) for part in re.split(r"[/\\]", line)) > LONGEST:
            raise ValueError(f"{path}: line {number} is no picture's name: {line[:30]!r}… ({len(line)} characters)")
    entries = [_entry(line.strip(), path) for line in lines if line.strip()]
    if not entries and not may_be_empty:
        raise ValueError(f"{path}: the list is empty; expected one picture's name a line")
    return entries


def _entry(line: str, path: Path) -> Entry:
    columns = [part.strip() for part in line.split("\t") if part.strip()]
    if len(columns) == 1 and (two := _TWO.fullmatch(columns[0])):
        columns = [two["image"], two["label"]]
    if len(columns) > 2:
        raise ValueError(
            f"{path}: got {len(columns)} columns in {line!r}, expected an image, or an image and a label"
        )
    return Entry(columns[0], columns[1] if len(columns) == 2 else None)


def class_names(names: Any, path: Path) -> tuple[str, ...]:
    """A list of class names from JSON; ValueError where it is none."""
    if not isinstance(names, list) or not 2 <= len(names) <= 255 or not all(isinstance(n, str) for n in names):
        raise ValueError(message(f"{path}: classes", repr(names), "a list of 2 to 255 names"))
    if unclear := [name for name in names if not name.strip() or not name.isprintable()]:
        raise ValueError(message(f"{path}: classes", repr(unclear[0]), "a name on one line for each class"))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(message(f"{path}: classes", f"{', '.join(twice)} more than once", "a name for each class"))
    return tuple(names)


def fixed_part(pattern: str) -> str:
    """The folder in which a pattern begins to be one.

    >>> fixed_part("photos/2024/*/IMG_[0-9].jpg")
    'photos/2024'
    """
    parts = PurePath(pattern).parts
    count = next((i for i, part in enumerate(parts) if any(sign in part for sign in "*?[")), len(parts))
    return PurePath(*parts[:count]).as_posix()


def stem(name: str) -> str:
    """A listed file's name without folder and ending; what follows a dot is an ending where it is a picture's."""
    last = re.split(r"[/\\]", name)[-1]
    ending = next((e for e in ENDINGS if last.lower().endswith(e)), "")
    return last[: len(last) - len(ending)]
