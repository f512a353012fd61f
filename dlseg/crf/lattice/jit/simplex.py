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

    Packing is linear, so a step along an axis is one addition. Digits are as wide as the data need, neighbours
    included; where they do not fit (features thousands of sigmas apart) odd multipliers, modulo 2^64, stand in
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


# The three functions that follow work on eight pixels at once. An array holds eight numbers for each axis, corner
# or feature, shape (d + 1, 8) or (d, 8): entry j of pixel `lane` is at 8 j + lane, and load(array, 8 * j) is a row.


@inlined
def _rank(residual, rank, corners):
    """rank (d + 1, 8): how many of a pixel's other residuals are larger, the earlier ones where equal.

    Every pair is compared once; the smaller one's rank grows by one. No sorting, and so no branches.
    """
    for j in range(corners):
        store(rank, 8 * j, fill(ZERO))
    for i in range(corners - 1):
        for j in range(i + 1, corners):
            smaller = less(load(residual, 8 * i), load(residual, 8 * j))  # (8,) 1 or 0
            store(rank, 8 * i, add(load(rank, 8 * i), smaller))
            store(rank, 8 * j, add(load(rank, 8 * j), sub(fill(ONE), smaller)))


@inlined
def _barycentric(offset, rank, mixture, corners):
    """mixture (d + 1, 8): the weight of each corner, differences of the offsets in the order of their ranks."""
    for r in range(corners):  # the offset of rank r is found by comparing all: arrays of lanes cannot be indexed
        ranked = fill(ZERO)
        for j in range(corners):
            ranked = where_equal(load(rank, 8 * j), fill(np.float32(r)), load(offset, 8 * j), ranked)
        store(mixture, 8 * (corners - 1 - r), ranked)
    lowest = load(mixture, 8 * (corners - 1))
    for k in range(corners - 1, 0, -1):
        store(mixture, 8 * k, sub(load(mixture, 8 * k), load(mixture, 8 * k - 8)))
    store(mixture, 0, add(load(mixture, 0), sub(fill(ONE), lowest)))


@cache
def locator(d: int) -> Any:
    """`locate` for d features, compiled at its first call: loops over d are written out."""
    corners = d + 1
    inverse, size = np.float32(1 / corners), np.float32(corners)

    def locate(colours, width, sigmas, scales, strides, base, order, weights, start, stop):
        """The simplices of the pixels start .. stop, eight pixels at a time (Adams, Baek, Davis 2010, section 3).

        Args:
            colours: (N (d - 2)) features after position, flat.
            width: of the image, in pixels.
            sigmas, scales: (d,) what each feature is divided by, and then multiplied by (`lift_scales`).
            strides: (d + 1,) of the keys (`key_strides`).
            base: (N,), written: the key of the corner of remainder 0.
            order: (N,), written: axes by rank, BITS each: one step after the other leads round the simplex.
            weights: (N (d + 1)), written: of the corners, in that order.
        """
        features = np.empty(8 * d, np.float32)  # (d, 8)
        e, residual = np.empty(8 * corners, np.float32), np.empty(8 * corners, np.float32)  # (d + 1, 8) each
        whole, rank = np.empty(8 * corners, np.float32), np.empty(8 * corners, np.float32)  # (d + 1, 8) each
        x, y = start % width, start // width
        for first in range(start, stop, 8):
            for lane in range(min(8, stop - first)):
                features[lane], features[8 + lane] = x, y
                for j in range(2, d):
                    features[8 * j + lane] = item(colours, (first + lane) * (d - 2) + j - 2)
                x += 1
                if x == width:
                    x, y = 0, y + 1
            # lifted to the plane: e_j = (sum of the scaled features from j on) - j times the one before
            suffix_sum = fill(ZERO)  # (8,)
            for j in range(d, 0, -1):
                f = div(load(features, 8 * (j - 1)), fill(item(sigmas, j - 1)))
                scaled = mul(f, fill(item(scales, j - 1)))
                store(e, 8 * j, sub(suffix_sum, mul(fill(np.float32(j)), scaled)))
                suffix_sum = add(suffix_sum, scaled)
            store(e, 0, suffix_sum)
            # rounded to multiples of d + 1, in units of d + 1; their sum says how far that leads off the plane
            off_plane = fill(ZERO)  # (8,)
            for j in range(corners):
                rounded = round_even(mul(load(e, 8 * j), fill(inverse)))
                off_plane = add(off_plane, rounded)
                store(whole, 8 * j, rounded)
                store(residual, 8 * j, sub(load(e, 8 * j), mul(rounded, fill(size))))
            _rank(residual, rank, corners)
            # back onto the plane: the axes rounded by most change by one, and ranks with them stay within 0 .. d
            for j in range(corners):
                shifted = add(load(rank, 8 * j), off_plane)
                back = sub(less(shifted, fill(ZERO)), less(fill(np.float32(d)), shifted))  # (8,) 1, 0 or -1
                rounded = add(load(whole, 8 * j), back)
                store(rank, 8 * j, add(shifted, mul(back, fill(size))))
                store(whole, 8 * j, rounded)
                store(e, 8 * j, mul(sub(load(e, 8 * j), mul(rounded, fill(size))), fill(inverse)))
            _barycentric(e, rank, residual, corners)
            for lane in range(min(8, stop - first)):
                key, packed = np.int64(0), np.int64(0)
                for j in range(corners):
                    key += item(strides, j) * (np.int64(item(whole, 8 * j + lane)) * corners)
                    packed |= np.int64(j) << np.int64(BITS * np.int64(item(rank, 8 * j + lane)))
                    weights[(first + lane) * corners + j] = item(residual, 8 * j + lane)
                base[first + lane], order[first + lane] = key, packed

    return jit(locate)
