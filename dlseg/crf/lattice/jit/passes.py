"""The compiled loops between pixels and lattice: splat, blur, slice (notation: ../structure.py).

Rows of marginals and of lattice values are `width` labels wide, a multiple of eight, laid flat.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.lanes import (
    add,
    fill,
    first_lane,
    inlined,
    item,
    jit,
    larger,
    largest,
    load,
    mul,
    muladd,
    prefetch,
    size,
    store,
)

ZERO, HALF, ONE, FOUR = np.float32(0), np.float32(0.5), np.float32(1), np.float32(4)
MUCH = np.float32(1e30)
AHEAD = 16  # entries of a run between asking for a point's values and using them


@inlined
def _splat(q, start_of, pixel_of, weight_of, values, width, start, stop):
    for v in range(start, stop):
        for lane in range(0, width, 8):
            row = fill(ZERO)
            for entry in range(item(start_of, v), item(start_of, v + 1)):
                at = np.int64(item(pixel_of, entry)) * width + lane
                row = muladd(fill(item(weight_of, entry)), load(q, at), row)
            store(values, v * width + lane, row)


@jit
def splat(q, start_of, pixel_of, weight_of, values, width, start, stop):
    """values[v] = sum of weight * q over the pixels that touch point v."""
    if width == 8:
        _splat(q, start_of, pixel_of, weight_of, values, 8, start, stop)
    else:
        _splat(q, start_of, pixel_of, weight_of, values, width, start, stop)


@inlined
def _splat_moves(moved, steps, first, count, ids, weights, send, changes, corners, width):
    for move in range(first, first + count):
        pixel = np.int64(item(moved, move))
        for k in range(corners):
            corner = np.int64(item(ids, corners * pixel + k)) * width
            weight = fill(item(weights, corners * pixel + k) * item(send, pixel))
            for lane in range(0, width, 8):
                change = muladd(weight, load(steps, move * width + lane), load(changes, corner + lane))
                store(changes, corner + lane, change)


@jit
def splat_moves(moved, steps, first, count, ids, weights, send, changes, corners, width):
    """changes[v] += weight * step for the corners of the pixels moved[first : first + count]."""
    if width == 8:
        _splat_moves(moved, steps, first, count, ids, weights, send, changes, corners, 8)
    else:
        _splat_moves(moved, steps, first, count, ids, weights, send, changes, corners, width)


@inlined
def _settle(changes, values, bound, heard, least, decided, start_of, pixel_of, stale, soft, width, start, stop):
    for v in range(start, stop):
        most = fill(ZERO)
        for lane in range(0, width, 8):
            most = larger(most, size(load(changes, v * width + lane)))
        by = first_lane(largest(most))
        if by == ZERO:
            continue
        for lane in range(0, width, 8):
            at = v * width + lane
            store(values, at, add(load(values, at), load(changes, at)))
            store(changes, at, fill(ZERO))
        answer = _answer(heard * by / item(bound, v))
        if decided * answer > least:
            for entry in range(item(start_of, v), item(start_of, v + 1)):
                pixel = np.int64(item(pixel_of, entry))
                if answer * item(soft, pixel) > least:
                    stale[pixel] = True


@inlined
def _answer(x):
    """At least exp(x) - 1: by two chords of it, and beyond 4 more than anything is compared with."""
    if x <= ONE:
        return np.float32(1.7183) * x
    return np.float32(13.4) * x if x <= FOUR else MUCH


@jit
def settle(changes, values, bound, heard, least, decided, start_of, pixel_of, stale, soft, width, start, stop):
    """Adds the changes to the values, clears them, marks the pixels as stale that might answer to them.

    bound: at each point, the largest value that labels certain everywhere would have: change / bound * (weight *
    largest row sum of the kernel) is the most by which the message to a pixel of this point changes on its account.
    heard: four times that factor: winner and others may move apart, and the other lattice adds as much again. So
    softness * (exp(heard * change / bound) - 1) is the most by which a marginal of such a pixel can move; those
    where this exceeds `least` are marked. Pixels softer than `decided` are looked at in any case, by whoever calls
    this.
    """
    if width == 8:
        _settle(changes, values, bound, heard, least, decided, start_of, pixel_of, stale, soft, 8, start, stop)
    else:
        _settle(changes, values, bound, heard, least, decided, start_of, pixel_of, stale, soft, width, start, stop)


@inlined
def _blur(values, runs, width, start, stop):
    # No inner loop over a run: runs are short, and a processor guesses wrongly where each ends.
    for lane in range(0, width, 8):
        place, goes_on = _place(runs, start, width, lane)
        before, here = fill(ZERO), load(values, place)
        for at in range(start + 1, stop):
            prefetch(values, _place(runs, at + AHEAD, width, lane)[0])
            next_place, next_goes_on = _place(runs, at, width, lane)
            after = load(values, next_place)
            store(values, place, muladd(fill(HALF), muladd(fill(goes_on), after, before), here))
            before, here = mul(fill(goes_on), here), after
            place, goes_on = next_place, next_goes_on
        store(values, place, muladd(fill(HALF), before, here))


@inlined
def _place(runs, at, width, lane):
    """Where a point's values are, and whether its run goes on: 1, or 0 at the last one, listed as ~id."""
    entry = np.int64(item(runs, at))
    sign = entry >> 63
    return (entry ^ sign) * width + lane, np.float32(1 + sign)


@jit
def blur(values, runs, width, start, stop):
    """Along one axis every point gains half of both neighbours, in place: runs[start:stop] holds whole runs.

    runs[stop : stop + AHEAD] is read too: which points will be needed soon.
    """
    if start == stop:
        return
    if width == 8:
        _blur(values, runs, 8, start, stop)
    else:
        _blur(values, runs, width, start, stop)


@jit
def splat_one(field, start_of, pixel_of, weight_of, values, start, stop):
    """`splat` of one number per pixel."""
    for v in range(start, stop):
        sum_ = ZERO
        for entry in range(start_of[v], start_of[v + 1]):
            sum_ += weight_of[entry] * field[pixel_of[entry]]
        values[v] = sum_


@jit
def blur_one(values, runs, start, stop):
    """`blur` of one number per point."""
    before = ZERO
    for at in range(start, stop):
        point = runs[at]
        last = point < 0
        if last:
            point = ~point
        here = values[point]
        after = ZERO
        if not last:
            following = runs[at + 1]
            after = values[~following if following < 0 else following]
        values[point] = here + HALF * (before + after)
        before = ZERO if last else here


@jit
def gather_one(values, ids, weights, gain, out, start, stop):
    """Slices one number per point, times gain."""
    for pixel in range(start, stop):
        sum_ = ZERO
        for k in range(ids.shape[1]):
            sum_ += weights[pixel, k] * values[ids[pixel, k]]
        out[pixel] = gain * sum_


@jit
def gather(values, ids, weights, gain, out, width, start, stop):
    """out[pixel] += gain[pixel] * the lattice's value there."""
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            row = fill(ZERO)
            for k in range(ids.shape[1]):
                row = muladd(fill(weights[pixel, k]), load(values, np.int64(ids[pixel, k]) * width + lane), row)
            at = pixel * width + lane
            store(out, at, muladd(fill(gain[pixel]), row, load(out, at)))
