"""From what is known of an image's labels to probabilities: labels and scribbles, foreground maps, class activation
maps, votes. Masks, void and stray values are told apart, none of them silently.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.common.constants import VOID
from dlseg.crf.params import Number, Whole
from dlseg.crf.validation import CLIP, check_size, to_numpy

NAMED = 5  # so many stray values are named in a message


def binary(foreground: Any) -> Float[np.ndarray, "2 H W"]:
    """Two labels, background and foreground, from one map of the foreground's probability.

    Args:
        foreground: (H, W) floats from 0 to 1.

    Returns:
        (2, H, W) float32, as DenseCRF's `probs` takes it.

    Raises:
        ValueError: another shape, type or range.

    >>> binary(np.array([[0.25, 1.0]])).tolist()
    [[[0.75, 0.0]], [[0.25, 1.0]]]
    """
    array = to_numpy("foreground", foreground)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind != "f":
        raise ValueError(f"foreground: got {array.dtype}, shape {array.shape}, expected floats (H, W)")
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"foreground: got {array.min():g} to {array.max():g}, expected 0..1")
    return np.stack([1 - array, array]).astype(np.float32)


def from_cams(cams: Any, *, threshold: Number | None = None, power: Number | None = None) -> Any:
    """Probabilities of background and classes from class activation maps; label 0 is the background.

    Every pixel's scores, the background's and the classes', are divided by their sum. Torch in, torch out, with a
    gradient.

    Args:
        cams: (C, H, W) activations 0..1, one map for each class: negative ones cut off, each divided by its
            largest, 0 throughout where the image is known not to hold the class.
        threshold: the background's score at every pixel, 0..1; a class wins where it scores more. Either this, or
        power: the background scores (1 - the largest activation) to this power; a larger one leaves less to it.

    Returns:
        (C + 1, H, W) float32.

    Raises:
        TypeError, ValueError: for anything else; the message names the argument.

    >>> cams = np.array([[[0.9, 0.1]]])
    >>> from_cams(cams, threshold=0.3).round(2)
    array([[[0.25, 0.75]],
    <BLANKLINE>
           [[0.75, 0.25]]], dtype=float32)
    """
    scores = _maps("cams", cams, least=1).to(torch.float32)
    low, high = scores.detach().min().item(), scores.detach().max().item()
    if not (low >= 0 and high <= 1):  # also where there is a NaN
        raise ValueError(
            f"cams: got values from {low:g} to {high:g}, expected 0..1: cut off what is negative and "
            "divide each map by its largest value"
        )
    if (threshold is None) == (power is None):
        raise TypeError(f"threshold, power: got {'none' if power is None else 'both'}, expected one")
    if threshold is not None:
        _check_share("threshold", threshold, 1.0)
        background = torch.full_like(scores[:1], float(threshold))
    else:
        _check_share("power", power, float("inf"))
        background = (1 - scores.amax(0, keepdim=True)) ** float(power or 0)
    shares = torch.cat([background, scores])
    return _like(cams, shares / shares.sum(0).clamp(min=1e-12))


def soft_labels(shares: Any) -> Any:
    """Probabilities from labels that are soft, or that name several.

    Every pixel's shares are divided by their sum; where all are 0, all labels are equally probable. Torch in, torch
    out.

    Args:
        shares: (C, H, W), how much speaks for each label of a pixel, 0 or more: a distribution, votes, or bools
            that say which labels are possible.

    Returns:
        (C, H, W) float32.

    Raises:
        ValueError: another shape, a negative share, NaN or infinity.

    >>> soft_labels(np.array([[[3, 0]], [[1, 0]]])).tolist()  # three votes to one, no vote at all
    [[[0.75, 0.5]], [[0.25, 0.5]]]
    """
    amounts = _maps("shares", shares, least=2)
    low, high = amounts.detach().min().item(), amounts.detach().max().item()
    if not (low >= 0 and high < float("inf")):
        raise ValueError(f"shares: got values from {low:g}, or NaN or infinity, expected finite numbers >= 0")
    most = amounts.detach().amax(0)
    # in units of the largest of a pixel, so that no sum is too small or too large for its type
    amounts = torch.where(most > 0, amounts / torch.where(most > 0, most, 1), 1)
    return _like(shares, (amounts / amounts.sum(0)).to(torch.float32))


def _maps(name: str, value: Any, least: int) -> Tensor:
    array = to_numpy(name, value)
    if array.ndim != 3 or 0 in array.shape or array.shape[0] < least:
        raise ValueError(f"{name}: got shape {array.shape}, expected (C, H, W), C at least {least}")
    if isinstance(value, Tensor):
        return value if value.dtype == torch.float64 else value.to(torch.float32)
    # a copy in float64: torch takes no memory that is read-only, in another byte order or of longer floats
    return torch.from_numpy(array.astype(np.float64))


def _check_share(name: str, value: Any, most: float) -> None:
    if isinstance(value, (bool, str)) or np.ndim(value) != 0:
        raise TypeError(f"{name}: got {value!r}, expected a number")
    if not 0 < float(value) < most:
        raise ValueError(f"{name}: got {value!r}, expected more than 0 and less than {most:g}")


def _like(given: Any, found: Tensor) -> Any:
    return found if isinstance(given, Tensor) else found.numpy()


def label_probabilities(
    labels: Any, size: tuple[int, int], num_classes: Whole | None, confidence: Any, unknown: Whole | None = VOID
) -> Float32[np.ndarray, "C N"]:
    """Labels or scribbles as probabilities, the arguments as `DenseCRF` takes them.

    Args:
        labels: (H, W) whole numbers or bools.
        size: H and W of the image.
        num_classes: C, or None for one more than the largest label given.
        confidence: the given label's probability, a number or (H, W).
        unknown: the value of pixels whose label is not known: there all labels are equally probable. Where it is
            one of the numbers 0 to C - 1, it is no label, and its probability is CLIP everywhere.

    Returns:
        (C, H W) float32.

    Raises:
        TypeError, ValueError: what does not fit, named.

    >>> label_probabilities(np.array([[0, 1, 255]]), (1, 3), None, 0.9).round(2)
    array([[0.9, 0.1, 0.5],
           [0.1, 0.9, 0.5]], dtype=float32)
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
    check_size("labels" if num_classes is None else "num_classes", count, size)
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
