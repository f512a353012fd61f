"""What two pixels are compared by: position, the image's bands, and any other measurements (paper, section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.crf.params import LARGEST, SMALLEST_SIGMA, CRFParams, both
from dlseg.crf.validation import MOST_BANDS, to_numpy

Extra = Float32[np.ndarray, "H W K"]  # features in units of their sigmas, each from 0 on


def checked_features(features: Any, size: tuple[int, int], bands: int) -> Extra:
    """[(array (H, W) or (H, W, K), sigma), …] as one array, each column divided by its sigma, its least value 0."""
    expected = "expected a list of (array, sigma)"
    if not isinstance(features, (list, tuple)):
        raise TypeError(f"features: got {type(features).__name__}, {expected}")
    columns = []
    for number, pair in enumerate(features):
        name = f"features[{number}]"
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError(f"{name}: got {type(pair).__name__}, {expected}")
        array = to_numpy(name, pair[0])
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[:2] != size or array.shape[2] == 0:
            raise ValueError(
                f"{name}: got shape {array.shape}, expected {size} or {(*size, 'K')}, as large as the image"
            )
        columns.append(_scaled(name, array, pair[1]))
    extra = np.concatenate([np.zeros((*size, 0), np.float32), *columns], axis=2)
    if bands + extra.shape[2] > MOST_BANDS:
        raise ValueError(
            f"features: got {extra.shape[2]} numbers a pixel beside {bands} of the image, expected at "
            f"most {MOST_BANDS} together"
        )
    return extra


def _scaled(name: str, array: np.ndarray, sigma: Any) -> Extra:
    kind = f"{name}: got sigma {sigma!r}, expected a number from {SMALLEST_SIGMA:g} to {LARGEST:g}"
    if isinstance(sigma, (bool, str)) or np.ndim(sigma) != 0:
        raise TypeError(kind)
    if not SMALLEST_SIGMA <= float(sigma) <= LARGEST:
        raise ValueError(kind)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: got NaN or infinity, expected a number at every pixel")
    wide = array.astype(np.float64)
    wide = (wide - wide.min(axis=(0, 1))) / float(sigma)
    if wide.max() > LARGEST:
        raise ValueError(f"{name}: got values {wide.max():g} sigmas apart, expected at most {LARGEST:g}")
    return wide.astype(np.float32)


def appearance_sigmas(params: CRFParams, bands: int, extra: int) -> tuple[float, ...]:
    """Of x, y, every band, and the columns that are in units of their sigmas."""
    y, x = both(params.sigma_alpha)
    return x, y, *[params.sigma_beta] * bands, *[1.0] * extra


def smoothness_sigmas(params: CRFParams) -> tuple[float, float]:
    """Of x and y."""
    y, x = both(params.sigma_gamma)
    return x, y


def columns(image: Float32[np.ndarray, "H W c"], extra: Extra | None) -> Float32[np.ndarray, "N d"]:
    """Every pixel's bands and features, side by side."""
    beside = image if extra is None or extra.shape[2] == 0 else np.concatenate([image, extra], axis=2)
    return beside.reshape(-1, beside.shape[2])
