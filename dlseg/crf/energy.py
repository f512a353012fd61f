"""The energy that mean field lowers, with every pair of pixels counted once (paper, section 4)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Marginals = Float[np.ndarray, "C N"]


def penalty(messages: Marginals, compatibility: Float[np.ndarray, "C C"] | None) -> Marginals:
    """What the other pixels charge each label: sum over l' of mu(l, l') messages(l'). None is Potts."""
    if compatibility is None:
        return messages.sum(axis=0) - messages
    return compatibility @ messages


def free_energy(q: Marginals, unary: Marginals, pairwise: float) -> float:
    """F(Q) = sum Q log Q + sum Q unary + pairwise: the Kullback-Leibler distance to the CRF, up to log Z."""
    q64 = q.astype(np.float64)
    entropy = float(np.sum(q64 * np.log(np.maximum(q64, 1e-300))))
    return entropy + float(np.sum(q64 * unary)) + pairwise


def pairwise_energy(q: Marginals, messages: Marginals,
                    compatibility: Float[np.ndarray, "C C"] | None) -> float:
    """Half the sum over ordered pairs i, j of K_ij Q_i(l) mu(l, l') Q_j(l'): each unordered pair counts once.

    With the self term (j = i) its half enters too: the energy that the update then lowers.
    """
    return 0.5 * float(np.sum(q.astype(np.float64) * penalty(messages.astype(np.float64), compatibility)))
