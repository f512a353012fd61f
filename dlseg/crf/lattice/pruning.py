"""Labels that cannot win at any pixel are not iterated: which these are, and what that costs at most.

With Potts and weights w >= 0 no message is negative, and a message about label l is at most r * max_j Q_j(l), where
r bounds the row sums of w1 K1 + w2 K2. So if P(l) is the label's largest probability before the CRF, its largest
marginal q_t after t iterations obeys q_{t+1} <= P(l) exp(r q_t). Where that recursion settles at a small q, the
label stays below q at every pixel in every iteration. Such a label may be pruned: it stays in the softmax's
denominator, but receives no messages. A pixel's marginal of it then comes out too small by a factor of at most
exp(r q), so by at most p exp(r q) (exp(r q) - 1) where its probability before the CRF is p. Averaged over the
pixels and summed over the pruned labels that is the error of one iteration, and labels are pruned, the cheapest
ones first, as long as it stays within BUDGET. It scales the messages of the other labels alike and favours none of
them over another, so that it is not amplified where they are nearly equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64

MAX_MARGINAL = 0.05  # a label that might exceed this anywhere, or 1 / C, with which it can win, stays active
BUDGET = 1e-4  # what pruning may cost, as mean total variation distance of the marginals of one iteration
LEAST_SUM = 0.99  # of a pixel's probabilities: inputs are checked to 1 % in half precision


class Pruning(NamedTuple):
    """active, pruned: label numbers, ascending. bound: no pruned label's marginal ever exceeds it at any pixel."""

    active: Int64[np.ndarray, " a"]
    pruned: Int64[np.ndarray, " b"]
    bound: float


def prune(peaks: Float32[np.ndarray, " C"], means: Float[np.ndarray, " C"], row_sum: float) -> Pruning:
    """Divides the labels.

    Args:
        peaks, means: (C,) each label's largest and mean probability.
        row_sum: r, the largest row sum of the weighted kernels.
    """
    most = min(MAX_MARGINAL, 1 / len(peaks))
    bounds = np.array([_marginal_bound(float(peak) / LEAST_SUM, row_sum, most) for peak in peaks])
    with np.errstate(over="ignore", invalid="ignore"):
        factors = np.exp(row_sum * bounds)
        costs = np.where(bounds <= most, means / LEAST_SUM * factors * (factors - 1), np.inf)
    cheapest = np.argsort(costs, kind="stable")
    many = int(np.searchsorted(np.cumsum(costs[cheapest]), BUDGET, side="right"))
    pruned, active = np.sort(cheapest[:many]), np.sort(cheapest[many:])
    return Pruning(active, pruned, float(bounds[pruned].max(initial=0.0)))


def fill_rows(pruning: Pruning, peaks: Float32[np.ndarray, " C"], row: int) -> Pruning:
    """The same with more labels active, the most probable ones, where that costs nothing.

    Active labels are worked on in rows of `row`, one place of the last row being for all pruned labels together.
    Which labels are active then depends less on the parameters, so that more is kept from one run to the next.
    """
    used = len(pruning.active) % row
    free = row - used - 1 if used else 0
    if used and len(pruning.pruned) <= free + 1:
        free += 1
    by_peak = pruning.pruned[np.argsort(-peaks[pruning.pruned], kind="stable")]
    active = np.sort(np.concatenate([pruning.active, by_peak[:free]]))
    pruned = np.sort(by_peak[free:])
    return Pruning(active, pruned, pruning.bound if len(pruned) else 0.0)


def _marginal_bound(peak: float, row_sum: float, most: float) -> float:
    """A q with peak * exp(row_sum * q) <= q, near the least one, or infinity where that exceeds `most`.

    The recursion rises towards the least one; a little above it the inequality holds, and nothing below q can
    lead beyond q.
    """
    q = peak
    for _ in range(1000):
        bound = q * (1 + 1e-4)
        if bound > most:
            break
        if peak * _exp(row_sum * bound) <= bound:
            return bound
        q = peak * _exp(row_sum * q)
    return float("inf")


def _exp(x: float) -> float:
    return float(np.exp(min(x, 700.0)))  # beyond it there is no double; no bound is that large
