"""The compiled mean-field update, Krähenbühl and Koltun (2011), algorithm 1: message, compatibility, softmax.

`update` looks at some pixels and tells who changed; `update_all` computes every pixel and keeps nothing else;
`backward` is its derivative. All three are made of the same pieces. Rows of marginals, scores and gradients are
`width` labels wide, a multiple of eight, laid flat (N L). A kernel comes as one tuple:

    values   (M L)        its lattice's values of the marginals, splatted and blurred
    ids      (N (d + 1))  every pixel's corners
    weights  (N (d + 1))  and what they count
    gain     (N,)         what a pixel multiplies the mixture by: weight, normalisation, the lattice's constant

An RGB image's lattices have 6 and 3 corners a pixel. For these, and for the usual widths, loops are compiled apart:
loops over corners and lanes are written out, and a row stays in registers.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.lanes import (
    absolute,
    add,
    div,
    exp,
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
    store,
    sub,
    sum_all,
)
from dlseg.crf.lattice.jit.rows import NEVER

ZERO, ONE = np.float32(0), np.float32(1)
FLOOR = np.float32(1e-6)  # the least uncertainty: 1 - probability has no more digits in single precision


@inlined
def _message(values, ids, weights, corners, gain, pixel, width, lane):
    """Slicing: a kernel's message to one pixel about eight labels."""
    mixture = fill(ZERO)  # (8,)
    for c in range(corners):
        corner = np.int64(item(ids, corners * pixel + c)) * width + lane
        mixture = muladd(fill(item(weights, corners * pixel + c)), load(values, corner), mixture)
    return mul(fill(item(gain, pixel)), mixture)


@inlined
def _scores(unary, costs, labels, row, pixel, width):
    """row[width:] = log probabilities minus what the messages row[:width] cost; under Potts, plus the messages."""
    potts = len(costs) == 0
    for lane in range(0, width, 8):
        score = load(unary, pixel * width + lane)
        if potts:
            score = add(score, load(row, lane))
        else:
            for other in range(labels):
                score = muladd(fill(-item(row, other)), load(costs, other * width + lane), score)
        store(row, width + lane, score)


@inlined
def _exponentials(row, first, has_pruned, log_pruned, width):
    """row[first:] = exp(scores - the largest of them), of L scores; 1 / their sum, eight times.

    log_pruned: one more score, of all pruned labels together, where no lane of the row holds it. The largest score
    becomes exp(0) = 1: the result is its probability, too.
    """
    largest = fill(log_pruned)
    for lane in range(0, width, 8):
        largest = maximum(largest, load(row, first + lane))
    largest = max_all(largest)
    total = fill(ZERO)
    for lane in range(0, width, 8):
        share = exp(sub(load(row, first + lane), largest))
        store(row, first + lane, share)
        total = add(total, share)
    total = sum_all(total)
    if has_pruned:
        total = add(total, exp(sub(fill(log_pruned), largest)))
    return div(fill(ONE), total)


@jit
def softmax(scores, log_pruned, mask, q, row, width, start, stop):
    """q (N L) = softmax(scores), log_pruned (N,) or empty, among them; mask (L,): 0 at lanes that are no label."""
    has_pruned = len(log_pruned) > 0
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            store(row, lane, load(scores, pixel * width + lane))
        scale = _exponentials(row, 0, has_pruned, item(log_pruned, pixel) if has_pruned else NEVER, width)
        for lane in range(0, width, 8):
            store(q, pixel * width + lane, mul(mul(load(row, lane), load(mask, lane)), scale))


