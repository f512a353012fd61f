"""Mean field: all pixels' marginals are updated at once from messages of all others, repeatedly (section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from dlseg.crf.params import CRFParams, Number
from dlseg.crf.validation import softmax

Marginals = Float[np.ndarray, "C N"]
Labels = Int64[np.ndarray, " N"]
Cancel = Callable[[], bool] | None  # asked before every iteration
Compatibility = Float[np.ndarray, "C C"] | None


class Cancelled(Exception):
    """Inference was stopped between two iterations because its `cancel` returned True.

    >>> from dlseg.crf import CRFParams, DenseCRF
    >>> crf = DenseCRF(np.zeros((4, 6, 3), np.uint8), probs=np.full((2, 4, 6), 0.5))
    >>> crf.infer(CRFParams(iterations=5), cancel=lambda: True)
    Traceback (most recent call last):
    dlseg.crf.mean_field.Cancelled: stopped by cancel before 5 iterations were done
    """


def ask(cancel: Cancel, iterations: int) -> None:
    """Raises Cancelled where `cancel` returns True."""
    if cancel is not None and cancel():
        raise Cancelled(f"stopped by cancel before {iterations} iterations were done")


@runtime_checkable
class Run(Protocol):
    """One mean-field inference under way; Q starts as the softmax of -unary."""

    def advance(self, relax: Number = 1.0) -> float:
        """One iteration: Q <- (1 - relax) Q + relax * update. Returns the largest change of any marginal."""

    def marginals(self) -> Marginals:
        """Q now: (C, N), every pixel's labels sum to one."""

    def labels(self) -> Labels:
        """Every pixel's most probable label, the first of equals."""

    def pairwise_energy(self) -> float:
        """The pair terms of the free energy at Q."""


@runtime_checkable
class Kernel(Protocol):
    """How pixels weigh each other: builds what the parameters need, keeps what they did not change."""

    def start(self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, shortcuts: bool) -> Run:
        """A run from probabilities, none of them 0; shortcuts: whether what hardly matters may be left out."""

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        """This pixel's row of both weighted, normalised kernels: (N,) appearance, (N,) smoothness."""


class ParallelRun:
    """Mean field as the equation has it, for any kernel that can compute messages; plain numpy."""

    def __init__(
        self, unary: Marginals, messages: Callable[[Marginals], Marginals], compatibility: Compatibility
    ) -> None:
        self.unary, self.messages, self.compatibility = unary, messages, compatibility
        self.q = softmax(-unary)

    def advance(self, relax: Number = 1.0) -> float:
        new = softmax(-self.unary - penalty(self.messages(self.q), self.compatibility))
        return self.move(new, relax)

    def move(self, new: Marginals, relax: Number) -> float:
        step = (relax * (new - self.q)).astype(self.q.dtype)
        self.q = self.q + step
        return float(np.abs(step).max())

    def marginals(self) -> Marginals:
        return self.q

    def labels(self) -> Labels:
        return self.q.argmax(axis=0).astype(np.int64)

    def pairwise_energy(self) -> float:
        return pairwise_energy(self.q, self.messages(self.q), self.compatibility)


def penalty(messages: Marginals, compatibility: Float[np.ndarray, "C C"] | None) -> Marginals:
    """What the other pixels' messages cost each label: sum over l' of mu(l, l') messages(l'). None is Potts."""
    if compatibility is None:
        return messages.sum(axis=0) - messages
    return compatibility @ messages


def free_energy(q: Marginals, unary: Marginals, pairwise: float) -> float:
    """F(Q) = sum Q log Q + sum Q unary + pairwise: the Kullback-Leibler distance to the CRF, up to log Z."""
    q64 = q.astype(np.float64)
    entropy = float(np.sum(q64 * np.log(np.maximum(q64, 1e-300))))
    return entropy + float(np.sum(q64 * unary)) + pairwise


def pairwise_energy(q: Marginals, messages: Marginals, compatibility: Float[np.ndarray, "C C"] | None) -> float:
    """Half the sum over ordered pairs i, j of K_ij Q_i(l) mu(l, l') Q_j(l'): each unordered pair counts once.

    With the self term (j = i) its half enters too: the energy that the update then lowers.
    """
    return 0.5 * float(np.sum(q.astype(np.float64) * penalty(messages.astype(np.float64), compatibility)))
