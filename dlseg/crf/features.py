"""What two pixels are compared by: position, the image's bands, and any other measurements (paper, section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.crf.params import LARGEST, SMALLEST_SIGMA, CRFParams, both
from dlseg.crf.validation import MOST_BANDS, to_numpy

TINY = 1e-20  # Krähenbühl and Koltun's guard against a division by zero
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
    scaled = array.astype(np.float64)
    scaled = (scaled - scaled.min(axis=(0, 1))) / float(sigma)
    if scaled.max() > LARGEST:
        raise ValueError(f"{name}: got values {scaled.max():g} sigmas apart, expected at most {LARGEST:g}")
    return scaled.astype(np.float32)


def appearance_sigmas(params: CRFParams, bands: int, extra: int) -> tuple[float, ...]:
    """Lengths of x, y, every band, and of further features, which are in units of their sigmas already."""
    y, x = both(params.sigma_alpha)
    return x, y, *[params.sigma_beta] * bands, *[1.0] * extra


def smoothness_sigmas(params: CRFParams) -> tuple[float, float]:
    """Lengths of x and y."""
    y, x = both(params.sigma_gamma)
    return x, y


def columns(image: Float32[np.ndarray, "H W c"], extra: Extra | None) -> Float32[np.ndarray, "N d"]:
    """Every pixel's bands and features, side by side."""
    together = image if extra is None or extra.shape[2] == 0 else np.concatenate([image, extra], axis=2)
    return together.reshape(-1, together.shape[2])


def normalization_scales(row_sums: Any, normalization: str) -> tuple[Any, Any]:
    """What a kernel matrix is multiplied by from the left and from the right, for any array type.

    Args:
        row_sums: (…, N) of the kernel matrix as it is.
        normalization: as in `CRFParams`.

    Returns:
        Of receiving and of sending pixels: both like row_sums; the same object where the matrix stays symmetric.

    >>> normalization_scales(np.array([2.0, 4.0]), "after")
    (array([0.5 , 0.25]), array([1., 1.]))
    """
    degree, one = row_sums + TINY, row_sums * 0 + 1
    if normalization == "symmetric":
        root = 1 / degree**0.5
        return root, root
    if normalization == "none":
        return one, one
    return (1 / degree, one) if normalization == "after" else (one, 1 / degree)
