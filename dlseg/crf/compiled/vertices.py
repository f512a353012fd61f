"""Numbering the lattice points in use: a hash table per thread, each owning the keys that fall to it.

Inner loops take arrays as arguments only, and no helper takes one: the compiler then counts no references in them.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.compiled.lanes import fetch, jit
from dlseg.crf.compiled.simplex import BITS, MASK

SPREAD = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(29)
OWNER_SHIFT = np.uint64(48)
OWNER_BITS = 28  # points of one owner, at most 2^28
AHEAD = 6  # how many pixels or points ahead memory is asked for table entries


@jit
def _hash(key):
    mixed = np.uint64(key) * SPREAD
    return mixed ^ (mixed >> MIX)


@jit
def _owner(mixed, owners):
    return np.int64(mixed >> OWNER_SHIFT) * owners >> 16


@jit
def number(base, order, strides, ids, keys, numbers, mine, owners, turn, count):
    """Numbers the simplex corners whose keys are `mine`, 0, 1, … in order of appearance.

    keys, numbers: an open-addressing table, -1 where empty. Starts at the pixel `turn` with `count` points known
    and stops where the table is half full; returns the next (turn, count). Fills ids (N, d + 1): number and owner.
    """
    corners, pixels, slots = ids.shape[1], len(base), len(numbers)
    mask = np.uint64(slots - 1)
    step = strides.sum()
    start = pixels * mine // owners  # threads start apart, so that they do not write to the same cache lines
    while turn < pixels and 2 * (count + corners) <= slots:
        pixel, soon = start + turn, start + turn + AHEAD
        if pixel >= pixels:
            pixel -= pixels
        if soon >= pixels:
            soon = pixel
        turn += 1
        key, ahead = base[pixel], base[soon]
        for k in range(corners):
            if k > 0:
                shift = BITS * (corners - k)
                key += step - corners * strides[order[pixel] >> shift & MASK]
                ahead += step - corners * strides[order[soon] >> shift & MASK]
            mixed, coming = _hash(key), _hash(ahead)
            if _owner(coming, owners) == mine:
                fetch(numbers, np.int64(coming & mask))
                fetch(keys, np.int64(coming & mask))
            if _owner(mixed, owners) != mine:
                continue
            slot = np.int64(mixed & mask)
            v = numbers[slot]
            while v >= 0 and keys[slot] != key:
                slot = (slot + 1) & (slots - 1)
                v = numbers[slot]
            if v < 0:
                v = np.int32(count)
                keys[slot], numbers[slot] = key, v
                count += 1
            ids[pixel, k] = mine << OWNER_BITS | v
    return turn, count


@jit
def rehash(old_keys, old_numbers, keys, numbers):
    """Moves a table into a larger, empty one."""
    slots = len(numbers)
    for old in range(len(old_numbers)):
        if old_numbers[old] >= 0:
            slot = np.int64(_hash(old_keys[old]) & np.uint64(slots - 1))
            while numbers[slot] >= 0:
                slot = (slot + 1) & (slots - 1)
            keys[slot], numbers[slot] = old_keys[old], old_numbers[old]


@jit
def list_keys(keys, numbers, first, key_of):
    """Writes each key of a table whose points are numbered from `first` on."""
    for slot in range(len(numbers)):
        if numbers[slot] >= 0:
            key_of[first + numbers[slot]] = keys[slot]


@jit
def join(ids, firsts, start, stop):
    """Numbers the points of all owners in one row: owner by owner, each from its `firsts` on."""
    for pixel in range(start, stop):
        for k in range(ids.shape[1]):
            ids[pixel, k] = firsts[ids[pixel, k] >> OWNER_BITS] + (ids[pixel, k] & (1 << OWNER_BITS) - 1)


@jit
def follow(key_of, keys, numbers, slots, firsts, strides, following, has_previous, start, stop):
    """following[j, v]: the point one step from v along axis j, or -1; has_previous[j] is set at that point.

    All tables lie end to end in keys and numbers, from `slots` on each, their points from `firsts` on.
    """
    owners, axes = len(slots) - 1, len(strides)
    step = strides.sum()
    for v in range(start, stop):
        soon = min(v + AHEAD, stop - 1)
        for j in range(axes):
            across = axes * strides[j] - step
            coming = _hash(key_of[soon] + across)
            table = _owner(coming, owners)
            ahead = slots[table] + np.int64(coming & np.uint64(slots[table + 1] - slots[table] - 1))
            fetch(numbers, ahead)
            fetch(keys, ahead)
            key = key_of[v] + across
            mixed = _hash(key)
            table = _owner(mixed, owners)
            first, mask = slots[table], slots[table + 1] - slots[table] - 1
            slot = np.int64(mixed & np.uint64(mask))
            while numbers[first + slot] >= 0 and keys[first + slot] != key:
                slot = (slot + 1) & mask
            n = numbers[first + slot]
            following[j, v] = -1
            if n >= 0:
                following[j, v] = firsts[table] + n
                has_previous[j, firsts[table] + n] = True


@jit
def chain(following, has_previous, runs):
    """Lists the runs of two or more neighbours along one axis, end to end; a run's last point is written as ~id.

    Returns how many numbers were written to `runs`.
    """
    written = 0
    for head in range(len(following)):
        if has_previous[head] or following[head] < 0:
            continue
        v = np.int64(head)
        while following[v] >= 0:
            runs[written] = v
            written += 1
            v = np.int64(following[v])
        runs[written] = ~v
        written += 1
    return written


@jit
def count_corners(ids, counts, low, high):
    """counts[v]: pixels that touch point v, for the points low .. high."""
    for pixel in range(len(ids)):
        for k in range(ids.shape[1]):
            v = np.int64(ids[pixel, k])
            if low <= v < high:
                counts[v] += 1


@jit
def list_pixels(ids, weights, cursor, pixel_of, weight_of, low, high):
    """Lists the pixels and weights of the points low .. high, point by point, pixels ascending: a counting sort."""
    for pixel in range(len(ids)):
        for k in range(ids.shape[1]):
            v = np.int64(ids[pixel, k])
            if low <= v < high:
                place = cursor[v]
                cursor[v] = place + 1
                pixel_of[place], weight_of[place] = pixel, weights[pixel, k]
