"""Inputs are checked here, once: a mistake is one exception that names the argument, what came, what was expected.

Nothing is changed in place.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.crf.lattice.jit import lattice_points
from dlseg.crf.lattice.threads import parallel, parts
from dlseg.crf.params import CRFParams

MOST_PROBABILITIES = 2**31  # of one unary, 8 GiB
MOST_BANDS = lattice_points.MOST - 2  # the image's and the features' together; two more are the position
BLOCK = 8192  # pixels checked together: their labels stay in the cache
CLIP = np.float32(1e-5)  # probabilities below it count as it: -log 0 would rule a label out for ever


def to_numpy(name: str, value: Any) -> np.ndarray:
    """Any array-like as a numpy array, without a copy where there is a choice."""
    _refuse_turned_picture(name, value)
    if isinstance(value, Tensor):
        if value.is_meta:
            raise TypeError(f'{name}: got a tensor on "meta", a device without values, expected one with values')
        value = value.detach().cpu()
        if value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64):
            value = value.float()  # numpy has no bfloat16
        array = (value if value.layout == torch.strided else value.to_dense()).numpy()
    elif isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, expected a plain one; .filled(…) says what counts instead")
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:  # rows of several lengths
            raise TypeError(
                f"{name}: got {type(value).__name__}, expected an array of numbers ({error})"
            ) from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got {type(value).__name__} of {array.dtype}, expected an array of numbers")
    return array


def _picture_class() -> Any:
    """Pillow's class of pictures; where it was not imported there is no picture of its."""
    pillow = sys.modules.get("PIL.Image")
    return () if pillow is None else pillow.Image


def _refuse_turned_picture(name: str, value: Any) -> None:
    """An error for a picture whose EXIF tag says to turn or mirror it: numpy would read it as it is stored.

    Whether the scores belong to the stored or to the turned picture only the caller knows; half a turn would not
    even show in the size.
    """
    if isinstance(value, _picture_class()) and (orientation := value.getexif().get(0x0112, 1)) not in (0, 1):
        raise ValueError(
            f"{name}: got a picture that its EXIF tag says to turn (orientation {orientation}), expected one as it "
            "is to be seen, or an array; dlseg.images.read_image and PIL.ImageOps.exif_transpose(image) turn it, "
            "np.asarray(image) takes it as it is stored: as the network saw it"
        )


def checked_image(image: Any) -> Float[np.ndarray, "H W c"]:
    """The image as float32 colours in 0..255, shape (H, W, bands)."""
    _check_mode(image)
    array = to_numpy("image", image)
    _check_image_shape(array)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8:
        _check_colours(array)
    return array.astype(np.float32)


MODES = {
    "1": "black and white",
    "P": "numbers of colours in a palette",
    "PA": "numbers of colours, and alpha",
    "LA": "grey and alpha",
    "La": "grey and alpha",
    "RGBA": "RGB and alpha",
    "RGBa": "RGB and alpha",
    "RGBX": "RGB and a fourth channel",
    "CMYK": "ink",
    "YCbCr": "no RGB",
    "LAB": "no RGB",
    "HSV": "no RGB",
}


def _check_mode(image: Any) -> None:
    """Refuses Pillow's pictures whose numbers are no colours; as arrays some would be taken for RGB or grey."""
    if isinstance(image, _picture_class()) and image.mode in MODES:
        raise ValueError(
            f'image: got a picture of mode "{image.mode}" ({MODES[image.mode]}), expected mode "RGB": '
            'image.convert("RGB")'
        )


def _check_image_shape(array: np.ndarray) -> None:
    shape = array.shape
    if array.ndim in (2, 3) and 0 not in shape and not (array.ndim == 3 and shape[2] > MOST_BANDS):
        return
    raise ValueError(
        f"image: got shape {shape}, expected (H, W), (H, W, 3), RGB, or another number of bands "
        f"up to {MOST_BANDS}{_image_hint(shape)}"
    )


