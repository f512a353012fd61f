"""The compiled loops between pixels and lattice: splat, blur, slice (Adams, Baek, Davis 2010, section 3).

Notation, as in ../structure.py: N pixels, M lattice points, d features, and L = `width` labels in a row, a multiple
of eight. Marginals (N, L) and lattice values (M, L) are flat arrays, row after row: `row * width + lane` is where
eight labels start. Every loop works on a part `start .. stop` of its pixels or points, so that threads share them.

A loop that is called with its width as a number, `_splat(…, 8, …)`, is compiled for that width too: the loop over
lanes disappears and a row stays in one register. Few labels are active, so eight is the usual width.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.lanes import (
    absolute,
    add,
    fill,
    first_lane,
    inlined,
    item,
    jit,
    load,
    max_all,
    maximum,
    mul,
    muladd,
    prefetch,
    store,
)

ZERO, HALF, ONE, FOUR = np.float32(0), np.float32(0.5), np.float32(1), np.float32(4)
HUGE = np.float32(1e30)
AHEAD = 16  # entries of a run between asking for a point's values and using them


@inlined
def _splat(q, start_of, pixel_of, weight_of, values, width, start, stop):
    for v in range(start, stop):
        for lane in range(0, width, 8):
            row = fill(ZERO)  # (8,)
            for entry in range(item(start_of, v), item(start_of, v + 1)):
                at = np.int64(item(pixel_of, entry)) * width + lane
                row = muladd(fill(item(weight_of, entry)), load(q, at), row)
            store(values, v * width + lane, row)


@jit
def splat(q, start_of, pixel_of, weight_of, values, width, start, stop):
    """values[v] = sum of weight * q over the pixels that touch point v.

    A gather over each point's list of pixels rather than a scatter over pixels: no two threads write to one point.

    Args:
        q: (N L) what is splatted.
        start_of: (M + 1) where each point's entries start in the two lists that follow.
        pixel_of, weight_of: (N (d + 1)) the pixels and their weights, point by point.
        values: (M L), written.
    """
    if width == 8:
        _splat(q, start_of, pixel_of, weight_of, values, 8, start, stop)
    else:
        _splat(q, start_of, pixel_of, weight_of, values, width, start, stop)


@inlined
def _splat_deltas(changed, deltas, first, count, ids, weights, scale, value_deltas, corners, width):
    for which in range(first, first + count):
        pixel = np.int64(item(changed, which))
        for k in range(corners):
            corner = np.int64(item(ids, corners * pixel + k)) * width
            weight = fill(item(weights, corners * pixel + k) * item(scale, pixel))
            for lane in range(0, width, 8):
                delta = muladd(weight, load(deltas, which * width + lane), load(value_deltas, corner + lane))
                store(value_deltas, corner + lane, delta)


@jit
def splat_deltas(changed, deltas, first, count, ids, weights, scale, value_deltas, corners, width):
    """Splats what few pixels changed by, and nothing else: filtering is linear.

    A scatter, by one thread: the points' lists hold all pixels, and most of these did not change.

    Args:
        changed: (N,) pixels; those at first .. first + count count.
        deltas: (N L) what was added to them, in the same order.
        ids, weights: (N (d + 1)) every pixel's corners and their weights.
        scale: (N,) what a pixel's labels are multiplied by on their way in.
        value_deltas: (M L), added to.
    """
    if width == 8:
        _splat_deltas(changed, deltas, first, count, ids, weights, scale, value_deltas, corners, 8)
    else:
        _splat_deltas(changed, deltas, first, count, ids, weights, scale, value_deltas, corners, width)


@inlined
def _apply_deltas(
    deltas, values, ones, sensitivity, limits, start_of, pixel_of, pending, uncertainty, width, start, stop
):
    tolerance, confident = limits
    for v in range(start, stop):
        largest = fill(ZERO)
        for lane in range(0, width, 8):
            largest = maximum(largest, absolute(load(deltas, v * width + lane)))
        delta = first_lane(max_all(largest))
        if delta == ZERO:  # nothing near it changed
            continue
        for lane in range(0, width, 8):
            at = v * width + lane
            store(values, at, add(load(values, at), load(deltas, at)))
            store(deltas, at, fill(ZERO))
        factor = _exp_minus_one_bound(sensitivity * delta / item(ones, v))
        if confident * factor > tolerance:
            for entry in range(item(start_of, v), item(start_of, v + 1)):
                pixel = np.int64(item(pixel_of, entry))
                if factor * item(uncertainty, pixel) > tolerance:
                    pending[pixel] = True


@inlined
def _exp_minus_one_bound(x):
    """At least exp(x) - 1: by two chords of it, and beyond 4 more than anything is compared with."""
    if x <= ONE:
        return np.float32(1.7183) * x
    return np.float32(13.4) * x if x <= FOUR else HUGE


@jit
def apply_deltas(
    deltas, values, ones, sensitivity, limits, start_of, pixel_of, pending, uncertainty, width, start, stop
):
    """Adds the deltas to the values, clears them, and marks the pixels whose marginals they could change.

    A pixel reads d + 1 points, and its message is a weighted mean of their values over `ones`, times the kernel's
    weight and largest row sum: so delta / ones * that product is the most by which a message can change on account
    of a point. `sensitivity` is four times that product: winner and others may move apart, and the other lattice
    adds as much again. A marginal of a pixel of uncertainty u then moves by at most u (exp(sensitivity * delta /
    ones) - 1); where this exceeds the tolerance the pixel is marked.

    Args:
        deltas, values: (M L), added to values and set to 0.
        ones: (M,) what a field of ones has at each point.
        limits: tolerance; and the uncertainty above which the caller marks all pixels anyway.
        pending: (N,) pixels to be updated, set here.
        uncertainty: (N,) 1 - the largest marginal.
    """
    if width == 8:
        _apply_deltas(
            deltas, values, ones, sensitivity, limits, start_of, pixel_of, pending, uncertainty, 8, start, stop
        )
    else:
        _apply_deltas(
            deltas, values, ones, sensitivity, limits, start_of, pixel_of, pending, uncertainty, width, start, stop
        )


@inlined
def _blur(values, runs, width, start, stop):
    # No inner loop over a run: runs are short, and a processor guesses wrongly where each ends.
    for lane in range(0, width, 8):
        place, goes_on = _place(runs, start, width, lane)
        before, here = fill(ZERO), load(values, place)  # (8,)
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

    Points in the order of their runs need no list of neighbours: the previous value is still in a register. Values
    lie anywhere in memory, so those that are needed soon are asked for: runs[stop : stop + AHEAD] is read too.
    """
    if start == stop:
        return
    if width == 8:
        _blur(values, runs, 8, start, stop)
    else:
        _blur(values, runs, width, start, stop)