@inlined
def _update(k1, corners1, k2, corners2, model, state, limits, row, width, start, stop):
    # Taken apart here, once: in an inner loop every array taken from a tuple has its references counted.
    values1, ids1, weights1, gain1 = k1
    values2, ids2, weights2, gain2 = k2
    unary, log_pruned, costs, mask, labels = model
    q, pending, uncertainty, changed, deltas = state
    relax, tolerance, confident = limits
    largest_change, total_change, count = ZERO, 0.0, 0
    has_pruned = len(log_pruned) > 0
    for pixel in range(start, stop):
        if not item(pending, pixel):
            continue
        for lane in range(0, width, 8):
            message1 = _message(values1, ids1, weights1, corners1, gain1, pixel, width, lane)
            message2 = _message(values2, ids2, weights2, corners2, gain2, pixel, width, lane)
            store(row, lane, add(message1, message2))
        _scores(unary, costs, labels, row, pixel, width)
        scale = _exponentials(row, width, has_pruned, item(log_pruned, pixel) if has_pruned else NEVER, width)
        doubt = max(ONE - first_lane(scale), FLOOR)
        uncertainty[pixel] = doubt
        largest, total = fill(ZERO), fill(ZERO)
        for lane in range(0, width, 8):
            new = mul(mul(load(row, width + lane), load(mask, lane)), scale)
            delta = sub(new, load(q, pixel * width + lane))
            store(row, lane, delta)
            largest = maximum(largest, absolute(delta))
            total = add(total, absolute(delta))
        change = first_lane(max_all(largest))
        if change == ZERO or (change <= tolerance and doubt <= confident):
            continue
        largest_change = max(largest_change, change)
        total_change += first_lane(sum_all(total))
        for lane in range(0, width, 8):
            at = pixel * width + lane
            delta = mul(load(row, lane), fill(relax))
            store(q, at, add(load(q, at), delta))
            store(deltas, (start + count) * width + lane, delta)
        changed[start + count] = pixel
        count += 1
    return relax * largest_change, total_change, count


@jit
def update(k1, k2, model, state, limits, row, width, start, stop):
    """Q <- Q + relax (softmax(unary - cost of both kernels' messages) - Q) at the pending pixels of start .. stop.

    A pixel stays as it is where the update would move no marginal by more than `tolerance` and its uncertainty u is
    at most `confident`: a pixel whose winner has probability 1 - u answers to messages that change by at most d
    with at most u (exp(2 d) - 1).

    Args:
        k1, k2: the appearance and the smoothness kernel, as above.
        model: unary (N L) log probabilities; log_pruned (N,) that of all pruned labels together, or empty where a
            lane of unary holds it; costs (L L) label compatibilities, or empty for Potts; mask (L,) 1 at lanes that
            hold a label, else 0; labels, how many these are.
        state: q (N L); pending (N,) booleans; uncertainty (N,), written; changed (N,) and deltas (N L), written
            from place `start` on: the pixels that changed, and what was added to them.
        limits: relax, tolerance, confident.
        row: (2 L) numbers to work in.

    Returns:
        The largest change of a marginal; the sum of all changes (absolute, as if relax were 1); how many changed.
    """
    corners1, corners2 = len(k1[1]) // len(k1[3]), len(k2[1]) // len(k2[3])
    if corners1 != 6 or corners2 != 3:
        return _update(k1, corners1, k2, corners2, model, state, limits, row, width, start, stop)
    if width == 8:
        return _update(k1, 6, k2, 3, model, state, limits, row, 8, start, stop)
    return _update(k1, 6, k2, 3, model, state, limits, row, width, start, stop)


@inlined
def _update_all(k1, corners1, k2, corners2, unary, costs, labels, q, row, width, start, stop):
    values1, ids1, weights1, gain1 = k1
    values2, ids2, weights2, gain2 = k2
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            message1 = _message(values1, ids1, weights1, corners1, gain1, pixel, width, lane)
            message2 = _message(values2, ids2, weights2, corners2, gain2, pixel, width, lane)
            store(row, lane, add(message1, message2))
        _scores(unary, costs, labels, row, pixel, width)
        scale = _exponentials(row, width, False, NEVER, width)
        for lane in range(0, width, 8):
            store(q, pixel * width + lane, mul(load(row, width + lane), scale))


@jit
def update_all(k1, k2, unary, costs, labels, q, row, width, start, stop):
    """q (N L) = softmax(unary - cost of both kernels' messages), at every pixel and for every label.

    costs: (L L), costs[l', l] what l' costs l, or empty for Potts. row: (2 L) numbers to work in.
    """
    corners1, corners2 = len(k1[1]) // len(k1[3]), len(k2[1]) // len(k2[3])
    if corners1 != 6 or corners2 != 3:
        _update_all(k1, corners1, k2, corners2, unary, costs, labels, q, row, width, start, stop)
    elif width == 24:
        _update_all(k1, 6, k2, 3, unary, costs, labels, q, row, 24, start, stop)
    elif width == 8:
        _update_all(k1, 6, k2, 3, unary, costs, labels, q, row, 8, start, stop)
    else:
        _update_all(k1, 6, k2, 3, unary, costs, labels, q, row, width, start, stop)


