"""When is an answer right? Three tiers, declared per test with the reason: shape, statistical, numeric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Tier = Literal["shape", "statistical", "numeric"]


@dataclass(frozen=True)
class Tolerance:
    """How close an answer must be: |own - reference| <= atol + rtol |reference| for enough elements.

    Attributes:
        tier: the kind of comparison.
        because: why this is asked for, as students read it.
        rtol: relative difference allowed.
        atol: absolute difference allowed.
        share: of the elements that must be close, from 0 to 1.
        finite: whether the values must be finite.
    """

    tier: Tier
    because: str
    rtol: float = 0.0
    atol: float = 0.0
    share: float = 1.0
    finite: bool = True


def exact(because: str) -> Tolerance:
    """Not one bit of difference in value: whole numbers, copies.

    Args:
        because: why this is asked for, as students read it.

    Returns:
        The tolerance.

    >>> difference([1, 2], [1, 3], exact("pixels are counted"))
    'the result[1] is 2, expected 3'
    """
    return Tolerance("numeric", because)


def numeric(because: str, rtol: float = 1e-4, atol: float = 1e-5) -> Tolerance:
    """Every element close: the same sum in another order, single against double precision.

    Args:
        because: why this much, as students read it.
        rtol: relative difference allowed.
        atol: absolute difference allowed.

    Returns:
        The tolerance.

    >>> difference(0.3000001, 0.3, numeric("a sum in any order")) is None
    True
    """
    return Tolerance("numeric", because, rtol, atol)


def statistical(because: str, share: float, rtol: float = 1e-4, atol: float = 1e-5) -> Tolerance:
    """At least `share` of the elements close: ties and chaotic steps may fall either way.

    Args:
        because: why, as students read it.
        share: of the elements, from 0 to 1.
        rtol: relative difference allowed.
        atol: absolute difference allowed.

    Returns:
        The tolerance.

    >>> difference([1, 2, 3, 9], np.array([1, 2, 3, 4]), statistical("ties", 0.75)) is None
    True
    """
    return Tolerance("statistical", because, rtol, atol, share)


def shape(because: str) -> Tolerance:
    """Only kind, shape and finiteness: the values are the student's own choice.

    Args:
        because: why, as students read it.

    Returns:
        The tolerance.

    >>> difference(np.ones((2, 3)), np.zeros((2, 2)), shape("any picture"))
    'the result has shape (2, 3), expected (2, 2)'
    """
    return Tolerance("shape", because)


def difference(own: Any, reference: Any, tolerance: Tolerance, where: str = "the result") -> str | None:
    """None where `own` is right, else one sentence: what came, what was expected, where they first differ.

    Both are plain: None, bool, int, float, str, arrays, and lists (for tuples too) or dicts of these.

    Args:
        own: the answer.
        reference: the right answer.
        tolerance: how close it must be.
        where: what the sentence calls the answer.

    Returns:
        None or the sentence.
    """
    if isinstance(reference, dict):
        return _dict_difference(own, reference, tolerance, where)
    if isinstance(reference, list | tuple):
        return _list_difference(own, reference, tolerance, where)
    if reference is None or isinstance(reference, str):
        same = type(own) is type(reference) and own == reference
        return None if same else f"{where} is {_show(own)}, expected {_show(reference)}"
    return _array_difference(own, np.asarray(reference), tolerance, where)


def plain_values(value: Any) -> Any:
    """A value as the comparison wants it: tensors as arrays and tuples as lists, at any depth.

    Args:
        value: of any kind.

    Returns:
        The same, of plain kinds.

    >>> plain_values((1, [2.5]))
    [1, [2.5]]
    """
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return {k: plain_values(v) for k, v in value.items()} if isinstance(value, dict) else value


def _dict_difference(own: Any, reference: dict[str, Any], tolerance: Tolerance, where: str) -> str | None:
    if not isinstance(own, dict) or own.keys() != reference.keys():
        came = f"keys {sorted(own)}" if isinstance(own, dict) else _show(own)
        return f"{where} has {came}, expected a dict with keys {sorted(reference)}"
    found = (difference(own[k], reference[k], tolerance, f"{where}[{k!r}]") for k in reference)
    return next((message for message in found if message), None)


def _list_difference(own: Any, reference: Sequence[Any], tolerance: Tolerance, where: str) -> str | None:
    if isinstance(own, np.ndarray) and own.ndim and len(own) == len(reference):
        own = list(own)  # not before: a list of a large array's elements is many times as large as the array
    if not isinstance(own, list | tuple) or len(own) != len(reference):
        came = f"{len(own)} values" if isinstance(own, list | tuple) else _show(own)
        return f"{where} has {came}, expected {len(reference)} values"
    pairs = enumerate(zip(own, reference, strict=True))
    found = (difference(a, b, tolerance, f"{where}[{i}]") for i, (a, b) in pairs)
    return next((message for message in found if message), None)


def _array_difference(own: Any, reference: np.ndarray, tolerance: Tolerance, where: str) -> str | None:
    if own is None:
        return f"{where} is None: did you forget to return it? Expected {_kind(reference)}"
    if isinstance(own, str | dict):
        return f"{where} is {_show(own)}, expected {_kind(reference)}"
    if isinstance(own, list | tuple) and not reference.ndim:
        return f"{where} has {len(own)} values, expected {_kind(reference)}"
    try:
        own = np.asarray(own)
    except ValueError:
        return f"{where} is a ragged list, expected {_kind(reference)}"
    if own.size == 1 and not reference.ndim:  # an array of one number is that number
        own = own.reshape(())
    wrong = _kind_difference(own, reference, tolerance, where)
    if wrong or tolerance.tier == "shape":
        return wrong
    return _value_difference(own, reference, tolerance, where)


def _kind_difference(own: np.ndarray, reference: np.ndarray, tolerance: Tolerance, where: str) -> str | None:
    if own.dtype.kind not in "biuf":
        return f"{where} holds {own.dtype}, expected {_kind(reference)}"
    if own.shape != reference.shape:
        return f"{where} has shape {own.shape}, expected {reference.shape}"
    whole = reference.dtype.kind in "iu" and bool((own == np.rint(own)).all())  # numpy.ceil gives whole floats
    if own.dtype.kind == "f" and reference.dtype.kind in "biu" and not whole:
        return f"{where} holds {own.dtype} numbers, expected whole ones ({reference.dtype})"
    if (own.dtype.kind == "b") != (reference.dtype.kind == "b"):
        return f"{where} holds {own.dtype}, expected {reference.dtype}"
    bad = ~np.isfinite(own) if tolerance.finite and own.dtype.kind == "f" else np.zeros(own.shape, bool)
    if bad.any():
        index = _first(np.asarray(bad))
        return f"{where} is {own[index]}{_at(index)}: {int(bad.sum())} of {own.size} values are not finite"
    return None


def _value_difference(own: np.ndarray, reference: np.ndarray, tolerance: Tolerance, where: str) -> str | None:
    left, right = own.astype(np.float64), reference.astype(np.float64)
    if own.dtype == np.float32 and reference.dtype == np.float64:
        right = reference.astype(np.float32).astype(np.float64)  # a number that was copied in single precision
    with np.errstate(invalid="ignore", over="ignore"):
        close = (left == right) | (np.abs(left - right) <= tolerance.atol + tolerance.rtol * np.abs(right))
    close |= np.isnan(left) & np.isnan(right)
    if not close.size or close.mean() >= tolerance.share:
        return None
    index, count = _first(np.asarray(~close)), int((~close).sum())
    need = "" if tolerance.share == 1 else f" (at least {tolerance.share:.0%} must agree)"
    many = f"; {count} of {close.size} values differ{need}" if close.ndim else ""
    return f"{where} is {_pair(own[index], reference[index], _at(index))}{many}"


def _pair(own: Any, reference: Any, at: str) -> str:
    """Both numbers, with as many digits as tell them apart."""
    digits = next((d for d in (5, 9) if f"{own:.{d}g}" != f"{reference:.{d}g}"), 17)
    short = [str(v) if v.dtype.kind in "biu" else f"{v:.{digits}g}" for v in (own, reference)]
    return f"{short[0]}{at}, expected {short[1]}"


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def _at(index: tuple[int, ...]) -> str:
    return f" at {list(index)}" if index else ""


def _kind(reference: np.ndarray) -> str:
    return f"an array of shape {reference.shape}" if reference.ndim else f"one number ({reference.dtype})"


def _show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
