"""A smaller problem that looks alike: colours and probabilities averaged over squares of pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32


def averaged(grid: Float32[np.ndarray, "... H W"], factor: int) -> Float32[np.ndarray, "... h w"]:
    """Means over squares of factor x factor, the last ones smaller where the sides do not divide."""
    for axis in (-2, -1):
        size = grid.shape[axis]
        starts = np.arange(0, size, factor)
        counts = np.diff([*starts, size]).astype(np.float32)
        grid = np.add.reduceat(grid, starts, axis=axis) / (counts[:, None] if axis == -2 else counts)
    return grid


def enlarged(
    grid: Float32[np.ndarray, "... h w"], factor: int, height: int, width: int
) -> Float32[np.ndarray, "... H W"]:
    """Every number repeated over its square, cut to height x width."""
    out = np.empty((*grid.shape[:-2], height, width), grid.dtype)
    for dy in range(factor):
        for dx in range(factor):
            part = out[..., dy::factor, dx::factor]
            part[...] = grid[..., : part.shape[-2], : part.shape[-1]]
    return out
