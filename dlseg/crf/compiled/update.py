"""The compiled loop of the local update: slice both kernels, add the unary, softmax, see who moved.

Rows of marginals and of the unary are `width` labels wide, a multiple of eight, laid flat.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.compiled.elementary import exp, log
from dlseg.crf.compiled.lanes import (
    add,
    div,
    fill,
    first_lane,
    inlined,
    jit,
    larger,
    largest,
    load,
    mul,
    muladd,
    size,
    store,
    sub,
    total,
)

ZERO, ONE = np.float32(0), np.float32(1)
SMALLEST = np.float32(1e-37)
NEVER = np.float32(-1e30)  # the score of a lane that holds no label


@jit
def pack(probs, live, rest, unary, q, width, start, stop):
    """Lays the live labels' probabilities pixel by pixel: their logarithms, and q, normalised over all labels.

    probs: (C, N). rest: (N,) the sum of the other labels. Lanes beyond the live labels never win.
    """
    labels = len(live)
    for pixel in range(start, stop):
        at = pixel * width
        mass = rest[pixel]
        for lane in range(labels):
            share = probs[live[lane], pixel]
            unary[at + lane] = share
            mass += share
        for lane in range(labels, width):
            unary[at + lane] = ZERO
        scale = fill(np.float32(1) / mass)
        for lane in range(0, width, 8):
            share = load(unary, at + lane)
            store(q, at + lane, mul(share, scale))
            store(unary, at + lane, log(larger(share, fill(SMALLEST))))
        for lane in range(labels, width):
            unary[at + lane] = NEVER


@jit
def unpack(q, live, folded, probs, rest, out, width, start, stop):
    """out (C, N) from q; what q leaves to the folded labels is shared among them as probs has it."""
    for block in range(start, stop, 64):
        end = min(block + 64, stop)
        for lane in range(len(live)):
            for pixel in range(block, end):
                out[live[lane], pixel] = q[pixel * width + lane]
        if len(folded) == 0:
            continue
        for pixel in range(block, end):
            mass = np.float32(1)
            for lane in range(len(live)):
                mass -= q[pixel * width + lane]
            mass = max(mass, ZERO) / rest[pixel]
            for label in folded:
                out[label, pixel] = mass * probs[label, pixel]


@jit
def winners(q, live, labels, width, start, stop):
    """labels (N,): each pixel's most probable label, the first of equals. No folded label can win."""
    for pixel in range(start, stop):
        at, best = pixel * width, 0
        for lane in range(1, len(live)):
            if q[at + lane] > q[at + best]:
                best = lane
        labels[pixel] = live[best]


@inlined
def _listen(values1, ids1, weights1, gain1, values2, ids2, weights2, gain2, row, width, pixel):
    """row[:width] = both kernels' messages to one pixel."""
    for lane in range(0, width, 8):
        far, near = fill(ZERO), fill(ZERO)
        for k in range(6):
            corner = np.int64(ids1[pixel, k]) * width + lane
            far = muladd(fill(weights1[pixel, k]), load(values1, corner), far)
        for k in range(3):
            corner = np.int64(ids2[pixel, k]) * width + lane
            near = muladd(fill(weights2[pixel, k]), load(values2, corner), near)
        store(row, lane, muladd(fill(gain1[pixel]), far, mul(fill(gain2[pixel]), near)))


@inlined
def _answer(unary, rest, costs, labels, row, width, pixel):
    """Softmax(unary - cost of the messages in row[:width]) is row[width:] times what is returned.

    It is taken among all labels, folded ones included.
    """
    high = fill(rest[pixel])
    for lane in range(0, width, 8):
        score = load(unary, pixel * width + lane)
        if len(costs) == 0:
            score = add(score, load(row, lane))
        else:
            for other in range(labels):
                score = muladd(fill(-row[other]), load(costs, other * width + lane), score)
        store(row, width + lane, score)
        high = larger(high, score)
    high = largest(high)
    mass = fill(ZERO)
    for lane in range(width, 2 * width, 8):
        share = exp(sub(load(row, lane), high))
        store(row, lane, share)
        mass = add(mass, share)
    return div(fill(ONE), add(total(mass), exp(sub(fill(rest[pixel]), high))))


@jit
def update(values1, ids1, weights1, gain1, values2, ids2, weights2, gain2, stale, unary, rest, costs, q, relax,
           least, labels, row, moved, steps, first, room, width, start, stop):
    """Q <- Q + relax (softmax(unary - cost of both kernels' messages) - Q) where that moves Q by more than `least`.

    stale: pixels to look at. unary, rest: log probabilities of the live labels, and of all folded ones together.
    costs: (width, width) label compatibilities, or empty for Potts. labels: how many lanes hold one. row: 2 * width
    numbers to work in. The first `room` pixels that moved are listed in moved[first:], what was added to them in
    steps. Returns the largest change of any marginal and how many pixels moved.
    """
    change, count = ZERO, 0
    for pixel in range(start, stop):
        if not stale[pixel]:
            continue
        _listen(values1, ids1, weights1, gain1, values2, ids2, weights2, gain2, row, width, pixel)
        scale = _answer(unary, rest, costs, labels, row, width, pixel)
        biggest = fill(ZERO)
        for lane in range(0, width, 8):
            step = mul(sub(mul(load(row, width + lane), scale), load(q, pixel * width + lane)), fill(relax))
            store(row, lane, step)
            biggest = larger(biggest, size(step))
        by = first_lane(largest(biggest))
        change = max(change, by)
        if by <= least:
            continue
        for lane in range(0, width, 8):
            at = pixel * width + lane
            store(q, at, add(load(q, at), load(row, lane)))
            if count < room:
                store(steps, (first + count) * width + lane, load(row, lane))
        if count < room:
            moved[first + count] = pixel
        count += 1
    return change, count
