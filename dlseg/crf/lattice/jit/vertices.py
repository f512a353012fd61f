"""Numbering the lattice points in use, finding their neighbours, listing their pixels.

Threads number the points of their own pixels in tables of their own; then these are merged. Inner loops call no
compiled function that takes an array: each such call would count the array's references.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.lanes import item, jit
from dlseg.crf.lattice.jit.simplex import BITS, MASK

SPREAD = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(29)


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
