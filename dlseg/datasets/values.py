"""What the stored values or colours of label files mean: `values` in a `dataset.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from dlseg.common.constants import VOID
from dlseg.datasets import voc

OTHERS, VOID_NAME = "*", "void"
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})|(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})")


@dataclass(frozen=True)
class ValueMap:
    """Stored value → class number (255 for void). `colours`: values are colours, packed as 0xRRGGBB."""

    numbers: Mapping[int, int]
    colours: bool
    others: int | None  # what every value is that is not named; None where these are faults

    @classmethod
    def read(cls, said: Any, classes: Sequence[str]) -> ValueMap:
        """From JSON: {"0": "void", "7": "road", …} or {"#804080": "road", "0,0,0": "void", …}, "*" for all others.

        Raises ValueError for what is no such object.
        """
        if not isinstance(said, dict) or not set(said) - {OTHERS}:
            raise ValueError(f'values: got {said!r}, expected {{"0": "void", "1": "{classes[0]}", …}}')
        if VOID_NAME in classes:
            raise ValueError(
                f"values: got a class called {VOID_NAME!r}, which means not annotated; expected another name"
            )
        known = {name: number for number, name in enumerate(classes)} | {VOID_NAME: VOID}
        for key, name in said.items():
            if not isinstance(name, str) or name not in known:
                raise ValueError(f"values: {key!r}: got {name!r}, expected one of the classes, or {VOID_NAME!r}")
        keys = {key: _value(key) for key in said if key != OTHERS}
        if len({colour for colour, _ in keys.values()}) > 1:
            raise ValueError("values: got numbers and colours, expected one kind of them")
        numbers = {value: known[said[key]] for key, (_, value) in keys.items()}
        if len(numbers) < len(keys):
            raise ValueError("values: got the same value twice, written in two ways")
        if missing := [name for name in classes if name not in said.values()]:
            raise ValueError(
                f"values: got none for {', '.join(missing[: voc.SHOWN])}, expected one or more for each class"
            )
        others = known[said[OTHERS]] if OTHERS in said else None
        return cls(numbers, next(iter(keys.values()))[0], others)

    def label(self, path: Path) -> UInt8[np.ndarray, "H W"]:
        """The classes of a label file.

        Raises FileNotFoundError, or ValueError for a file that is no image or holds values that are not named.
        """
        pixels = stored(path, self.colours)
        present, where = np.unique(pixels, return_inverse=True)
        unknown = [int(value) for value in present if int(value) not in self.numbers]
        if unknown and self.others is None:
            words = ", ".join(self._word(value) for value in unknown[: voc.SHOWN])
            rest = ", …" if len(unknown) > voc.SHOWN else ""
            raise ValueError(
                f"{path}: got values {words}{rest}, which `values` in dataset.json does not name; "
                f'name each, or give {{"{OTHERS}": "{VOID_NAME}"}} for all others'
            )
        table = np.array([self.numbers.get(int(value), self.others) for value in present], np.uint8)
        return table[where].reshape(pixels.shape)

    def _word(self, value: int) -> str:
        return f"#{value:06x}" if self.colours else str(value)


def _value(key: str) -> tuple[bool, int]:
    """Whether a key is a colour, and its number."""
    if match := _COLOUR.fullmatch(key.strip()):
        if match[1]:
            return True, int(match[1], 16)
        parts = [int(match[i]) for i in (2, 3, 4)]
        if max(parts) <= 255:
            return True, parts[0] << 16 | parts[1] << 8 | parts[2]
    elif key.strip().isdecimal():
        return False, int(key)
    raise ValueError(
        f'values: got {key!r}, expected a number such as "7", a colour such as "#804080" or '
        f'"128,64,128", or "{OTHERS}"'
    )


def stored(path: Path, colours: bool) -> Int64[np.ndarray, "H W"]:
    """A file's values: grey levels, palette indices, bits, or colours."""
    with voc.label_picture(path) as picture:
        mode, pixels = picture.mode, np.array(picture.convert("RGB") if colours else picture)
    if pixels.dtype.kind == "f" and not (np.isfinite(pixels) & (pixels == np.round(pixels))).all():
        raise ValueError(f"{path}: got values with NaN, infinity or fractions, expected whole numbers")
    pixels = pixels.astype(np.int64)
    if colours:
        return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    if pixels.ndim == 3:
        shown = pixels[..., :3] if mode in ("RGB", "RGBA") else pixels[..., :1]
        if (shown != shown[..., :1]).any():
            raise ValueError(
                f"{path}: got a colour picture (mode {mode}), expected numbers; colours are "
                'written in `values` as "#804080"'
            )
        return np.ascontiguousarray(shown[..., 0])
    return pixels
