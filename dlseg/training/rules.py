"""What a recipe may hold. A complaint names the field, what came, what was expected, the nearest right value."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Sequence
from numbers import Integral, Real
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from dlseg.training.recipe import Recipe

POSITIVE = (
    "crop",
    "batch",
    "iterations",
    "lr",
    "classifier_lr_factor",
    "bias_lr_factor",
    "step_size",
    "gamma",
    "power",
)
SHARES = ("momentum", "dropout")  # 0 ≤ x < 1
NOT_NEGATIVE = ("weight_decay", "classifier_std", "seed")


def check(recipe: Recipe) -> None:
    """Raise TypeError for a value of the wrong kind, ValueError for one out of range."""
    hints = get_type_hints(type(recipe))
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        _check_kind(field.name, value, hints[field.name])
        if value is not None:
            _check_range(field.name, value, field.default)


def _check_kind(name: str, value: Any, hint: Any) -> None:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and type(None) in parts:
        return
    kind = next(part for part in parts if part is not type(None))
    if get_origin(kind) is Literal:
        options = get_args(kind)
        if value not in options or isinstance(value, bool):
            expected = " or ".join(repr(option) for option in options)
            raise ValueError(f"{name}: got {value!r}, expected {expected}{nearest(value, options)}")
        return
    wanted, words = {bool: (bool, "True or False"), int: (Integral, "a whole number")}.get(kind, (Real, "a number"))
    if not isinstance(value, wanted) or (kind is not bool and isinstance(value, bool)):
        raise TypeError(f"{name}: got {value!r}, expected {words}")


def _check_range(name: str, value: Any, default: Any) -> None:
    if name in POSITIVE and not (value > 0 and math.isfinite(value)):
        expected = "more than 0"
    elif name in SHARES and not 0 <= value < 1:
        expected = f"0 ≤ {name} < 1"
    elif name in NOT_NEGATIVE and not (value >= 0 and math.isfinite(value)):
        expected = "0 or more"
    else:
        return
    turned = -value if value < 0 and (name not in SHARES or value > -1) and math.isfinite(value) else default
    raise ValueError(f"{name}: got {value}, expected {expected}; nearest: {turned}")


def check_crop(crop: int, stride: int, offset: int) -> None:
    """Raise ValueError unless the last pixel of a crop is a score position: crop = stride · k + offset + 1."""
    too_much = (crop - offset - 1) % stride
    if too_much:
        below, above = crop - too_much, crop - too_much + stride
        near = below if below > 0 and too_much <= stride // 2 else above
        raise ValueError(
            f"crop: got {crop}, expected {stride}k + {offset + 1}, so that labels decimated as "
            f"[{offset or ''}::{stride}] meet the score positions; nearest: {near}"
        )


def read_object(text: str, known: Sequence[str], what: str = "recipe") -> dict[str, Any]:
    """The JSON object in `text`, whose keys are all known."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{what}: got {type(values).__name__}, expected a JSON object of {', '.join(known)}")
    if unknown := sorted(set(values) - set(known)):
        hints = "".join(nearest(key, known) for key in unknown)
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(known)}{hints}")
    return values


def nearest(value: Any, known: Sequence[Any]) -> str:
    """ "; nearest: …" where one of the known words is like the one that came, else nothing."""
    words = [word for word in known if isinstance(word, str)]
    found = difflib.get_close_matches(str(value), words, 1, 0.5)
    if not found:  # "learning_rate" is not spelled like "lr", but abbreviated so
        found = [w for w in words if w == "".join(part[:1] for part in str(value).split("_"))]
    return f"; nearest: {found[0]}" if found else ""
