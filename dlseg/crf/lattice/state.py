"""What a run on the lattice starts from: the live labels of the unary, pixel by pixel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from dlseg.crf.lattice.buffers import borrowed, room
from dlseg.crf.lattice.filter import Side
from dlseg.crf.lattice.jit import update
from dlseg.crf.lattice.threads import parts, share
from dlseg.crf.mean_field import Marginals

ROW = 8  # labels worked on together
SMALL = 2**26  # bytes
Sides = tuple[Side, Side]


class Unary:
    """Probabilities (C, N), and where the last run on them started."""

    def __init__(self, probs: Marginals, threads: int = 1) -> None:
        self.probs, self.threads = probs, threads
        self.parts = parts(probs.shape[1], threads)
        peaks, sums = zip(*share(_peaks_and_sums, [(probs, *part) for part in self.parts], threads), strict=True)
        self.peaks, self.means = np.max(peaks, axis=0), np.sum(sums, axis=0) / probs.shape[1]
        self.kept: Start | None = None

    def start(self, live: Int64[np.ndarray, " a"], folded: Int64[np.ndarray, " b"]) -> Start:
        """The start with these labels, kept for the next run."""
        if self.kept is None or self.kept.live.tolist() != live.tolist():
            self.kept = None  # gone before the new one takes its room
            self.kept = Start(self, live, folded)
        return self.kept

    def forget_values(self) -> None:
        """Lets go of the lattices that the last run's values belong to."""
        if self.kept is not None:
            self.kept.first = None


def _peaks_and_sums(probs: Marginals, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    return probs[:, start:stop].max(axis=1), probs[:, start:stop].sum(axis=1, dtype=np.float64)


class Start:
    """Read by many runs, changed by none.

    width: how many labels a pixel's row holds, the live ones and what fills it up to a multiple of ROW. unary: log
    probabilities, flat, row by row. holds: 1 where a row holds a label, else 0. rest: what the folded labels have
    together; apart: its logarithm, empty where the unary's rows hold it. first: both lattices' values of the
    probabilities, for the last pair of kernels.
    """

    def __init__(self, unary: Unary, live: Int64[np.ndarray, " a"], folded: Int64[np.ndarray, " b"]) -> None:
        self.live, self.folded = live, folded
        self.width = -(-len(live) // ROW) * ROW
        self.holds = (np.arange(self.width) < len(live)).astype(np.float32)
        pixels, flat = unary.probs.shape[1], unary.probs.ravel()
        self.rest, log_rest = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
        share(
            update.sum_folded,
            [(flat, folded, self.rest, log_rest, pixels, *part) for part in unary.parts],
            unary.threads,
        )
        self.unary = room(pixels * self.width)
        share(
            update.pack,
            [(flat, live, log_rest, self.unary, pixels, self.width, *part) for part in unary.parts],
            unary.threads,
        )
        self.apart = np.empty(0, np.float32) if len(live) < self.width else log_rest
        self.first: First | None = None


class First:
    """The values that both lattices have of the probabilities that a start holds."""

    def __init__(self, sides: Sides, width: int) -> None:
        self.sides, memory = sides, borrowed(self)
        self.values = [
            memory.room(f"values {which}", side.lattice.points * width) for which, side in enumerate(sides)
        ]

    @staticmethod
    def is_small(sides: Sides, width: int) -> bool:
        """Whether they are worth their memory."""
        return 4 * width * sum(side.lattice.points for side in sides) <= SMALL

    def belongs_to(self, sides: Sides) -> bool:
        """Whether they are values on these very lattices."""
        return all(mine is theirs for mine, theirs in zip(self.sides, sides, strict=True))
