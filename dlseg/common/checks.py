"""Checks of what users give, all in one dialect: `name: got X, expected Y`, then what is near or what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def message(name: str, got: object, expected: str, fix: str = "") -> str:
    """The one form of a complaint.

    >>> message("rate", 0, "a whole number >= 1")
    'rate: got 0, expected a whole number >= 1'
    >>> message("crop", 300, "8k + 1", "nearest: 297")
    'crop: got 300, expected 8k + 1; nearest: 297'
    """
    return f"{name}: got {got}, expected {expected}" + (f"; {fix}" if fix else "")


def whole_number(name: str, value: Any, low: int = 0, high: int | None = None) -> int:
    """`value` as an int from `low` to `high`.

    Raises:
        TypeError: it is no whole number (True and 2.0 are none).
        ValueError: it is out of range.

    >>> whole_number("rate", 12, low=1)
    12
    """
    expected = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(message(name, f"{value!r} ({type(value).__name__})", expected))
    whole = int(value)
    if whole < low or (high is not None and whole > high):
        raise ValueError(message(name, whole, expected))
    return whole


def number(name: str, value: Any, low: float | int = -math.inf, high: float | int = math.inf) -> float:
    """`value` as a finite float from `low` to `high`.

    Raises:
        TypeError: it is no number (True is none).
        ValueError: it is out of range, infinite or not a number.

    >>> number("w1", 5, low=0)
    5.0
    """
    if (low, high) == (-math.inf, math.inf):
        expected = "a finite number"
    else:
        expected = f"a number >= {low:g}" if high == math.inf else f"a number from {low:g} to {high:g}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(message(name, f"{value!r} ({type(value).__name__})", expected))
    try:
        found = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        found = -math.inf if value < 0 else math.inf
    if not (math.isfinite(found) and low <= found <= high):
        raise ValueError(message(name, found, expected))
    return found


def one_of(name: str, value: Any, options: Sequence[Any]) -> Any:
    """`value`, which is one of `options`.

    Raises:
        ValueError: it is none of them; the message names the nearest.
    """
    if not any(type(option) is type(value) and option == value for option in options):
        expected = " or ".join(map(repr, options)) if len(options) < 3 else f"one of {', '.join(map(str, options))}"
        raise ValueError(message(name, repr(value), expected) + nearest(value, options))
    return value


def rgb_image(name: str, image: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """`image`, which is a numpy array (H, W, 3) of uint8, of `size` (H, W) where one is given.

    Raises:
        TypeError: it is no numpy array.
        ValueError: its shape or its type is another.
    """
    expected = "(H, W, 3) of uint8" if size is None else f"{(*size, 3)} of uint8"
    if not isinstance(image, np.ndarray):
        raise TypeError(message(name, type(image).__name__, f"a numpy array {expected}"))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or size not in (None, image.shape[:2]):
        raise ValueError(message(name, f"{image.shape} of {image.dtype}", expected))
    return image


def nearest(value: Any, known: Sequence[Any]) -> str:
    """ "; nearest: …" where one of the known words is like the one that came, else nothing.

    >>> nearest("iteration", ["iterations", "lr"])
    '; nearest: iterations'
    >>> nearest("learning_rate", ["iterations", "lr"])
    '; nearest: lr'
    """
    words = [word for word in known if isinstance(word, str)]
    found = difflib.get_close_matches(str(value), words, 1, 0.5)
    if not found:  # "learning_rate" is not spelled like "lr", but abbreviated so
        found = [w for w in words if w == "".join(part[:1] for part in str(value).split("_"))]
    return f"; nearest: {found[0]}" if found else ""
