"""The points of the permutohedral lattice: where each pixel lies among them, and which are in use.

After Adams, Baek and Davis (2010). Features f (d numbers) are lifted to the plane sum(e) = 0 in d + 1 dimensions,
scaled so that the lattice's blur is a Gaussian of deviation one. The lattice points of remainder 0 there are
multiples of d + 1; the simplex around e is found by rounding to one and ranking what is left over, and e is a
mixture of its d + 1 corners.

Then the points in use are numbered, their neighbours found and their pixels listed. Threads number the points of
their own pixels in tables of their own; then these are merged. Inner loops there call no compiled function that
takes an array: each such call would count the array's references.
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
SPREAD = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(29)


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


@jit
def _hash(key):
    mixed = np.uint64(key) * SPREAD
    return mixed ^ (mixed >> MIX)


@jit
def number(base, order, strides, ids, key_of, table, start, stop, count):
    """Numbers the corners of the pixels' simplices in order of appearance.

    A hash table with open addressing, filled at most by half, so that most keys are found at the first look. It
    stops where key_of could overflow, for the caller to make both larger.

    Args:
        base: (N,) the key of each pixel's first corner; order (N,): which axis each further corner is a step along.
        strides: (d + 1,) of the keys.
        ids: (N, d + 1), written: the corners' numbers.
        key_of: (capacity,) the keys of the `count` points so far, by number.
        table: (2 capacity or more, a power of two) numbers, -1 where empty.

    Returns:
        The next pixel, and the new count.
    """
    corners, mask = ids.shape[1], np.uint64(len(table) - 1)
    step = strides.sum()
    pixel = start
    while pixel < stop and count + corners <= len(key_of):
        key = base[pixel]
        for k in range(corners):
            if k > 0:
                key += step - corners * strides[order[pixel] >> (BITS * (corners - k)) & MASK]
            slot = np.int64(_hash(key) & mask)
            v = table[slot]
            while v >= 0 and key_of[v] != key:
                slot = (slot + 1) & np.int64(mask)
                v = table[slot]
            if v < 0:
                v = np.int32(count)
                table[slot], key_of[count] = v, key
                count += 1
            ids[pixel, k] = v
        pixel += 1
    return pixel, count


@jit
def enter(keys, many, key_of, table, count, numbers):
    """Looks up keys[:many] and adds those that are new; numbers (many,) gets their numbers. Returns the new count.

    With keys = key_of and count = 0 an empty table gets the points of a smaller one.
    """
    mask = np.uint64(len(table) - 1)
    for at in range(many):
        slot = np.int64(_hash(keys[at]) & mask)
        v = table[slot]
        while v >= 0 and key_of[v] != keys[at]:
            slot = (slot + 1) & np.int64(mask)
            v = table[slot]
        if v < 0:
            v = np.int32(count)
            table[slot], key_of[count] = v, keys[at]
            count += 1
        numbers[at] = v
    return count


@jit
def renumber(ids, numbers, start, stop):
    """ids = numbers[ids] for the pixels start .. stop."""
    for pixel in range(start, stop):
        for k in range(ids.shape[1]):
            ids[pixel, k] = numbers[ids[pixel, k]]


@jit
def follow(key_of, table, across, following, has_previous, slots, found, late, start, stop):
    """The neighbour of every point along one axis.

    Keys are looked up in blocks, in steps without branches: the processor then waits for many of them at
    once. The few that meet another key's slot are finished one by one.

    Args:
        key_of: (M,) keys by number; table: the hash table of `number`.
        across: what one step along the axis adds to a key.
        following: (M,), written: the neighbour's number, or -1.
        has_previous: (M + 1,), set to True at every neighbour; the last place takes what is set for -1.
        slots, found, late: (block,) each, to work in.
    """
    mask = np.int64(len(table) - 1)
    for block in range(start, stop, len(found)):
        many = min(len(found), stop - block)
        for i in range(many):
            slots[i] = np.int64(_hash(item(key_of, block + i) + across)) & mask
            found[i] = item(table, slots[i])
        collisions = 0
        for i in range(many):
            n = np.int64(item(found, i))
            other = item(key_of, max(n, 0)) - across
            late[collisions] = i
            collisions += np.int64(n >= 0) & np.int64(other != item(key_of, block + i))
        for at in range(collisions):
            i = late[at]
            slot, n = slots[i], np.int64(found[i])
            while n >= 0 and item(key_of, n) != item(key_of, block + i) + across:
                slot = (slot + 1) & mask
                n = np.int64(item(table, slot))
            found[i] = n
        for i in range(many):
            n = np.int64(item(found, i))
            following[block + i] = n
            has_previous[n if n >= 0 else len(has_previous) - 1] = True


@jit
def chain(following, has_previous, bounds, heads, runs, edges):
    """Lists the runs of two or more neighbours along one axis, end to end; a run's last point is written as ~id.

    Args:
        following, has_previous: (M,) as `follow` leaves them.
        bounds: (P + 1,) the parts of the points that threads share; the last one is M.
        heads: (M,) to work in.
        runs: (M,), written.
        edges: (P + 1,), written: where in `runs` the first run lies that starts at point bounds[i] or later.
    """
    many = 0
    for v in range(len(following)):
        heads[many] = v
        many += np.int64(item(following, v) >= 0) & np.int64(not item(has_previous, v))
    written, part = 0, 0
    for head in range(many):
        v = np.int64(item(heads, head))
        while v >= bounds[part]:
            edges[part] = written
            part += 1
        n = np.int64(item(following, v))
        while n >= 0:
            runs[written] = v
            written += 1
            v, n = n, np.int64(item(following, n))
        runs[written] = ~v
        written += 1
    edges[part:] = written


@jit
def count_corners(ids, counts, corners, start, stop):
    """counts[v]: pixels of start .. stop that touch point v. ids: flat, `corners` for each pixel."""
    for at in range(corners * start, corners * stop):
        counts[item(ids, at)] += 1


@jit
def first_places(counts, start_of):
    """Where each point's list starts, and in counts (T, M) where each of T threads' part of it does."""
    place = 0
    for v in range(counts.shape[1]):
        start_of[v] = place
        for part in range(counts.shape[0]):
            here = counts[part, v]
            counts[part, v] = place
            place += here
    start_of[counts.shape[1]] = place


@jit
def list_pixels(ids, weights, cursor, pixel_of, weight_of, corners, start, stop):
    """Lists the pixels start .. stop and their weights point by point, from cursor[v] on: a counting sort."""
    for pixel in range(start, stop):
        for at in range(corners * pixel, corners * pixel + corners):
            v = np.int64(item(ids, at))
            place = np.int64(item(cursor, v))
            cursor[v] = place + 1
            pixel_of[place], weight_of[place] = pixel, item(weights, at)
