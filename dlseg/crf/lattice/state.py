"""What an inference on the lattice starts from: the active labels of the unary, pixel by pixel.

Runs on the same unary share it: with new weights or sigmas only the iterations are new.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from dlseg.crf.lattice.buffers import aligned, borrow_workspace
from dlseg.crf.lattice.filter import GaussianFilter, row_width, splat_and_blur
from dlseg.crf.lattice.jit import rows
from dlseg.crf.lattice.threads import parallel, parts
from dlseg.crf.mean_field import Marginals

SMALL = 2**26  # bytes of lattice values that are worth keeping
Filters = tuple[GaussianFilter, GaussianFilter]  # the appearance and the smoothness kernel


class Unary:
    """Probabilities (C, N), and the initial state of the last run on them.

    peaks, means: (C,) each label's largest and mean probability.
    """

    def __init__(self, probs: Marginals, threads: int = 1) -> None:
        self.probs, self.threads = probs, threads
        self.parts = parts(probs.shape[1], threads)
        tasks = [(probs, *part) for part in self.parts]
        peaks, sums = zip(*parallel(_peaks_and_sums, tasks, threads), strict=True)
        self.peaks, self.means = np.max(peaks, axis=0), np.sum(sums, axis=0) / probs.shape[1]
        self._last: InitialState | None = None

    def initial_state(self, active: Int64[np.ndarray, " a"], pruned: Int64[np.ndarray, " b"]) -> InitialState:
        """The initial state with these active labels; that of the last run where it has the same ones."""
        if self._last is None or self._last.active.tolist() != active.tolist():
            self._last = None  # its memory is free before the new one is made
            self._last = InitialState(self, active, pruned)
        return self._last

    def release_values(self) -> None:
        """Frees the lattice values that were kept, and with them the lattices."""
        if self._last is not None:
            self._last.values = None


def _peaks_and_sums(probs: Marginals, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    return probs[:, start:stop].max(axis=1), probs[:, start:stop].sum(axis=1, dtype=np.float64)


class InitialState:
    """Read by many runs, changed by none.

    Attributes:
        active, pruned: label numbers, ascending.
        width: L, how long a pixel's row is: the active labels, filled up to a multiple of ROW.
        unary: (N L) log probabilities of the active labels, flat.
        mask: (L,) 1 where a row holds a label, else 0.
        mass: (N,) the pruned labels' probabilities, summed.
        log_pruned: (N,) the logarithm of that; empty where a lane of `unary` holds it.
        values: both lattices' values of the probabilities, for the last pair of kernels.
    """

    def __init__(self, unary: Unary, active: Int64[np.ndarray, " a"], pruned: Int64[np.ndarray, " b"]) -> None:
        self.active, self.pruned = active, pruned
        self.width = row_width(len(active))
        self.mask = (np.arange(self.width) < len(active)).astype(np.float32)
        pixels, flat = unary.probs.shape[1], unary.probs.ravel()
        self.mass, log_mass = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
        self.unary = aligned(pixels * self.width)
        for work, arguments in (
            (rows.sum_pruned, (flat, pruned, self.mass, log_mass, pixels)),
            (rows.pack_logs, (flat, active, log_mass, self.unary, pixels, self.width)),
        ):
            parallel(work, [(*arguments, *part) for part in unary.parts], unary.threads)
        self.log_pruned = np.empty(0, np.float32) if len(active) < self.width else log_mass
        self.values: InitialValues | None = None

    def lattice_values(self, filters: Filters, q: np.ndarray, threads: int) -> InitialValues | None:
        """The lattices' values of q (N L), the initial marginals: kept ones where they are these lattices'.

        None where they are too large to be kept.
        """
        if 4 * self.width * sum(f.lattice.points for f in filters) > SMALL:
            return None
        kept = self.values
        if kept is None or not all(mine is given for mine, given in zip(kept.filters, filters, strict=True)):
            self.values = None  # its memory is free before the new one is made
            kept = self.values = InitialValues(filters, self.width, q, threads)
        return kept


class InitialValues:
    """The values (M L) that both lattices have of the initial marginals."""

    def __init__(self, filters: Filters, width: int, q: np.ndarray, threads: int) -> None:
        self.filters, memory = filters, borrow_workspace(self)
        self.arrays = [memory.array(f"values {i}", f.lattice.points * width) for i, f in enumerate(filters)]
        splat_and_blur(filters, q, self.arrays, width, threads)
