"""What comes in is checked here, once: every mistake is one exception naming argument, value and need.

Nothing is changed in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.crf.lattice.jit import simplex
from dlseg.crf.lattice.threads import parts, share
from dlseg.crf.params import CRFParams

UNKNOWN = 255
MOST_BANDS = simplex.MOST - 2  # beside the position: the image's, and the features' with them
BLOCK = 8192  # pixels looked at together: their labels stay in the cache
CLIP = np.float32(1e-5)  # probabilities below it count as it: -log 0 would rule a label out for ever


def to_numpy(name: str, value: Any) -> np.ndarray:
    """Any array-like as a numpy array, without a copy where there is a choice."""
    if isinstance(value, Tensor):
        if value.is_meta:
            raise TypeError(f'{name}: got a tensor on "meta", a device without values, expected one with values')
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    array = np.asarray(value)
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got {type(value).__name__} of {array.dtype}, expected an array of numbers")
    return array


def checked_image(image: Any) -> Float[np.ndarray, "H W c"]:
    """The image as float32 colours in 0..255, shape (H, W, bands)."""
    array = to_numpy("image", image)
    _check_image_shape(array)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == np.uint8:
        return array.astype(np.float32)
    if array.dtype.kind == "b":
        raise TypeError("image: got bool, expected colours 0..255 as uint8")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):
        raise ValueError(f"image: got values from {low:g} to {high:g}, expected colours 0..255; "
                         "give the raw image, not one with the mean subtracted; other measurements: features=")
    if array.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(f"image: got values up to {high:g}, expected colours 0..255; multiply by 255")
    return array.astype(np.float32)


def _check_image_shape(array: np.ndarray) -> None:
    many = array.ndim == 3 and array.shape[2] > MOST_BANDS
    if array.ndim in (2, 3) and 0 not in array.shape and not many:
        return
    hint = ""
    if many and array.shape[0] <= MOST_BANDS:
        hint = "; move the channels last: transpose(1, 2, 0)"
    raise ValueError(f"image: got shape {array.shape}, expected (H, W), (H, W, 3), RGB, or another number of bands "
                     f"up to {MOST_BANDS}{hint}")


def checked_scores(name: str, scores: Any, size: tuple[int, int]) -> Float[np.ndarray, "C H W"]:
    """Probabilities or logits as floats of shape (C, H, W), C >= 2, as large as the image; values unchecked."""
    array = to_numpy(name, scores)
    expected = f"expected (C, {size[0]}, {size[1]}), labels first and as large as the image"
    if array.ndim != 3:
        hint = "; for a foreground map use dlseg.crf.binary" if array.ndim == 2 else ""
        raise ValueError(f"{name}: got shape {array.shape}, {expected}{hint}")
    if array.shape[1:] != size:
        raise ValueError(f"{name}: got shape {array.shape}, {expected}{_shape_hint(array.shape, size)}")
    if array.shape[0] < 2:
        raise ValueError(f"{name}: got one label, expected two or more; for a foreground map: crf.binary")
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: got {array.dtype}, expected floating point; for a label map use labels=")
    return array


def _shape_hint(shape: tuple[int, ...], size: tuple[int, int]) -> str:
    if shape[:2] == size:
        return "; move the labels first: transpose(2, 0, 1)"
    if shape[1:] == size[::-1]:
        return "; height and width are swapped"
    return "; upsample the score map, or crop padding away, first"


def clipped(name: str, scores: Float[np.ndarray, "C H W"], threads: int) -> Float32[np.ndarray, "C N"]:
    """Probabilities, at least CLIP each, from checked_scores' "probs", or from "logits" by softmax."""
    flat = scores.reshape(len(scores), -1)
    out = np.empty(flat.shape, np.float32)

    def work(start: int, stop: int) -> bool:
        return _clip_block(name, flat[:, start:stop], out[:, start:stop])

    with np.errstate(all="ignore"):  # what overflows or is no number is found by the checks
        good = all(share(work, parts(flat.shape[1], size=BLOCK), threads))
    if not good:
        _complain(name, flat, scores.shape[2])
    return out


def _clip_block(name: str, block: np.ndarray, out: np.ndarray) -> bool:
    """Writes a few pixels' clipped probabilities; False where `block` holds what _complain has words for."""
    low, high = block.min(), block.max()
    if name == "logits":
        exponentials = np.exp((block - block.max(axis=0)).astype(np.float32, copy=False))
        np.divide(exponentials, exponentials.sum(axis=0), out=out)
        np.maximum(out, CLIP, out=out)
        return bool(np.isfinite(low) and np.isfinite(high))
    slack = _slack(block.dtype)
    total = block.sum(axis=0, dtype=np.float32)
    np.maximum(block, CLIP, out=out, casting="same_kind")
    return bool(low >= -slack and high <= 1 + slack and np.abs(total - 1).max() <= slack)


