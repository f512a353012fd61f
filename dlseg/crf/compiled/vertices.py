"""Numbering the lattice points in use, finding their neighbours, listing their pixels.

Threads number the points of their own pixels in tables of their own; the tables are merged then. Inner loops take
arrays as arguments only and call nothing that takes one: the compiler then counts no references in them.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.compiled.lanes import jit
from dlseg.crf.compiled.simplex import BITS, MASK

SPREAD = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(29)


@jit
def _hash(key):
    mixed = np.uint64(key) * SPREAD
    return mixed ^ (mixed >> MIX)


@jit
def number(base, order, strides, ids, key_of, table, start, stop, count):
    """Numbers the simplex corners of the pixels from `start` on in order of appearance; fills ids (N, d + 1).

    table: numbers by open addressing, -1 where empty; key_of: the keys of the `count` points known. Stops where
    key_of could overflow; returns the next pixel and the new count.
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
    """Looks up keys[:many], adding those that are new; numbers gets their numbers. Returns the new count.

    With keys = key_of and count = 0 it fills an empty table with the points that it had.
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
def follow(key_of, table, strides, following, has_previous, start, stop):
    """following[j, v]: the point one step from v along axis j, or -1; has_previous[j] is set at that point."""
    axes, mask = len(strides), np.uint64(len(table) - 1)
    step = strides.sum()
    for v in range(start, stop):
        for j in range(axes):
            across = axes * strides[j] - step
            slot = np.int64(_hash(key_of[v] + across) & mask)
            n = table[slot]
            while n >= 0 and key_of[n] != key_of[v] + across:
                slot = (slot + 1) & np.int64(mask)
                n = table[slot]
            following[j, v] = n
            if n >= 0:
                has_previous[j, n] = True


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
def count_corners(ids, counts, start, stop):
    """counts[v]: pixels of start .. stop that touch point v."""
    for pixel in range(start, stop):
        for k in range(ids.shape[1]):
            counts[ids[pixel, k]] += 1


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
def list_pixels(ids, weights, cursor, pixel_of, weight_of, start, stop):
    """Lists the pixels start .. stop and their weights point by point, from cursor[v] on: a counting sort."""
    for pixel in range(start, stop):
        for k in range(ids.shape[1]):
            v = ids[pixel, k]
            place = cursor[v]
            cursor[v] = place + 1
            pixel_of[place], weight_of[place] = pixel, weights[pixel, k]
