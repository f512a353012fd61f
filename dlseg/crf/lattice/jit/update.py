"""The compiled loop of the local update: slice both kernels, add the unary, softmax, see who moved.

Rows of marginals and of the unary are `width` labels wide, a multiple of eight, laid flat.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.elementary import exp, log
from dlseg.crf.lattice.jit.lanes import (
    add,
    div,
    fill,
    first_equal,
    first_lane,
    inlined,
    item,
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
BLOCK = 64  # pixels whose labels are laid out together: what is written is still near when it is read
FLOOR = np.float32(1e-6)  # the least softness: 1 - probability has no more digits in single precision
NEVER = np.float32(-1e30)  # the score of a lane that holds no label


@jit
def sum_folded(probs, folded, rest, log_rest, pixels, start, stop):
    """rest: the sum of the folded labels' probabilities; log_rest: its logarithm. probs: flat, label by label."""
    whole = start + (stop - start) // 8 * 8
    for pixel in range(start, whole, 8):
        mass = fill(ZERO)
        for label in folded:
            mass = add(mass, load(probs, label * pixels + pixel))
        store(rest, pixel, mass)
        store(log_rest, pixel, log(mass) if len(folded) > 0 else fill(NEVER))
    for pixel in range(whole, stop):
        rest[pixel] = ZERO
        for label in folded:
            rest[pixel] += item(probs, label * pixels + pixel)
        log_rest[pixel] = np.log(rest[pixel]) if len(folded) > 0 else NEVER


@jit
def pack(probs, live, log_rest, unary, pixels, width, start, stop):
    """Lays the logarithms of the live labels' probabilities pixel by pixel.

    probs: flat, label by label. log_rest: of what the other labels have together; it is laid behind the live ones
    where there is a lane left. Lanes without a label never win.
    """
    labels = len(live)
    for block in range(start, stop, BLOCK):
        end = min(block + BLOCK, stop)
        for lane in range(width):
            for pixel in range(block, end):
                unary[pixel * width + lane] = item(probs, live[lane] * pixels + pixel) if lane < labels else ONE
        for pixel in range(block, end):
            for lane in range(0, width, 8):
                share = load(unary, pixel * width + lane)
                store(unary, pixel * width + lane, log(larger(share, fill(SMALLEST))))
            for lane in range(labels, width):
                unary[pixel * width + lane] = item(log_rest, pixel) if lane == labels else NEVER


@jit
def soften(unary, rest, holds, q, width, start, stop):
    """q = softmax(unary), among all labels; the arguments are those of `update`."""
    apart = len(rest) > 0
    for pixel in range(start, stop):
        mass = fill(ZERO)
        for lane in range(0, width, 8):
            share = exp(load(unary, pixel * width + lane))
            mass = add(mass, share)
            store(q, pixel * width + lane, mul(share, load(holds, lane)))
        mass = total(mass)
        if apart:
            mass = add(mass, exp(fill(item(rest, pixel))))
        for lane in range(0, width, 8):
            store(q, pixel * width + lane, div(load(q, pixel * width + lane), mass))


@jit
def unpack(q, live, folded, probs, rest, out, pixels, width, start, stop):
    """out (flat, label by label) from q; what q leaves to the folded labels is shared as probs has it."""
    left = np.empty(BLOCK, np.float32)
    for block in range(start, stop, BLOCK):
        many = min(BLOCK, stop - block)
        for i in range(many):
            left[i] = ONE
        for lane in range(len(live)):
            first = live[lane] * pixels + block
            for i in range(many):
                share = item(q, (block + i) * width + lane)
                out[first + i] = share
                left[i] -= share
        for i in range(many):
            left[i] = max(item(left, i), ZERO) / item(rest, block + i)
        for label in folded:
            first = label * pixels + block
            for i in range(many):
                out[first + i] = item(left, i) * item(probs, first + i)


@jit
def winners(q, live, labels, width, start, stop):
    """labels (N,): each pixel's most probable label, the first of equals. No folded label can win."""
    for pixel in range(start, stop):
        best = fill(ZERO)
        for lane in range(0, width, 8):
            best = larger(best, load(q, pixel * width + lane))
        best = largest(best)
        for lane in range(0, width, 8):
            winner = first_equal(load(q, pixel * width + lane), best)
            if winner < 8:
                labels[pixel] = live[lane + winner]
                break


@inlined
def _listen(values1, ids1, weights1, gain1, corners1, values2, ids2, weights2, gain2, corners2, row, width, pixel):
    """row[:width] = both kernels' messages to one pixel."""
    for lane in range(0, width, 8):
        far, near = fill(ZERO), fill(ZERO)
        for k in range(corners1):
            corner = np.int64(item(ids1, corners1 * pixel + k)) * width + lane
            far = muladd(fill(item(weights1, corners1 * pixel + k)), load(values1, corner), far)
        for k in range(corners2):
            corner = np.int64(item(ids2, corners2 * pixel + k)) * width + lane
            near = muladd(fill(item(weights2, corners2 * pixel + k)), load(values2, corner), near)
        store(row, lane, muladd(fill(item(gain1, pixel)), far, mul(fill(item(gain2, pixel)), near)))


