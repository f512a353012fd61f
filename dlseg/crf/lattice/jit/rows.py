"""The compiled loops that turn (C, N) arrays, label by label, into rows of labels, pixel by pixel, and back.

Marginals, unaries and gradients are worked on as rows: (N, L) flat, L = `width` labels a row, a multiple of eight.
"""

from __future__ import annotations

import numpy as np

from dlseg.crf.lattice.jit.lanes import add, fill, first_equal, item, jit, load, log, max_all, maximum, store

ZERO, ONE = np.float32(0), np.float32(1)
SMALLEST = np.float32(1e-37)
BLOCK = 64  # pixels whose labels are laid out together: what is written is still in the cache when it is read
NEVER = np.float32(-1e30)  # the score of a lane without a label


@jit
def sum_pruned(probs, pruned, mass, log_mass, pixels, start, stop):
    """mass (N,): the sum of the pruned labels' probabilities; log_mass (N,): its logarithm. probs: (C N) flat."""
    whole = start + (stop - start) // 8 * 8
    for pixel in range(start, whole, 8):
        total = fill(ZERO)  # (8,) of eight pixels here
        for label in pruned:
            total = add(total, load(probs, label * pixels + pixel))
        store(mass, pixel, total)
        store(log_mass, pixel, log(total) if len(pruned) > 0 else fill(NEVER))
    for pixel in range(whole, stop):
        mass[pixel] = ZERO
        for label in pruned:
            mass[pixel] += item(probs, label * pixels + pixel)
        log_mass[pixel] = np.log(mass[pixel]) if len(pruned) > 0 else NEVER


@jit
def pack_logs(probs, active, log_mass, unary, pixels, width, start, stop):
    """unary (N L): logarithms of the active labels' probabilities (C N), pixel by pixel.

    Behind them, where a lane is left, log_mass: what the pruned labels have together takes part in the softmax as
    one label. Lanes without a label are NEVER chosen.
    """
    labels = len(active)
    for block in range(start, stop, BLOCK):
        end = min(block + BLOCK, stop)
        for lane in range(width):
            for pixel in range(block, end):
                unary[pixel * width + lane] = item(probs, active[lane] * pixels + pixel) if lane < labels else ONE
        for pixel in range(block, end):
            for lane in range(0, width, 8):
                share = load(unary, pixel * width + lane)
                store(unary, pixel * width + lane, log(maximum(share, fill(SMALLEST))))
            for lane in range(labels, width):
                unary[pixel * width + lane] = item(log_mass, pixel) if lane == labels else NEVER


@jit
def pack(field, rows, empty, labels, pixels, width, start, stop):
    """rows (N L) from a field (C N); `empty` where there is no label."""
    for block in range(start, stop, BLOCK):
        end = min(block + BLOCK, stop)
        for label in range(width):
            for pixel in range(block, end):
                rows[pixel * width + label] = item(field, label * pixels + pixel) if label < labels else empty


@jit
def unpack(q, active, pruned, probs, mass, out, pixels, width, start, stop):
    """out (C N) from rows q (N L); what q leaves to the pruned labels is shared as probs (C N) has it."""
    left = np.empty(BLOCK, np.float32)
    for block in range(start, stop, BLOCK):
        many = min(BLOCK, stop - block)
        for i in range(many):
            left[i] = ONE
        for lane in range(len(active)):
            first = active[lane] * pixels + block
            for i in range(many):
                share = item(q, (block + i) * width + lane)
                out[first + i] = share
                left[i] -= share
        if len(pruned) > 0:
            for i in range(many):
                left[i] = max(item(left, i), ZERO) / item(mass, block + i)
        for label in pruned:
            first = label * pixels + block
            for i in range(many):
                out[first + i] = item(left, i) * item(probs, first + i)


@jit
def winners(q, active, labels, width, start, stop):
    """labels (N,): each pixel's most probable label, the first of equals. No pruned label can win."""
    for pixel in range(start, stop):
        best = fill(ZERO)
        for lane in range(0, width, 8):
            best = maximum(best, load(q, pixel * width + lane))
        best = max_all(best)
        for lane in range(0, width, 8):
            winner = first_equal(load(q, pixel * width + lane), best)
            if winner < 8:
                labels[pixel] = active[lane + winner]
                break
