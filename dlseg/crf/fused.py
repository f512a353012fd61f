"""Mean field on the lattice, made fast: lattices kept, labels folded, only what moved splatted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from dlseg.crf.compiled import passes, update
from dlseg.crf.energy import pairwise_energy
from dlseg.crf.folding import Folding, fold
from dlseg.crf.lattice import Lattice
from dlseg.crf.mean_field import Compatibility, Labels, Marginals
from dlseg.crf.params import CRFParams, Number
from dlseg.crf.team import parts, room, share

TINY = np.float32(1e-20)  # K&K's guard against dividing by nothing
STILL = 1e-4  # a pixel none of whose marginals moved further than this is not splatted again
QUIET = np.float32(1e-4)  # a pixel none of whose messages changed by more than this share of all is left alone
ROOM = 2  # up to half of the pixels (of any part) are splatted as moves, more of them by splatting all anew


class Side:
    """One kernel ready for use: its lattice, normalised.

    send, get: what a pixel's labels are scaled with on their way in and out. bound: a field of ones, scaled and
    blurred, at each lattice point. reach: the largest row sum of the normalised kernel.
    """

    def __init__(self, lattice: Lattice, normalization: str) -> None:
        self.lattice, one = lattice, np.ones(lattice.pixels, np.float32)
        spread = lattice.spread(one)
        degree = lattice.slice(spread) + TINY  # row sums
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
        self.reach = float(np.max(self.get * lattice.slice(self.bound)))

    def gain(self, weight: float) -> Float32[np.ndarray, " N"]:
        """What a pixel multiplies the lattice's value with: weight, normalisation, the lattice's own constant."""
        return self.get * np.float32(weight * self.lattice.gain)

    def row(self, weight: float, pixel: int) -> Float32[np.ndarray, " N"]:
        """One row of the weighted, normalised kernel matrix."""
        unit = np.zeros_like(self.get)
        unit[pixel] = 1
        return np.float32(weight * self.get[pixel]) * self.lattice.filter(unit, transpose=True) * self.send


class Unary:
    """Probabilities (C, N), and what every run on them needs to know."""

    def __init__(self, probs: Marginals) -> None:
        self.probs, self.peaks = probs, probs.max(axis=1)
        self.folded: list[int] | None = None

    def rest(self, folded: Int64[np.ndarray, " b"]) -> tuple[Float32[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
        """The sum of the folded labels' probabilities, and its logarithm; kept for the next run."""
        if self.folded != folded.tolist():
            total = np.zeros(self.probs.shape[1], np.float32)
            for label in folded:
                total += self.probs[label]
            self.folded = folded.tolist()
            self.kept = total, np.log(total) if self.folded else np.full_like(total, update.NEVER)
        return self.kept


class LatticeKernel:
    """Both Gaussian kernels by permutohedral lattices; a lattice is built again only where its sigmas changed."""

    def __init__(self, image: Float32[np.ndarray, "H W 3"], threads: int) -> None:
        self.width = image.shape[1]
        self.colours = image.reshape(-1, 3)
        self.threads = threads
        self.sides: list[tuple[tuple, Side] | None] = [None, None]
        self.unary: Unary | None = None  # of the last run

    def prepare(self, params: CRFParams) -> tuple[Side, Side]:
        """The appearance and the smoothness kernel under these parameters, kept or built."""
        alpha, beta, gamma = params.sigma_alpha, params.sigma_beta, params.sigma_gamma
        appearance = self._side(0, (alpha, alpha, beta, beta, beta), params.normalization)
        return appearance, self._side(1, (gamma, gamma), params.normalization)

    def _side(self, which: int, sigmas: tuple[float, ...], normalization: str) -> Side:
        kept = self.sides[which]
        if kept is not None and kept[0] == (sigmas, normalization):
            return kept[1]
        if kept is not None and kept[0][0] == sigmas:
            lattice = kept[1].lattice
        else:
            self.sides[which] = kept = None  # let the old lattice go before the new one takes its room
            lattice = Lattice(self.colours[:, : len(sigmas) - 2], self.width, sigmas, self.threads)
        side = Side(lattice, normalization)
        self.sides[which] = ((sigmas, normalization), side)
        return side

    def start(self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *,
              thorough: bool) -> LatticeRun:
        if self.unary is None or self.unary.probs is not probs:
            self.unary = Unary(probs)
        return LatticeRun(self, self.unary, params, compatibility, -1.0 if thorough else STILL)

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        appearance, smoothness = self.prepare(params)
        return appearance.row(params.w1, pixel), smoothness.row(params.w2, pixel)


