"""One Gaussian kernel on the lattice, normalised."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float32

from dlseg.crf.lattice.structure import Lattice

TINY = np.float32(1e-20)  # K&K's guard against dividing by nothing


class Side:
    """One kernel ready for use: its lattice, normalised.

    ids, weights: the lattice's, flat.
    send, get: what a pixel's labels are scaled with on their way in and out. bound: a field of ones, scaled and
    blurred, at each lattice point. reach: the largest row sum of the normalised kernel.
    """

    def __init__(self, lattice: Lattice, normalization: str) -> None:
        self.lattice, one = lattice, np.ones(lattice.pixels, np.float32)
        self.ids, self.weights = lattice.ids.ravel(), lattice.weights.ravel()
        spread = lattice.spread(one)
        sums = lattice.slice(spread)  # of the rows
        degree = sums + TINY
        self.send: Float32[np.ndarray, " N"] = one
        self.get: Float32[np.ndarray, " N"] = one
        if normalization == "after":
            self.get = 1 / degree
        elif normalization == "before":
            self.send = 1 / degree
        elif normalization == "symmetric":
            self.send = self.get = 1 / np.sqrt(degree)
        plain = self.send is one
        self.weight_of = lattice.weight_of if plain else lattice.weight_of * self.send[lattice.pixel_of]
        self.bound = spread if plain else lattice.spread(self.send)
        self.reach = float(np.max(self.get * (sums if plain else lattice.slice(self.bound))))

    @cached_property
    def weight_back(self) -> Float32[np.ndarray, " n"]:
        """weight_of of the transposed kernel, in which send and get change places."""
        if self.send is self.get:
            return self.weight_of
        return self.lattice.weight_of * self.get[self.lattice.pixel_of]

    def gain(self, weight: float, *, transpose: bool = False) -> Float32[np.ndarray, " N"]:
        """What a pixel multiplies the lattice's value with: weight, normalisation, the lattice's own constant."""
        return (self.send if transpose else self.get) * np.float32(weight * self.lattice.gain)

    def row(self, weight: float, pixel: int) -> Float32[np.ndarray, " N"]:
        """One row of the weighted, normalised kernel matrix."""
        unit = np.zeros_like(self.get)
        unit[pixel] = 1
        return np.float32(weight * self.get[pixel]) * self.lattice.filter(unit, transpose=True) * self.send
