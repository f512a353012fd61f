"""The compiled loops of mean field with a gradient: an update, and what it hands back (../unrolled.py).

Rows of marginals, of scores and of gradients are `width` labels wide, a multiple of eight, laid flat; places
without a label hold 0, in scores NEVER. Every pixel is updated in every iteration.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.elementary import exp
from dlseg.crf.lattice.jit.lanes import (
    add,
    div,
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
    store,
    sub,
    total,
)
from dlseg.crf.lattice.jit.update import BLOCK, NEVER

ZERO, ONE = np.float32(0), np.float32(1)


@jit
def lay(field, rows, empty, labels, pixels, width, start, stop):
    """rows (N, width) from a field (C, N), both flat; `empty` where there is no label."""
    for block in range(start, stop, BLOCK):
        end = min(block + BLOCK, stop)
        for label in range(width):
            for pixel in range(block, end):
                rows[pixel * width + label] = item(field, label * pixels + pixel) if label < labels else empty


@jit
def lift(rows, field, labels, pixels, width, start, stop):
    """A field (C, N) from rows (N, width), both flat."""
    for block in range(start, stop, BLOCK):
        end = min(block + BLOCK, stop)
        for label in range(labels):
            for pixel in range(block, end):
                field[label * pixels + pixel] = item(rows, pixel * width + label)


@inlined
def _heard(values, ids, weights, corners, scale, pixel, width, lane):
    """What a lattice says to one pixel about eight labels, times `scale`."""
    sum_ = fill(ZERO)
    for k in range(corners):
        corner = np.int64(item(ids, corners * pixel + k)) * width + lane
        sum_ = muladd(fill(item(weights, corners * pixel + k)), load(values, corner), sum_)
    return mul(fill(scale), sum_)


@inlined
def _soften(row, first, q, pixel, width):
    """q's row = softmax(row[first : first + width])."""
    high = fill(NEVER)
    for lane in range(0, width, 8):
        high = larger(high, load(row, first + lane))
    high = largest(high)
    mass = fill(ZERO)
    for lane in range(0, width, 8):
        share = exp(sub(load(row, first + lane), high))
        store(q, pixel * width + lane, share)
        mass = add(mass, share)
    scale = div(fill(ONE), total(mass))
    for lane in range(0, width, 8):
        store(q, pixel * width + lane, mul(load(q, pixel * width + lane), scale))


@jit
def soften(scores, q, width, start, stop):
    """q = softmax(scores)."""
    for pixel in range(start, stop):
        _soften(scores, pixel * width, q, pixel, width)


@inlined
def _respond(
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
    scores,
    costs,
    labels,
    q,
    row,
    width,
    start,
    stop,
):
    potts = len(costs) == 0
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            far = _heard(values1, ids1, weights1, corners1, item(gain1, pixel), pixel, width, lane)
            near = _heard(values2, ids2, weights2, corners2, item(gain2, pixel), pixel, width, lane)
            store(row, lane, add(far, near))
        for lane in range(0, width, 8):
            score = load(scores, pixel * width + lane)
            if potts:
                score = add(score, load(row, lane))
            else:
                for other in range(labels):
                    score = muladd(fill(-item(row, other)), load(costs, other * width + lane), score)
            store(row, width + lane, score)
        _soften(row, width, q, pixel, width)


@jit
def respond(
    values1,
    ids1,
    weights1,
    gain1,
    values2,
    ids2,
    weights2,
    gain2,
    scores,
    costs,
    labels,
    q,
    row,
    width,
    start,
    stop,
):
    """q = softmax(scores - costs of both kernels' messages), at every pixel.

    gain: (N,) what a lattice's value is multiplied with to be a message. costs: (width, width), costs[l', l] what
    l' charges l, or empty for Potts. row: 2 * width numbers to work in.
    """
    corners1, corners2 = len(ids1) // len(gain1), len(ids2) // len(gain2)
    if corners1 != 6 or corners2 != 3:
        _respond(
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
            scores,
            costs,
            labels,
            q,
            row,
            width,
            start,
            stop,
        )
    elif width == 24:
        _respond(
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
            scores,
            costs,
            labels,
            q,
            row,
            24,
            start,
            stop,
        )
    elif width == 8:
        _respond(
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
            scores,
            costs,
            labels,
            q,
            row,
            8,
            start,
            stop,
        )
    else:
        _respond(
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
            scores,
            costs,
            labels,
            q,
            row,
            width,
            start,
            stop,
        )