class LatticeRun:
    """One inference: marginals of the live labels pixel by pixel, and both lattices' values."""

    def __init__(self, kernel: LatticeKernel, unary: Unary, params: CRFParams, compatibility: Compatibility,
                 still: float = STILL) -> None:
        self.threads = kernel.threads
        self.probs, self.compatibility, self.still = unary.probs, compatibility, np.float32(still)
        self.sides = kernel.prepare(params)
        self.gains = [side.gain(w) for side, w in zip(self.sides, (params.w1, params.w2), strict=True)]
        reach = params.w1 * self.sides[0].reach + params.w2 * self.sides[1].reach
        everything = Folding(np.arange(len(self.probs)), np.arange(0), 0.0)
        self.folding = everything if compatibility is not None else fold(unary.peaks, reach)
        self.rest, self.log_rest = unary.rest(self.folding.folded)
        self.parts = self.sides[0].lattice.pixel_parts
        self._lay_out()

    def _lay_out(self) -> None:
        live = self.folding.live
        pixels = self.probs.shape[1]
        self.width = -(-len(live) // 8) * 8
        self.unary, self.q = (room(pixels * self.width) for _ in range(2))
        self._share(update.pack, [(self.probs, live, self.rest, self.unary, self.q, self.width, *part)
                            for part in self.parts])
        points = [side.lattice.points for side in self.sides]
        self.values, self.changes = ([room(count * self.width) for count in points] for _ in range(2))
        for changes in self.changes:
            changes[:] = 0
        self.stale = np.empty(pixels, np.bool_)
        self.spaces = [(stop - start) // ROOM for start, stop in self.parts]
        self.firsts = [sum(self.spaces[:i]) for i in range(len(self.spaces))]
        self.moved = np.empty(sum(self.spaces), np.int32)
        self.steps = room(sum(self.spaces) * self.width)
        self.counts: list[int] | None = None  # how many moved in each part; None: splat everything
        costs = np.zeros((0 if self.compatibility is None else self.width, self.width), np.float32)
        if self.compatibility is not None:
            costs[: len(live), : len(live)] = self.compatibility
        self.costs = costs.ravel()

    def _share(self, work: Callable[..., Any], tasks: list[tuple]) -> list[Any]:
        return share(work, tasks, self.threads)

    def advance(self, relax: Number = 1.0) -> float:
        if self.counts is not None and sum(self.counts) == 0:
            return 0.0
        self.stale[:] = self.counts is None or relax != 1
        self._filter()
        first, second = self.sides
        results = self._share(update.update, [
            (self.values[0], first.lattice.ids, first.lattice.weights, self.gains[0],
             self.values[1], second.lattice.ids, second.lattice.weights, self.gains[1], self.stale, self.unary,
             self.log_rest, self.costs, self.q, np.float32(relax), self.still, len(self.folding.live),
             room(2 * self.width), self.moved, self.steps, self.firsts[i], space, self.width, *part)
            for i, (part, space) in enumerate(zip(self.parts, self.spaces, strict=True))])
        counts = [count for _, count in results]
        fits = all(count <= space for count, space in zip(counts, self.spaces, strict=True))
        self.counts = counts if fits else None
        return float(max(change for change, _ in results))

    def _filter(self) -> None:
        """Brings both lattices' values up to date with q: all anew, or by what moved."""
        if self.counts is None:
            self._share(passes.splat, [
                (self.q, side.lattice.start_of, side.lattice.pixel_of, side.weight_of, values, self.width, *part)
                for side, values in zip(self.sides, self.values, strict=True) for part in side.lattice.point_parts])
            self._blur(self.values)
            return
        self._share(self._splat_moves, [(0,), (1,)])
        self._blur(self.changes)
        self._share(passes.settle, [
            (changes, values, side.bound, QUIET, side.lattice.start_of, side.lattice.pixel_of, self.stale,
             self.width, *part) for side, changes, values in zip(self.sides, self.changes, self.values, strict=True)
            for part in parts(side.lattice.points)])

    def _splat_moves(self, which: int) -> None:
        side, lattice = self.sides[which], self.sides[which].lattice
        for first, count in zip(self.firsts, self.counts or [], strict=True):
            passes.splat_moves(self.moved, self.steps, first, count, lattice.ids, lattice.weights, side.send,
                               self.changes[which], self.width)

    def _blur(self, fields: list[np.ndarray]) -> None:
        for axis in range(6):
            self._share(passes.blur, [(field, side.lattice.runs[axis], self.width, *part)
                                      for side, field in zip(self.sides, fields, strict=True)
                                      if axis <= side.lattice.dimensions for part in side.lattice.run_parts[axis]])

    def marginals(self) -> Marginals:
        out = np.empty_like(self.probs)
        self._share(update.unpack, [(self.q, self.folding.live, self.folding.folded, self.probs, self.rest, out,
                               self.width, *part) for part in self.parts])
        return out

    def labels(self) -> Labels:
        out = np.empty(self.probs.shape[1], np.int64)
        self._share(update.winners, [(self.q, self.folding.live, out, self.width, *part) for part in self.parts])
        return out

    def pairwise_energy(self) -> float:
        self._filter()
        self.counts, messages = None, room(len(self.q))
        messages[:] = 0
        for side, gain, values in zip(self.sides, self.gains, self.values, strict=True):
            self._share(passes.gather, [(values, side.lattice.ids, side.lattice.weights, gain, messages, self.width,
                                   *part) for part in self.parts])
        every = np.zeros_like(self.probs)
        every[self.folding.live] = messages.reshape(-1, self.width).T[: len(self.folding.live)]
        return pairwise_energy(self.marginals(), every, self.compatibility)
