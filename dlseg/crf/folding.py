"""Labels that cannot win anywhere are not iterated: which those are, and how large they could have become.

With Potts and weights w >= 0 no message is negative, and a message about label l is at most r * max_j Q_j(l), where
r bounds the row sums of w1 K1 + w2 K2. So if P(l) is the label's largest probability before the CRF, its largest
marginal q_t after t iterations obeys q_{t+1} <= P(l) exp(r q_t). Where that recursion settles at a small q, the
label stays below q at every pixel in every iteration. Such labels are folded: they keep their place in the
normaliser with no messages of their own, so none of their marginals is reported more than q too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

MOST = 0.05  # a label that might exceed this anywhere, or a C-th, which can win, stays live


class Folding(NamedTuple):
    """live, folded: label numbers, ascending. bound: no folded label's marginal exceeds it at any pixel, ever."""

    live: Int64[np.ndarray, " a"]
    folded: Int64[np.ndarray, " b"]
    bound: float


def fold(peaks: Float32[np.ndarray, " C"], reach: float) -> Folding:
    """Divides the labels. peaks: each label's largest probability. reach: r, the largest row sum of the kernels."""
    most = min(MOST, 1 / len(peaks))
    ceilings = np.array([_ceiling(float(peak), reach, most) for peak in peaks])
    live = np.flatnonzero(ceilings > most)
    folded = np.flatnonzero(ceilings <= most)
    return Folding(live, folded, float(ceilings[folded].max(initial=0.0)))


def filled(folding: Folding, peaks: Float32[np.ndarray, " C"], row: int) -> Folding:
    """The folding with more labels live, the likeliest ones, where that costs nothing.

    Live labels are worked on in rows of `row`, one place of the last row being for all folded labels together. What
    is live then depends less on the parameters, and what is kept from one run is of use to the next.
    """
    used = len(folding.live) % row
    free = row - used - 1 if used else 0
    if used and len(folding.folded) <= free + 1:
        free += 1
    likeliest = folding.folded[np.argsort(-peaks[folding.folded], kind="stable")]
    live = np.sort(np.concatenate([folding.live, likeliest[:free]]))
    folded = np.sort(likeliest[free:])
    return Folding(live, folded, folding.bound if len(folded) else 0.0)


def _ceiling(peak: float, reach: float, most: float) -> float:
    """A q with peak * exp(reach * q) <= q, near the least one, or infinity where that exceeds `most`.

    The recursion rises towards the least one; a little above it the inequality holds, and nothing below q can
    lead beyond q.
    """
    q = peak
    for _ in range(1000):
        bound = q * (1 + 1e-4)
        if bound > most:
            break
        if peak * _exp(reach * bound) <= bound:
            return bound
        q = peak * _exp(reach * q)
    return float("inf")


def _exp(x: float) -> float:
    return float(np.exp(min(x, 700.0)))  # beyond it there is no double; no bound is that large