@inlined
def _through_softmax(q, gradient, first, step, into, pixel, width):
    """step = q (gradient - <q, gradient>), the softmax's derivative; added to `into` too."""
    mean = fill(ZERO)
    for lane in range(0, width, 8):
        mean = muladd(load(q, pixel * width + lane), load(gradient, first + lane), mean)
    mean = total(mean)
    for lane in range(0, width, 8):
        at = pixel * width + lane
        back = mul(load(q, at), sub(load(gradient, first + lane), mean))
        store(step, at, back)
        store(into, at, add(load(into, at), back))


@jit
def through_softmax(q, gradient, step, into, width, start, stop):
    """step = q (gradient - <q, gradient>) at every pixel; added to `into` too."""
    for pixel in range(start, stop):
        _through_softmax(q, gradient, pixel * width, step, into, pixel, width)


@inlined
def _hand_back(
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
    weight1,
    weight2,
    q,
    costs,
    labels,
    step,
    into,
    products,
    row,
    width,
    start,
    stop,
):
    potts = len(costs) == 0
    both = len(products) > 2
    one, two = fill(ZERO), fill(ZERO)
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            far = _heard(values1, ids1, weights1, corners1, item(gain1, pixel), pixel, width, lane)
            near = _heard(values2, ids2, weights2, corners2, item(gain2, pixel), pixel, width, lane)
            store(row, lane, muladd(fill(weight1), far, mul(fill(weight2), near)))
            if both:
                store(row, width + lane, far)
                store(row, 2 * width + lane, near)
            else:
                mine = load(q, pixel * width + lane)
                one, two = muladd(far, mine, one), muladd(near, mine, two)
        if both:
            for label in range(labels):
                for lane in range(0, width, 8):
                    mine = load(q, pixel * width + lane)
                    far, near = fill(item(row, width + label)), fill(item(row, 2 * width + label))
                    at, beyond = label * width + lane, (width + label) * width + lane
                    store(products, at, muladd(far, mine, load(products, at)))
                    store(products, beyond, muladd(near, mine, load(products, beyond)))
        first = np.int64(0)
        if not potts:
            first = np.int64(width)
            for lane in range(0, width, 8):
                sum_ = fill(ZERO)
                for other in range(labels):
                    sum_ = muladd(fill(-item(row, other)), load(costs, other * width + lane), sum_)
                store(row, width + lane, sum_)
        _through_softmax(q, row, first, step, into, pixel, width)
    if not both:
        products[0] = first_lane(total(one))
        products[1] = first_lane(total(two))


@jit
def hand_back(
    values1,
    ids1,
    weights1,
    gain1,
    values2,
    ids2,
    weights2,
    gain2,
    weight1,
    weight2,
    q,
    costs,
    labels,
    step,
    into,
    products,
    row,
    width,
    start,
    stop,
):
    """`respond`'s derivative, and that of the softmax before it.

    values: the lattices' values of the gradient of the scores, filtered by the transposed kernels. gain: (N,) what
    makes of them the gradient of a message, the weights left out. q: the marginals that sent the messages. costs:
    (width, width), costs[l, l'] what l' charges l, or empty for Potts. step: the gradient of the scores that q came
    from; added to `into`. products: for either kernel the (width, width) sums over pixels of gradient times
    marginal, added to; or, two numbers long, their traces. row: 3 * width numbers to work in.
    """
    corners1, corners2 = len(ids1) // len(gain1), len(ids2) // len(gain2)
    if corners1 != 6 or corners2 != 3:
        _hand_back(
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
            weight1,
            weight2,
            q,
            costs,
            labels,
            step,
            into,
            products,
            row,
            width,
            start,
            stop,
        )
    elif width == 24:
        _hand_back(
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
            weight1,
            weight2,
            q,
            costs,
            labels,
            step,
            into,
            products,
            row,
            24,
            start,
            stop,
        )
    elif width == 8:
        _hand_back(
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
            weight1,
            weight2,
            q,
            costs,
            labels,
            step,
            into,
            products,
            row,
            8,
            start,
            stop,
        )
    else:
        _hand_back(
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
            weight1,
            weight2,
            q,
            costs,
            labels,
            step,
            into,
            products,
            row,
            width,
            start,
            stop,
        )
