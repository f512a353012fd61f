"""Labels that cannot win anywhere are not iterated: which those are, and what that costs at most.

With Potts and weights w >= 0 no message is negative, and a message about label l is at most r * max_j Q_j(l), where
r bounds the row sums of w1 K1 + w2 K2. So if P(l) is the label's largest probability before the CRF, its largest
marginal q_t after t iterations obeys q_{t+1} <= P(l) exp(r q_t). Where that recursion settles at a small q, the
label stays below q at every pixel in every iteration. Such a label may be folded: it keeps its place in the
normaliser with no messages of its own. A pixel's marginal of it then comes out too small by a factor of at most
exp(r q), so by at most p exp(r q) (exp(r q) - 1) where its probability before the CRF is p. Averaged over the
pixels and summed over the folded labels that is the error of one iteration, and labels are folded, the cheapest
ones first, as long as it stays within BUDGET. It scales the messages of the other labels alike and tilts none of
them against another, so that it is not amplified where they are even.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64

MOST = 0.05  # a label that might exceed this anywhere, or a C-th, which can win, stays live
BUDGET = 1e-4  # what folding may cost, as mean total variation distance of the marginals of one iteration
SLACK = 0.99  # the least that a pixel's probabilities sum to: inputs are checked to 1 % in half precision


class Folding(NamedTuple):
    """live, folded: label numbers, ascending. bound: no folded label's marginal exceeds it at any pixel, ever."""

    live: Int64[np.ndarray, " a"]
    folded: Int64[np.ndarray, " b"]
    bound: float


def fold(peaks: Float32[np.ndarray, " C"], means: Float[np.ndarray, " C"], reach: float) -> Folding:
    """Divides the labels.

    peaks, means: each label's largest and mean probability. reach: r, the largest row sum of the kernels.
    """
    most = min(MOST, 1 / len(peaks))
    ceilings = np.array([_ceiling(float(peak) / SLACK, reach, most) for peak in peaks])
    with np.errstate(over="ignore", invalid="ignore"):
        rises = np.exp(reach * ceilings)
        costs = np.where(ceilings <= most, means / SLACK * rises * (rises - 1), np.inf)
    cheapest = np.argsort(costs, kind="stable")
    many = int(np.searchsorted(np.cumsum(costs[cheapest]), BUDGET, side="right"))
    folded, live = np.sort(cheapest[:many]), np.sort(cheapest[many:])
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