@inlined
def _softmax_backward(q, gradient, first, scores_gradient, total_gradient, pixel, width):
    mean = fill(ZERO)
    for lane in range(0, width, 8):
        mean = muladd(load(q, pixel * width + lane), load(gradient, first + lane), mean)
    mean = sum_all(mean)
    for lane in range(0, width, 8):
        at = pixel * width + lane
        back = mul(load(q, at), sub(load(gradient, first + lane), mean))
        store(scores_gradient, at, back)
        store(total_gradient, at, add(load(total_gradient, at), back))


@jit
def softmax_backward(q, gradient, scores_gradient, total_gradient, width, start, stop):
    """scores_gradient = q (gradient - <q, gradient>), and added to total_gradient: all (N L)."""
    for pixel in range(start, stop):
        _softmax_backward(q, gradient, pixel * width, scores_gradient, total_gradient, pixel, width)


@inlined
def _backward(k1, corners1, k2, corners2, weights, q, costs, labels, gradients, products, row, width, start, stop):
    values1, ids1, weights1, gain1 = k1
    values2, ids2, weights2, gain2 = k2
    w1, w2 = weights
    scores_gradient, total_gradient = gradients
    potts, matrices = len(costs) == 0, len(products) > 2
    trace1, trace2 = fill(ZERO), fill(ZERO)
    for pixel in range(start, stop):
        for lane in range(0, width, 8):
            message1 = _message(values1, ids1, weights1, corners1, gain1, pixel, width, lane)
            message2 = _message(values2, ids2, weights2, corners2, gain2, pixel, width, lane)
            store(row, lane, muladd(fill(w1), message1, mul(fill(w2), message2)))
            if matrices:
                store(row, width + lane, message1)
                store(row, 2 * width + lane, message2)
            else:
                mine = load(q, pixel * width + lane)
                trace1, trace2 = muladd(message1, mine, trace1), muladd(message2, mine, trace2)
        if matrices:
            for label in range(labels):
                one, two = fill(item(row, width + label)), fill(item(row, 2 * width + label))
                for lane in range(0, width, 8):
                    mine = load(q, pixel * width + lane)
                    at, beyond = label * width + lane, (width + label) * width + lane
                    store(products, at, muladd(one, mine, load(products, at)))
                    store(products, beyond, muladd(two, mine, load(products, beyond)))
        first = np.int64(0)
        if not potts:
            first = np.int64(width)
            for lane in range(0, width, 8):
                charged = fill(ZERO)
                for other in range(labels):
                    charged = muladd(fill(-item(row, other)), load(costs, other * width + lane), charged)
                store(row, width + lane, charged)
        _softmax_backward(q, row, first, scores_gradient, total_gradient, pixel, width)
    if not matrices:
        products[0], products[1] = first_lane(sum_all(trace1)), first_lane(sum_all(trace2))


@jit
def backward(k1, k2, weights, q, costs, labels, gradients, products, row, width, start, stop):
    """`update_all`'s derivative, and that of the softmax before it.

    The filter is linear and its derivative its transpose: values are those of the gradient of the scores, filtered
    by the transposed kernels, and gain makes of them the gradient of a message, the weight left out.

    Args:
        weights: w1, w2.
        q: (N L) the marginals that sent the messages.
        costs: (L L), costs[l, l'] what l' costs l, or empty for Potts.
        gradients: that of the scores that q came from (N L), written; and the unary's (N L), added to.
        products: for either kernel the (L L) sums over pixels of gradient times marginal, added to; or, two numbers
            long, their traces: all that the weights' gradients need under Potts.
        row: (3 L) numbers to work in.
    """
    corners1, corners2 = len(k1[1]) // len(k1[3]), len(k2[1]) // len(k2[3])
    if corners1 != 6 or corners2 != 3:
        _backward(
            k1, corners1, k2, corners2, weights, q, costs, labels, gradients, products, row, width, start, stop
        )
    elif width == 24:
        _backward(k1, 6, k2, 3, weights, q, costs, labels, gradients, products, row, 24, start, stop)
    elif width == 8:
        _backward(k1, 6, k2, 3, weights, q, costs, labels, gradients, products, row, 8, start, stop)
    else:
        _backward(k1, 6, k2, 3, weights, q, costs, labels, gradients, products, row, width, start, stop)