@jit
def splat_one(field, start_of, pixel_of, weight_of, values, start, stop):
    """`splat` of one number per pixel: field (N,), values (M,)."""
    for v in range(start, stop):
        total = ZERO
        for entry in range(start_of[v], start_of[v + 1]):
            total += weight_of[entry] * field[pixel_of[entry]]
        values[v] = total


@jit
def blur_one(values, runs, start, stop):
    """`blur` of one number per point: values (M,)."""
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
def slice_one(values, ids, weights, gain, out, start, stop):
    """out (N,) = gain * the mixture of a pixel's corners; values (M,), ids and weights (N, d + 1)."""
    for pixel in range(start, stop):
        total = ZERO
        for k in range(ids.shape[1]):
            total += weights[pixel, k] * values[ids[pixel, k]]
        out[pixel] = gain * total


@jit
def slice_rows(values, ids, weights, gain, out, width, start, stop):
    """out (N L) += gain (N,) * the mixture of a pixel's corners; values (M L), ids and weights (N, d + 1)."""
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            row = fill(ZERO)
            for k in range(ids.shape[1]):
                row = muladd(fill(weights[pixel, k]), load(values, np.int64(ids[pixel, k]) * width + lane), row)
            at = pixel * width + lane
            store(out, at, muladd(fill(gain[pixel]), row, load(out, at)))
