"""Lists of pictures as people write them: a name a line, or the paths of an image and its label."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif", ".jp2", ".avif")
_PATH = rf".*?(?:{'|'.join(map(re.escape, ENDINGS))})"
_TWO = re.compile(rf"(?P<image>{_PATH})\s+(?P<label>{_PATH})", re.IGNORECASE)


class Entry(NamedTuple):
    """A line of a list: the image's name or path, and the label's where the line has one."""

    image: str
    label: str | None


def read_entries(path: Path) -> list[Entry]:
    """The lines of a list; empty ones are left out.

    A line has two columns where a tab parts it, or a blank behind a file's ending. Other blanks are part of a name.

    Raises ValueError for a list without a name, or one that is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text in UTF-8 ({error}); expected one picture's name a line") from error
    entries = [_entry(line.strip(), path) for line in lines if line.strip()]
    if not entries:
        raise ValueError(f"{path}: the list is empty; expected one picture's name a line")
    return entries


def _entry(line: str, path: Path) -> Entry:
    columns = [part.strip() for part in line.split("\t") if part.strip()]
    if len(columns) == 1 and (two := _TWO.fullmatch(columns[0])):
        columns = [two["image"], two["label"]]
    if len(columns) > 2:
        raise ValueError(f"{path}: got {len(columns)} columns in {line!r}, expected an image, or an image and "
                         "a label")
    return Entry(columns[0], columns[1] if len(columns) == 2 else None)


def stem(name: str) -> str:
    """A listed file's name without folder and ending; what follows a dot is an ending where it is a picture's."""
    last = re.split(r"[/\\]", name)[-1]
    ending = next((e for e in ENDINGS if last.lower().endswith(e)), "")
    return last[: len(last) - len(ending)]
