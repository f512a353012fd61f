"""Numbers as colours on one colour-blind-safe scale, and the number most worth showing: entropy."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps

from dlseg.common.checks import message

RGB = UInt8[np.ndarray, "H W 3"]
SCALES = ("viridis", "cividis", "magma", "RdBu_r", "gray")  # RdBu_r: differences, white at zero


@cache
def scale_table(name: str = "viridis") -> UInt8[np.ndarray, "256 3"]:
    """A colour scale as 256 RGB rows (read-only), from matplotlib's own tables.

    Args:
        name: of one of matplotlib's colour scales.

    Returns:
        (256, 3) uint8.
    """
    if name not in SCALES:
        raise ValueError(message("scale", repr(name), f"one of {', '.join(SCALES)}"))
    table = np.asarray(colormaps[name](np.arange(256), bytes=True)[:, :3])
    table.flags.writeable = False
    return table


def faded_table(name: str = "viridis") -> UInt8[np.ndarray, "256 4"]:
    """The scale as 256 rows of RGBA: clear at its low end, full from two fifths on."""
    return np.column_stack([scale_table(name), np.clip(np.arange(256) * 2.5, 1, 255).astype(np.uint8)])


def levels(
    values: Float[np.ndarray, "H W"], low: float | None = None, high: float | None = None
) -> UInt8[np.ndarray, "H W"]:
    """Values as 0…255 steps between `low` and `high` (default: their own extremes); outside values are clipped."""
    if off := int((~np.isfinite(values)).sum()):
        raise ValueError(message("values", f"{off} that are NaN or infinite", "finite numbers"))
    bottom = float(np.min(values)) if low is None else low
    top = float(np.max(values)) if high is None else high
    if not (np.isfinite(bottom) and np.isfinite(top) and bottom <= top):
        raise ValueError(message("low, high", f"{bottom} and {top}", "low ≤ high, both finite"))
    share = (values - bottom) / (top - bottom) if top > bottom else np.zeros_like(values)
    return np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)


def heat(
    values: Float[np.ndarray, "H W"], low: float | None = None, high: float | None = None, scale: str = "viridis"
) -> RGB:
    """Values as colours. Pictures that are compared must share `low` and `high`.

    Args:
        values: (H, W).
        low: the value of the scale's first colour; default: the least value.
        high: the value of its last colour; default: the greatest value.
        scale: the name of one of matplotlib's colour scales.

    Returns:
        RGB, (H, W, 3) uint8.
    """
    return scale_table(scale)[levels(values, low, high)]


def entropy(probs: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "H W"]:
    """How undecided each pixel is, in bits: 0 is certain, log2 C knows nothing (C classes).

    Args:
        probs: probabilities (C, H, W), which sum to 1 over the classes.

    Returns:
        Bits, (H, W).
    """
    safe = np.where(probs > 0, probs, 1)
    return np.asarray(-(probs * np.log2(safe)).sum(axis=0))
