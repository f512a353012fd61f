"""Mean field on the lattice, made fast: lattices kept, labels folded, only what moved splatted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.crf.compiled import passes, update
from dlseg.crf.energy import pairwise_energy
from dlseg.crf.features import Extra, appearance_sigmas, columns, smoothness_sigmas
from dlseg.crf.folding import Folding, filled, fold
from dlseg.crf.lattice import Lattice
from dlseg.crf.mean_field import Compatibility, Labels, Marginals
from dlseg.crf.params import CRFParams, Number
from dlseg.crf.side import Side
from dlseg.crf.team import share
from dlseg.crf.unary import ROW, First, Sides, Unary
from dlseg.crf.workspace import borrowed, room

STILL = 1e-4  # a pixel none of whose marginals moved further than this is not splatted again
QUIET = np.float32(5e-5)  # a pixel is left alone where the change of its messages, as a share of all, moves it less
FEW = 1 / 3  # up to this share of the pixels are splatted as moves, more of them by splatting all anew


class LatticeKernel:
    """Both Gaussian kernels by permutohedral lattices; a lattice is built again only where its sigmas changed."""

    def __init__(self, image: Float32[np.ndarray, "H W c"], threads: int, extra: Extra | None = None) -> None:
        self.width, self.bands = image.shape[1:]
        self.colours = columns(image, extra)
        self.threads = threads
        self.sides: list[tuple[tuple, Side] | None] = [None, None]
        self.unary: Unary | None = None  # of the last run

    def prepare(self, params: CRFParams) -> Sides:
        """The appearance and the smoothness kernel under these parameters, kept or built."""
        sigmas = appearance_sigmas(params, self.bands, self.colours.shape[1] - self.bands)
        appearance = self._side(0, sigmas, params.normalization)
        return appearance, self._side(1, smoothness_sigmas(params), params.normalization)

    def _side(self, which: int, sigmas: tuple[float, ...], normalization: str) -> Side:
        kept = self.sides[which]
        if kept is not None and kept[0] == (sigmas, normalization):
            return kept[1]
        if kept is not None and kept[0][0] == sigmas:
            lattice = kept[1].lattice
        else:
            self.sides[which] = kept = None  # let the old lattice go before the new one takes its room
            if self.unary is not None:
                self.unary.forget_values()
            lattice = Lattice(self.colours[:, : len(sigmas) - 2], self.width, sigmas, self.threads)
        side = Side(lattice, normalization)
        self.sides[which] = ((sigmas, normalization), side)
        return side

    def start(self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *,
              thorough: bool) -> LatticeRun:
        if self.unary is None or self.unary.probs is not probs:
            self.unary = Unary(probs, self.threads)
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
        self.folding = (everything if compatibility is not None
                        else filled(fold(unary.peaks, reach), unary.peaks, ROW))
        self.start = unary.start(self.folding.live, self.folding.folded)
        self.width = self.start.width
        self.parts = self.sides[0].lattice.pixel_parts
        self._lay_out()

    def _lay_out(self) -> None:
        pixels, start, memory = self.probs.shape[1], self.start, borrowed(self)
        self.q, self.steps = (memory.room(name, pixels * self.width) for name in ("q", "steps"))
        self._share(update.soften, [(start.unary, start.apart, start.holds, self.q, self.width, *part)
                                    for part in self.parts])
        self.own, self.changes = ([memory.room(f"{name} {which}", side.lattice.points * self.width)
                                   for which, side in enumerate(self.sides)] for name in ("values", "changes"))
        for changes in self.changes:
            changes[:] = 0
        self.values = self.own  # those of q, from the first filtering on
        self.begun = False
        self.stale, self.soft = np.empty(pixels, np.bool_), np.empty(pixels, np.float32)
        self.moved = np.empty(pixels, np.int32)
        self.counts: list[int] | None = None  # how many moved in each part; None: splat everything
        live = len(self.folding.live)
        costs = np.zeros((0 if self.compatibility is None else self.width, self.width), np.float32)
        if self.compatibility is not None:
            costs[:live, :live] = self.compatibility
        self.costs = costs.ravel()

    def _share(self, work: Callable[..., Any], tasks: list[tuple]) -> list[Any]:
        return share(work, tasks, self.threads)

    def advance(self, relax: Number = 1.0) -> float:
        if self.counts is not None and sum(self.counts) == 0:
            return 0.0
        self.stale[:] = self.counts is None or relax != 1
        self._filter()
        first, second = self.sides
        start, self.begun = self.start, True
        results = self._share(update.update, [
            (self.values[0], first.ids, first.weights, self.gains[0], self.values[1], second.ids, second.weights,
             self.gains[1], self.stale, start.unary, start.apart, self.costs, start.holds, self.q, self.soft,
             np.float32(relax), self.still, len(start.live), room(2 * self.width), self.moved, self.steps,
             self.width, *part) for part in self.parts])
        counts = [count for _, count in results]
        self.counts = counts if sum(counts) <= FEW * len(self.stale) else None
        return float(max(change for change, _ in results))

    def _filter(self) -> None:
        """Brings both lattices' values up to date with q: all anew, or by what moved."""
        if not self.begun:
            self.values = self._first()
        elif self.counts is None:
            self.values = self.own
            self._splat(self.values)
        else:
            self._settle()

    def _first(self) -> list[np.ndarray]:
        """The values of the q that all runs with the same live labels start from."""
        if not First.is_small(self.sides, self.width):
            self._splat(self.own)
            return self.own
        first = self.start.first
        if first is None or not first.belongs_to(self.sides):
            self.start.first = None  # gone before the new one takes its room
            first = First(self.sides, self.width)
            self._splat(first.values)
            self.start.first = first
        self.kept = first  # as long as this run reads it
        return first.values

    def _splat(self, fields: list[np.ndarray]) -> None:
        self._over_points(passes.splat, lambda which, side: (
            self.q, side.lattice.start_of, side.lattice.pixel_of, side.weight_of, fields[which]))
        self._blur(fields)

    def _settle(self) -> None:
        if self.values is not self.own:
            for own, values in zip(self.own, self.values, strict=True):
                own[:] = values
            self.values = self.own
        self._share(self._splat_moves, [(0,), (1,)])
        self._blur(self.changes)
        self._over_points(passes.settle, lambda which, side: (
            self.changes[which], self.values[which], side.bound, QUIET, side.lattice.start_of,
            side.lattice.pixel_of, self.stale, self.soft))

    def _splat_moves(self, which: int) -> None:
        side = self.sides[which]
        for (first, _), count in zip(self.parts, self.counts or [], strict=True):
            passes.splat_moves(self.moved, self.steps, first, count, side.ids, side.weights, side.send,
                               self.changes[which], side.lattice.dimensions + 1, self.width)

    def _over_points(self, work: Callable[..., None], arguments: Callable[[int, Side], tuple]) -> None:
        """work(*arguments, width of a row, first point, last point) on both lattices."""
        far, near = ([(*arguments(which, side), self.width, *part) for part in side.lattice.point_parts]
                     for which, side in enumerate(self.sides))
        self._share(work, _around(far, near))

    def _blur(self, fields: list[np.ndarray]) -> None:
        for axis in range(max(side.lattice.dimensions for side in self.sides) + 1):
            far, near = ([(field, side.lattice.runs[axis], self.width, *part)
                          for part in side.lattice.run_parts[axis]] if axis <= side.lattice.dimensions else []
                         for side, field in zip(self.sides, fields, strict=True))
            self._share(passes.blur, _around(far, near))

    def marginals(self) -> Marginals:
        out = np.empty(self.probs.shape, np.float32)  # rows of labels, however the input lies
        self._share(update.unpack, [
            (self.q, self.folding.live, self.folding.folded, self.probs.ravel(), self.start.rest, out.ravel(),
             self.probs.shape[1], self.width, *part) for part in self.parts])
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


def _around(far: list[tuple], near: list[tuple]) -> list[tuple]:
    """The smoothness lattice's tasks amid the other's: threads start at both ends, these even them out."""
    half = len(far) // 2
    return [*far[:half], *near, *far[half:]]