def traced(name: str, unary: Any, kernel: str) -> Tensor | None:
    """The unary, where it has a gradient to carry or is not on the CPU."""
    if not isinstance(unary, Tensor) or not (unary.requires_grad or unary.device.type != "cpu"):
        return None
    if kernel != "lattice":
        if unary.requires_grad:
            raise ValueError(f'{name}: got a tensor that requires a gradient with kernel="{kernel}", expected '
                             'kernel="lattice" or a detached tensor')
        return None
    return unary


def _slack(dtype: np.dtype) -> float:
    return 1e-2 if dtype == np.float16 else 1e-3


def _complain(name: str, flat: np.ndarray, width: int) -> None:
    pixels = flat.shape[1]
    bad = int(np.count_nonzero(~np.isfinite(flat).all(axis=0)))
    if bad:
        raise ValueError(f"{name}: got NaN or infinity at {bad} of {pixels} pixels, expected none")
    low, high, slack = float(flat.min()), float(flat.max()), _slack(flat.dtype)
    if low < -slack or high > 1 + slack:
        raise ValueError(f"{name}: got values from {low:g} to {high:g}, expected probabilities 0..1; "
                         "for raw scores use logits=")
    total = flat.sum(axis=0, dtype=np.float32)
    wrong = np.flatnonzero(np.abs(total - 1) > slack)
    row, col = divmod(int(wrong[0]), width)
    raise ValueError(f"{name}: got sums other than 1 at {len(wrong)} of {pixels} "
                     f"pixels (at row {row}, column {col}: {total[wrong[0]]:g}), expected 1 everywhere")


def label_probabilities(labels: Any, size: tuple[int, int], num_classes: int | None,
                        confidence: Any) -> Float32[np.ndarray, "C N"]:
    """Labels or scribbles as probabilities: `confidence` for the given label, even odds at unknown (255)."""
    array = to_numpy("labels", labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels: got {array.dtype}, expected whole numbers, {UNKNOWN} where unknown")
    if array.shape != size:
        raise ValueError(f"labels: got shape {array.shape}, expected {size}, as large as the image")
    known = array != UNKNOWN
    if not known.any() or array.min() < 0:
        raise ValueError(f"labels: got values {np.unique(array)[:5].tolist()}…, expected 0, 1, … at some "
                         f"pixels and {UNKNOWN} where unknown")
    largest = int(array[known].max())
    count = max(largest + 1, 2) if num_classes is None else _checked_classes(num_classes, largest)
    sure = _checked_confidence(confidence, known, count)
    one_hot = np.arange(count)[:, None, None] == array
    probs = np.where(one_hot, sure, (1 - sure) / (count - 1))
    return np.where(known, probs, 1 / count).astype(np.float32).reshape(count, -1)


def _checked_confidence(confidence: Any, known: np.ndarray, count: int) -> np.ndarray:
    """A number or one for each pixel; what it says where no label is known is not looked at."""
    array = to_numpy("confidence", confidence).astype(np.float64)
    if array.shape not in ((), known.shape):
        raise ValueError(f"confidence: got shape {array.shape}, expected a number or {known.shape}")
    low, high = (float(f(np.broadcast_to(array, known.shape)[known])) for f in (np.min, np.max))
    if not (low > 1 / count and high < 1):
        got = f"{low:g}" if low == high and array.ndim == 0 else f"{low:g} to {high:g}"
        raise ValueError(f"confidence: got {got}, expected more than 1/{count} and less than 1")
    return array


def _checked_classes(num_classes: int, largest: int) -> int:
    if num_classes < max(2, largest + 1) or num_classes > UNKNOWN:
        raise ValueError(f"num_classes: got {num_classes}, expected {max(2, largest + 1)} to {UNKNOWN}")
    return int(num_classes)


def binary(foreground: Any) -> Float[np.ndarray, "2 H W"]:
    """Two labels from one foreground map: ``probs=binary(p)`` with p (H, W) in 0..1."""
    array = to_numpy("foreground", foreground)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"foreground: got {array.dtype}, shape {array.shape}, expected floats (H, W)")
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"foreground: got {array.min():g} to {array.max():g}, expected 0..1")
    return np.stack([1 - array, array]).astype(np.float32)


def checked_compatibility(matrix: Any, classes: int) -> Float[np.ndarray, "C C"] | None:
    """Label compatibilities as float32 costs; None is Potts (1 between unlike labels, 0 between like)."""
    if matrix is None:
        return None
    array = to_numpy("compatibility", matrix)
    if array.shape != (classes, classes):
        raise ValueError(f"compatibility: got shape {array.shape}, expected ({classes}, {classes})")
    array = array.astype(np.float32)
    if not np.isfinite(array).all() or np.abs(array).max() > 1e6:
        raise ValueError("compatibility: got NaN or values beyond 1e6, expected finite costs")
    if not np.allclose(array, array.T):
        raise ValueError("compatibility: got a matrix unlike its transpose, expected mu(a, b) = mu(b, a)")
    return array


def checked_params(params: Any) -> CRFParams:
    """CRFParams or a clear TypeError."""
    if not isinstance(params, CRFParams):
        raise TypeError(f"params: got {type(params).__name__}, expected CRFParams(w1=…, sigma_alpha=…, …)")
    return params


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the first axis."""
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)
