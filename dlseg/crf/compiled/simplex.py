"""Where each pixel lies in the permutohedral lattice: its simplex and its weights (Adams, Baek, Davis 2010).

Features f (d numbers) are lifted to the plane sum(e) = 0 in d + 1 dimensions, scaled so that the lattice's blur is
a Gaussian of deviation one. The lattice points of remainder 0 there are multiples of d + 1; the simplex around e is
found by rounding to one and ranking what is left over, and e is a mixture of its d + 1 corners.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from dlseg.crf.compiled.lanes import jit

BITS, MASK = 3, 7  # a rank's digit when an order is packed into one number: d + 1 <= 8
ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)


def lift_scales(d: int) -> Float32[np.ndarray, " d"]:
    """What each feature, already divided by its sigma, is multiplied with before it is lifted."""
    deviation = np.sqrt(2 / 3) * (d + 1)
    return np.array([deviation / np.sqrt((i + 1) * (i + 2)) for i in range(d)], np.float32)


def key_strides(low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> Int64[np.ndarray, " d+1"]:
    """Strides that pack d of a lattice point's coordinates into 64 bits, for features between low and high.

    Packing is linear, so a step along an axis is one addition. Digits are as wide as the data need, with room for
    neighbours; where they do not fit (features thousands of sigmas apart) odd multipliers, modulo 2^64, stand in
    for them: then two of M points share a key with probability M^2 / 2^65, one in a million for a million points.
    """
    d = len(low)
    lower, upper = np.zeros(d + 1), np.zeros(d + 1)
    for j in range(d, 0, -1):  # e_j = (sum of the features from j on) - j f_{j-1}
        lower[j], upper[j] = lower[0] - j * high[j - 1], upper[0] - j * low[j - 1]
        lower[0], upper[0] = lower[0] + low[j - 1], upper[0] + high[j - 1]
    widths = [int(np.ceil(b - a)) + 6 * (d + 1) for a, b in zip(lower, upper, strict=True)][:d]
    strides = [1]
    for width in widths[:-1]:
        strides.append(strides[-1] * width)
    if strides[-1] * widths[-1] >= 2**62:
        strides = [odd - 2**64 if odd >= 2**63 else odd for odd in ODD[:d]]
    return np.array([*strides, 0], np.int64)


def _locator(d: int) -> Any:
    corners = np.int32(d + 1)
    inverse = np.float32(1 / (d + 1))
    half_even = np.float32(3 * 2**22)  # adding and taking it away rounds to the nearest whole number
    wide = np.float32(d + 1)
    zero, one = np.float32(0), np.float32(1)

    def locate(colours, width, sigmas, scales, strides, base, order, weights, start, stop):
        e, rest = np.empty(d + 1, np.float32), np.empty(d + 1, np.float32)
        whole, rank = np.empty(d + 1, np.int32), np.empty(d + 1, np.int32)
        spread = np.empty(d + 2, np.float32)
        x, y = start % width, start // width
        for pixel in range(start, stop):
            above = zero
            for j in range(d, 0, -1):
                if j > 2:
                    f = colours[pixel, j - 3] / sigmas[j - 1]
                elif j == 2:
                    f = np.float32(y) / sigmas[1]
                else:
                    f = np.float32(x) / sigmas[0]
                lifted = f * scales[j - 1]
                e[j] = above - np.float32(j) * lifted
                above += lifted
            e[0] = above
            x += 1
            if x == width:
                x, y = 0, y + 1
            off_plane = np.int32(0)
            for j in range(d + 1):
                nearest = (e[j] * inverse + half_even) - half_even
                off_plane += np.int32(nearest)
                whole[j] = np.int32(nearest) * corners
                rest[j] = e[j] - nearest * wide
                rank[j] = 0
            for i in range(d):
                for j in range(i + 1, d + 1):
                    less = np.int32(rest[i] < rest[j])
                    rank[i] += less
                    rank[j] += 1 - less
            for k in range(d + 2):
                spread[k] = zero
            key, packed = np.int64(0), 0
            for j in range(d + 1):
                rank[j] += off_plane
                back = np.int32(rank[j] < 0) - np.int32(rank[j] > d)
                rank[j] += back * corners
                whole[j] += back * corners
                key += strides[j] * whole[j]
                packed |= j << np.int64(BITS * rank[j])
                part = (e[j] - np.float32(whole[j])) * inverse
                spread[d - rank[j]] += part
                spread[d + 1 - rank[j]] -= part
            spread[0] += one + spread[d + 1]
            base[pixel], order[pixel] = key, packed
            for k in range(d + 1):
                weights[pixel, k] = spread[k]
    return jit(locate)


locate = {2: _locator(2), 5: _locator(5)}
