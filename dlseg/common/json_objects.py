"""Dataclasses as JSON objects, and back, with one clear error for a key that is not known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlseg.common.checks import nearest

T = TypeVar("T")


def to_json(value: Any, indent: int | None = None) -> str:
    """A dataclass as one JSON object, one key a field; `from_json` gives it back, equal."""
    return json.dumps(dataclasses.asdict(value), indent=indent)


def from_json(cls: type[T], text: str, what: str = "text") -> T:
    """A dataclass from a JSON object; a field that is left out keeps its default.

    Args:
        cls: the dataclass; it checks its own values.
        text: the JSON.
        what: what the text is called in an error, such as the file's name.

    Raises:
        ValueError: no JSON, no object, a key that is no field, or a value that `cls` refuses.
    """
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = read_object(text, names, what)
    try:
        return cls(**values)
    except TypeError as error:  # of a file it is the content that is wrong, not the call
        raise ValueError(f"{what}: {error}") from error


def read_object(text: str, known: Sequence[str] | None = None, what: str = "text") -> dict[str, Any]:
    """The JSON object in `text`; where `known` is given, all its keys are among those.

    Raises:
        ValueError: no JSON, no object, or an unknown key; the message names the nearest known one.
    """
    try:
        values = json.loads(text, object_pairs_hook=_each_key_once)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{what}: not JSON ({error})") from error
    if not isinstance(values, dict):
        keys = "" if known is None else f" of {', '.join(known)}"
        raise ValueError(f"{what}: got a JSON {type(values).__name__}, expected an object{keys}")
    if known is not None and (unknown := sorted(set(values) - set(known))):
        hints = "".join(nearest(key, known) for key in unknown)
        raise ValueError(f"{what}: unknown {', '.join(unknown)}, expected some of {', '.join(known)}{hints}")
    return values


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values; the standard library would keep the last of several equal keys in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def read_object_file(path: Path, known: Sequence[str] | None = None) -> dict[str, Any]:
    """The JSON object in a UTF-8 file (a byte order mark is allowed).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `read_object`; the message names the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from error
    return read_object(text, known, str(path))
