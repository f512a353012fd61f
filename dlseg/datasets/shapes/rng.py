"""Randomness that is the same on every machine: drawn as integers, used through exact arithmetic.

NumPy promises the bit streams of `SeedSequence` and `PCG64`, not those of `Generator`'s distributions; so every
number here is made from raw 64-bit words by integer operations and by float operations that IEEE 754 rounds in one
way only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float

T = TypeVar("T")


class Dice:
    """Draws that depend on a key of non-negative integers and on nothing else."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def below(self, n: int) -> int:
        """An integer in [0, n), n at most 2³²."""
        return ((int(self._bits.random_raw()) >> 32) * n) >> 32

    def real(self, low: float, high: float) -> float:
        """A number in [low, high), uniform."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.real(0.0, 1.0) < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[self.below(len(items))]

    def uniform(self, height: int, width: int) -> Float[np.ndarray, "H W"]:
        """Independent numbers in [0, 1)."""
        words = self._bits.random_raw(height * width) >> np.uint64(11)
        return words.astype(np.float64).reshape(height, width) * 2.0**-53

    def grain(self, height: int, width: int) -> Float[np.ndarray, "H W 3"]:
        """Sensor noise, mean 0 and variance 1: four uniform 16-bit numbers, added, are near enough to normal."""
        words = self._bits.random_raw(height * width * 3)
        quarters = words.view(np.uint16).reshape(height, width, 3, 4)
        total = quarters[..., 0].astype(np.int64)
        for i in range(1, 4):
            total += quarters[..., i]
        # mean 2 · 65535; variance 4 · (65536² − 1) / 12
        return (total - 131070).astype(np.float64) / 37837.227
