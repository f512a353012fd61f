"""Labels and scribbles as probabilities; stray values, masks and voids are told apart, none of them silently."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.common.constants import VOID
from dlseg.crf.params import Whole
from dlseg.crf.validation import CLIP, check_room, to_numpy

NAMED = 5  # so many stray values are named in a message


def label_probabilities(
    labels: Any, size: tuple[int, int], num_classes: Whole | None, confidence: Any, unknown: Whole | None = VOID
) -> Float32[np.ndarray, "C N"]:
    """Labels or scribbles as probabilities: `confidence` for the given label, even odds where it is `unknown`.

    Where `unknown` is a number amid the labels, it is none of them: its probability is CLIP everywhere.
    """
    array = _checked_labels(labels, size)
    unknown = None if array.dtype.kind == "b" else _checked_unknown(unknown)
    array = array.astype(np.uint8) if array.dtype.kind == "b" else array
    known = np.full(size, True) if unknown is None else array != unknown
    given = array[known]
    if not given.size or given.min() < 0:
        where = "" if unknown is None else f" at some pixels and {unknown} where unknown"
        raise ValueError(
            f"labels: got values {np.unique(array)[:NAMED].tolist()}…, expected 0, 1, …{where}; "
            "unknown= says which value means that"
        )
    count = _number_of_labels(given, num_classes, unknown)
    void = unknown if unknown is not None and 0 <= unknown < count else None
    others = count - 1 if void is None else count - 2
    sure = _checked_confidence(confidence, known, others + 1)
    check_room("labels" if num_classes is None else "num_classes", count, size)
    probs = np.empty((count, array.size), np.float32)
    probs[:] = (1 - sure) / others
    probs[:, ~known.ravel()] = 1 / (others + 1)
    probs[given, np.flatnonzero(known)] = sure[known.ravel()]
    if void is not None:
        probs[void] = CLIP
    return probs


def _checked_labels(labels: Any, size: tuple[int, int]) -> np.ndarray:
    array = to_numpy("labels", labels)
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"labels: got {array.dtype}, expected whole numbers; .astype(int) makes them, and for "
            "probabilities there is probs="
        )
    if array.shape != size:
        hint = ""
        if array.ndim == 3 and array.shape[:2] == size:
            hint = "; labels[..., 0]" if array.shape[2] == 1 else "; one number a pixel, not a colour"
        elif array.ndim == 3 and array.shape[1:] == size:
            hint = "; labels[0]" if array.shape[0] == 1 else "; labels.argmax(0) if it is one plane a label"
        elif array.shape == size[::-1]:
            hint = "; height and width are swapped"
        raise ValueError(f"labels: got shape {array.shape}, expected {size}, as large as the image{hint}")
    return array


def refuse_mask(labels: Any, num_classes: Whole | None, unknown: Whole | None) -> None:
    """An error for labels that are 0 and 255 only: a mask's foreground would count as unknown, silently.

    With num_classes=2 they may as well be strokes on the background alone; that is accepted, with a warning.
    """
    array = to_numpy("labels", labels)
    if array.dtype.kind not in "iu" or num_classes not in (None, 2):
        return
    high = array == VOID
    if not high.any() or high.all() or array[~high].any():
        return
    mask = "labels=mask > 0 makes it background and foreground, probs=binary(mask / 255) takes it as probabilities"
    if num_classes is None or unknown != VOID:
        raise ValueError(
            f"labels: got 0 and 255 only, as in a mask, expected labels 0, 1, …; {mask}; if 255 does mean unknown "
            "here, mark pixels of another label too, or say num_classes"
        )
    warnings.warn(
        f"labels: got 0 and 255 only with num_classes=2: 255 counts as unknown. If this is a mask, {mask}; if not, "
        "labels=np.where(labels == 255, -1, 0) with unknown=-1 says so without this warning",
        stacklevel=3,
    )


def _checked_unknown(unknown: Whole | None) -> int | None:
    if unknown is None:
        return None
    if isinstance(unknown, bool) or not isinstance(unknown, Integral):
        raise TypeError(f"unknown: got {unknown!r}, expected a whole number, or None where every label is known")
    return int(unknown)


def _checked_confidence(confidence: Any, known: np.ndarray, labels: int) -> np.ndarray:
    """One number for each pixel, (N,); what it says where no label is known is not looked at."""
    expected = f"expected more than 1/{labels} and less than 1"
    if isinstance(confidence, bool | str):
        raise TypeError(f"confidence: got {confidence!r}, {expected}")
    array = to_numpy("confidence", confidence).astype(np.float64)
    if array.shape not in ((), known.shape):
        raise ValueError(f"confidence: got shape {array.shape}, expected a number or {known.shape}")
    sure = np.broadcast_to(array, known.shape)
    low, high = float(sure[known].min()), float(sure[known].max())
    if not (low > 1 / labels and high < 1):
        got = f"{low:g}" if low == high and array.ndim == 0 else f"{low:g} to {high:g}"
        raise ValueError(f"confidence: got {got}, {expected}")
    return sure.ravel()


def _number_of_labels(given: np.ndarray, num_classes: Whole | None, unknown: int | None) -> int:
    """C: what `num_classes` says, else one more than the largest label given; at least two labels."""
    largest = int(given.max())
    if num_classes is None:
        _refuse_strays(given, largest, unknown)
        count = max(largest + 1, 2)
        return 3 if count == 2 and unknown in (0, 1) else count
    least = 3 if unknown in (0, 1) else 2
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral):
        raise TypeError(f"num_classes: got {num_classes!r}, expected a whole number from {least}")
    if num_classes < least:
        raise ValueError(f"num_classes: got {num_classes}, expected {least} or more")
    if num_classes > VOID == unknown:
        raise ValueError(
            f"num_classes: got {num_classes} where {VOID} means unknown, expected at most "
            f"{VOID}; unknown=-1, or any value that is no label, makes room for more"
        )
    if largest >= num_classes:
        raise ValueError(
            f"num_classes: got {num_classes}, expected {largest + 1} or more: labels has "
            f"{_counted(given, int(num_classes))}"
        )
    return int(num_classes)


def _refuse_strays(given: np.ndarray, largest: int, unknown: int | None) -> None:
    """An error for labels far beyond the others, each of which would take a map of the image's size."""
    if largest <= VOID:
        return
    if unknown == VOID:
        raise ValueError(
            f"labels: got {_counted(given, VOID)} where {VOID} means unknown, expected labels "
            f"below {VOID}; set stray ones to {VOID}; for more labels say unknown=-1, or any "
            "value that is no label, and num_classes="
        )
    values = np.unique(given)
    if largest + 1 > 2 * len(values):
        after = int(np.argmax(np.diff(values, prepend=0)))
        raise ValueError(
            f"labels: got {_counted(given, int(values[after]))}, far above the others, expected "
            f"0, 1, …; if there are so many labels, say num_classes={largest + 1}"
        )


def _counted(given: np.ndarray, least: int) -> str:
    """The labels from `least` on, and at how many pixels each is."""
    values, counts = np.unique(given[given >= least], return_counts=True)
    named = [
        f"{value} at {pixels} {'pixel' if pixels == 1 else 'pixels'}"
        for value, pixels in zip(values[:NAMED].tolist(), counts.tolist(), strict=False)
    ]
    return ", ".join(named) + (f" and {len(values) - NAMED} more" if len(values) > NAMED else "")