@inlined
def _update(
    values1,
    ids1,
    weights1,
    gain1,
    corners1,
    values2,
    ids2,
    weights2,
    gain2,
    corners2,
    stale,
    unary,
    rest,
    costs,
    holds,
    q,
    soft,
    relax,
    least,
    decided,
    labels,
    row,
    moved,
    steps,
    width,
    start,
    stop,
):
    change, travelled, count = ZERO, 0.0, 0
    apart, potts = len(rest) > 0, len(costs) == 0
    for pixel in range(start, stop):
        if not item(stale, pixel):
            continue
        _listen(
            values1, ids1, weights1, gain1, corners1, values2, ids2, weights2, gain2, corners2, row, width, pixel
        )
        folded = fill(item(rest, pixel) if apart else NEVER)
        high = folded
        for lane in range(0, width, 8):
            score = load(unary, pixel * width + lane)
            if potts:
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
        mass = total(mass)
        if apart:
            mass = add(mass, exp(sub(folded, high)))
        scale = div(fill(ONE), mass)  # the winner's probability too: its share is 1
        softness = max(ONE - first_lane(scale), FLOOR)
        soft[pixel] = softness
        biggest, all_ = fill(ZERO), fill(ZERO)
        for lane in range(0, width, 8):
            new = mul(mul(load(row, width + lane), load(holds, lane)), scale)
            step = sub(new, load(q, pixel * width + lane))
            store(row, lane, step)
            biggest = larger(biggest, size(step))
            all_ = add(all_, size(step))
        by = first_lane(largest(biggest))
        if by == ZERO or (by <= least and softness <= decided):
            continue
        change = max(change, by)
        travelled += first_lane(total(all_))
        for lane in range(0, width, 8):
            at = pixel * width + lane
            step = mul(load(row, lane), fill(relax))
            store(q, at, add(load(q, at), step))
            store(steps, (start + count) * width + lane, step)
        moved[start + count] = pixel
        count += 1
    return relax * change, travelled, count


@jit
def update(
    values1,
    ids1,
    weights1,
    gain1,
    values2,
    ids2,
    weights2,
    gain2,
    stale,
    unary,
    rest,
    costs,
    holds,
    q,
    soft,
    relax,
    least,
    decided,
    labels,
    row,
    moved,
    steps,
    width,
    start,
    stop,
):
    """Q <- Q + relax (softmax(unary - cost of both kernels' messages) - Q).

    stale: pixels to look at. unary: log probabilities of the live labels. rest: those of all folded labels
    together, or empty where unary holds them in a lane of its own. costs: (width, width) label compatibilities, or
    empty for Potts. labels: how many lanes hold one; holds: 1 in these, else 0. row: 2 * width numbers to work in.
    soft: how probable it is that the winner is wrong, at least FLOOR: a pixel of softness s answers to messages
    that change by at most d with at most s (exp(2 d) - 1). A pixel stays where it is if the update would move no
    marginal by more than `least` and its softness is at most `decided`. Pixels that moved are listed in
    moved[start:], what was added to them in steps. Returns the largest change of a marginal, the sum of all changes
    (absolute, as if relax were 1), and how many pixels moved.
    """
    # compiled apart: rows stay in registers, and the corners of an RGB image's lattices are counted beforehand
    corners1, corners2 = len(ids1) // len(gain1), len(ids2) // len(gain2)
    if corners1 != 6 or corners2 != 3:
        return _update(
            values1,
            ids1,
            weights1,
            gain1,
            corners1,
            values2,
            ids2,
            weights2,
            gain2,
            corners2,
            stale,
            unary,
            rest,
            costs,
            holds,
            q,
            soft,
            relax,
            least,
            decided,
            labels,
            row,
            moved,
            steps,
            width,
            start,
            stop,
        )
    if width == 8:
        return _update(
            values1,
            ids1,
            weights1,
            gain1,
            6,
            values2,
            ids2,
            weights2,
            gain2,
            3,
            stale,
            unary,
            rest,
            costs,
            holds,
            q,
            soft,
            relax,
            least,
            decided,
            labels,
            row,
            moved,
            steps,
            8,
            start,
            stop,
        )
    return _update(
        values1,
        ids1,
        weights1,
        gain1,
        6,
        values2,
        ids2,
        weights2,
        gain2,
        3,
        stale,
        unary,
        rest,
        costs,
        holds,
        q,
        soft,
        relax,
        least,
        decided,
        labels,
        row,
        moved,
        steps,
        width,
        start,
        stop,
    )