def _image_hint(shape: tuple[int, ...]) -> str:
    """What an image of a wrong shape probably is, and what to do; empty where that is not clear."""
    if 0 in shape:
        return ", of at least one pixel"
    if len(shape) == 4:
        many = "one image at a time" if shape[0] > 1 else "no batch axis"
        turned = shape[1] <= MOST_BANDS < shape[3]
        return f"; {many}: image[0]{'.transpose(1, 2, 0)' if turned else ''}"
    if len(shape) == 3 and shape[0] == 1:
        return "; the one grey channel comes first: image[0]"
    if len(shape) == 3 and shape[0] <= MOST_BANDS:
        return "; move the channels last: image.transpose(1, 2, 0)"
    return ""


def _check_colours(array: np.ndarray) -> None:
    expected = "expected colours 0..255"
    if array.dtype.kind == "b":
        raise TypeError(f"image: got bool, {expected} as uint8")
    bad = int(np.count_nonzero(~np.isfinite(array).all(axis=-1)))
    if bad:
        raise ValueError(f"image: got NaN or infinity at {bad} pixels, {expected}")
    low, high = float(array.min()), float(array.max())
    if low < 0:
        hint = "for one scaled to -1..1, (image + 1) * 127.5; " if low >= -1 and high <= 1 else ""
        raise ValueError(
            f"image: got values from {low:g} to {high:g}, {expected}; {hint}"
            "give the raw image, not one with the mean subtracted; other measurements: features="
        )
    if high > 255:
        raise ValueError(
            f"image: got values up to {high:g} ({array.dtype}), {expected}; scale what has more than "
            "8 bits: image / 257 for 16-bit colours, image * (255 / 4095) for 12-bit ones"
        )
    if array.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(f"image: got values up to {high:g}, {expected}; multiply by 255")


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
    check_size(name, array.shape[0], size)
    return array


def check_size(name: str, classes: int, size: tuple[int, int]) -> None:
    """Refuses what would need more memory than there is, before that is asked for."""
    numbers = classes * size[0] * size[1]
    if numbers > MOST_PROBABILITIES:
        raise ValueError(
            f"{name}: got {classes} labels at {size[0]} x {size[1]} pixels, {4 * numbers / 2**30:.0f} "
            f"GiB of probabilities, expected at most {4 * MOST_PROBABILITIES / 2**30:.0f}; "
            "use fewer labels, or a smaller image"
        )


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

    with np.errstate(all="ignore"):  # the checks find what overflows or is no number
        good = all(parallel(work, parts(flat.shape[1], size=BLOCK), threads))
    if not good:
        _raise_fault(name, flat, scores.shape[2])
    return out


def _clip_block(name: str, block: np.ndarray, out: np.ndarray) -> bool:
    """Writes a few pixels' clipped probabilities; False where `block` holds what _raise_fault reports."""
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


def checked_tensor(name: str, unary: Any, kernel: str) -> Tensor | None:
    """The unary as a tensor, where it has a gradient to carry or is not on the CPU; else None."""
    if not isinstance(unary, Tensor) or not (unary.requires_grad or unary.device.type != "cpu"):
        return None
    if kernel != "lattice":
        if unary.requires_grad:
            raise ValueError(
                f'{name}: got a tensor that requires a gradient with kernel="{kernel}", expected '
                'kernel="lattice" or a detached tensor'
            )
        return None
    return unary


def _slack(dtype: np.dtype) -> float:
    return 1e-2 if dtype == np.float16 else 1e-3


def _raise_fault(name: str, flat: np.ndarray, width: int) -> None:
    pixels = flat.shape[1]
    bad = int(np.count_nonzero(~np.isfinite(flat).all(axis=0)))
    if bad:
        raise ValueError(f"{name}: got NaN or infinity at {bad} of {pixels} pixels, expected none")
    low, high, slack = float(flat.min()), float(flat.max()), _slack(flat.dtype)
    if low < -slack or high > 1 + slack:
        raise ValueError(
            f"{name}: got values from {low:g} to {high:g}, expected probabilities 0..1; for raw scores use logits="
        )
    total = flat.sum(axis=0, dtype=np.float32)
    wrong = np.flatnonzero(np.abs(total - 1) > slack)
    row, col = divmod(int(wrong[0]), width)
    raise ValueError(
        f"{name}: got sums other than 1 at {len(wrong)} of {pixels} "
        f"pixels (at row {row}, column {col}: {total[wrong[0]]:g}), expected 1 everywhere"
    )


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
