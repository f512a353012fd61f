"""Where each pixel lies in the permutohedral lattice: its simplex and its weights (Adams, Baek, Davis 2010).

Features f (d numbers) are lifted to the plane sum(e) = 0 in d + 1 dimensions, scaled so that the lattice's blur is
a Gaussian of deviation one. The lattice points of remainder 0 there are multiples of d + 1; the simplex around e is
found by rounding to one and ranking what is left over, and e is a mixture of its d + 1 corners.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from dlseg.crf.lattice.jit.lanes import (
    add,
    div,
    fill,
    inlined,
    item,
    jit,
    less,
    load,
    mul,
    round_even,
    store,
    sub,
    where_equal,
)

ZERO, ONE = np.float32(0), np.float32(1)
BITS, MASK = 4, 15  # a rank's digit when an order is packed into one number: d + 1 <= 16
MOST = 15  # features
ODD = (
    0x9E3779B97F4A7C15,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0xD6E8FEB86659FD93,
    0xA0761D6478BD642F,
    0xE220A8397B1DCDAF,
    0x6E789E6AA1B965F5,
    0x06C45D188009454F,
    0xF88BB8A8724C81ED,
    0x1B39896A51A8749B,
    0x53CB9F0C747EA2EB,
    0x2C829ABE1F4532E1,
    0xC584133AC916AB3D,
    0x3EE5789041C98AC3,
    0xF3B8488C368CB0A7,
)


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


@inlined
def _rank(rest, rank, corners):
    """rank: how many of the others are larger, the later ones where equal."""
    for j in range(corners):
        store(rank, 8 * j, fill(ZERO))
    for i in range(corners - 1):
        for j in range(i + 1, corners):
            smaller = less(load(rest, 8 * i), load(rest, 8 * j))
            store(rank, 8 * i, add(load(rank, 8 * i), smaller))
            store(rank, 8 * j, add(load(rank, 8 * j), sub(fill(ONE), smaller)))


@inlined
def _mix(part, rank, mixture, corners):
    """mixture[8 k:]: the weight of corner k, from the parts in order of their ranks."""
    for r in range(corners):
        ranked = fill(ZERO)
        for j in range(corners):
            ranked = where_equal(load(rank, 8 * j), fill(np.float32(r)), load(part, 8 * j), ranked)
        store(mixture, 8 * (corners - 1 - r), ranked)
    lowest = load(mixture, 8 * (corners - 1))
    for k in range(corners - 1, 0, -1):
        store(mixture, 8 * k, sub(load(mixture, 8 * k), load(mixture, 8 * k - 8)))
    store(mixture, 0, add(load(mixture, 0), sub(fill(ONE), lowest)))


@cache
def locator(d: int) -> Any:
    """`locate` for d features, compiled when it is called first."""
    corners = d + 1
    inverse, wide = np.float32(1 / corners), np.float32(corners)

    def locate(colours, width, sigmas, scales, strides, base, order, weights, start, stop):
        """Of the pixels start .. stop: base, key of the corner of remainder 0; order, axes by rank; weights (flat).

        Eight pixels at a time.
        """
        features = np.empty(8 * d, np.float32)
        e, rest = np.empty(8 * corners, np.float32), np.empty(8 * corners, np.float32)
        whole, rank = np.empty(8 * corners, np.float32), np.empty(8 * corners, np.float32)
        x, y = start % width, start // width
        for first in range(start, stop, 8):
            for lane in range(min(8, stop - first)):
                features[lane], features[8 + lane] = x, y
                for j in range(2, d):
                    features[8 * j + lane] = item(colours, (first + lane) * (d - 2) + j - 2)
                x += 1
                if x == width:
                    x, y = 0, y + 1
            above = fill(ZERO)
            for j in range(d, 0, -1):
                f = div(load(features, 8 * (j - 1)), fill(item(sigmas, j - 1)))
                lifted = mul(f, fill(item(scales, j - 1)))
                store(e, 8 * j, sub(above, mul(fill(np.float32(j)), lifted)))
                above = add(above, lifted)
            store(e, 0, above)
            off_plane = fill(ZERO)
            for j in range(corners):
                near = round_even(mul(load(e, 8 * j), fill(inverse)))
                off_plane = add(off_plane, near)
                store(whole, 8 * j, near)
                store(rest, 8 * j, sub(load(e, 8 * j), mul(near, fill(wide))))
            _rank(rest, rank, corners)
            for j in range(corners):
                raised = add(load(rank, 8 * j), off_plane)
                back = sub(less(raised, fill(ZERO)), less(fill(np.float32(d)), raised))
                near = add(load(whole, 8 * j), back)
                store(rank, 8 * j, add(raised, mul(back, fill(wide))))
                store(whole, 8 * j, near)
                store(e, 8 * j, mul(sub(load(e, 8 * j), mul(near, fill(wide))), fill(inverse)))
            _mix(e, rank, rest, corners)
            for lane in range(min(8, stop - first)):
                key, packed = np.int64(0), np.int64(0)
                for j in range(corners):
                    key += item(strides, j) * (np.int64(item(whole, 8 * j + lane)) * corners)
                    packed |= np.int64(j) << np.int64(BITS * np.int64(item(rank, 8 * j + lane)))
                    weights[(first + lane) * corners + j] = item(rest, 8 * j + lane)
                base[first + lane], order[first + lane] = key, packed

    return jit(locate)
