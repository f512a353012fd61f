"""Mean field on the lattice, made fast: lattices kept, labels folded, only what moved splatted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.crf.features import Extra, appearance_sigmas, columns, smoothness_sigmas
from dlseg.crf.lattice.buffers import borrowed, room
from dlseg.crf.lattice.filter import Side
from dlseg.crf.lattice.jit import passes, update
from dlseg.crf.lattice.pruning import Folding, filled, fold
from dlseg.crf.lattice.state import ROW, First, Sides, Unary
from dlseg.crf.lattice.structure import Lattice
from dlseg.crf.lattice.threads import amid, share
from dlseg.crf.mean_field import Compatibility, Labels, Marginals, pairwise_energy
from dlseg.crf.params import CRFParams, Number

DECIDED = np.float32(0.01)  # a pixel whose winner is wrong with at most this probability may be left alone
TOLERANCE = np.float32(2e-6)  # as long as none of its marginals would move by more than this in an iteration;
REFRESH = 8  # and every so many iterations all pixels are looked at again, so that it cannot lag by more than both
NEAR = 1e-6  # where an iteration moves the marginals by less (mean total variation distance) it asks whether the
CONVERGED = 1e-5  # iteration contracts, and stops if all that is to come is surely less than this
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

    def start(
        self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, thorough: bool
    ) -> LatticeRun:
        if self.unary is None or self.unary.probs is not probs:
            self.unary = Unary(probs, self.threads)
        return LatticeRun(self, self.unary, params, compatibility, thorough=thorough)

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        appearance, smoothness = self.prepare(params)
        return appearance.row(params.w1, pixel), smoothness.row(params.w2, pixel)


class LatticeRun:
    """One inference: marginals of the live labels pixel by pixel, and both lattices' values.

    A mean field near an even state amplifies every difference, so that what is left out there may decide the
    outcome. Where a pixel is decided it is the opposite: it hardly answers. So undecided pixels take part in every
    iteration as they are, and of the decided ones those are left alone that cannot move by more than TOLERANCE.
    thorough: all pixels and labels take part in full in every iteration.
    """

    def __init__(
        self,
        kernel: LatticeKernel,
        unary: Unary,
        params: CRFParams,
        compatibility: Compatibility,
        *,
        thorough: bool = False,
    ) -> None:
        self.threads, self.thorough = kernel.threads, thorough
        self.probs, self.compatibility = unary.probs, compatibility
        self.sides = kernel.prepare(params)
        spread = 1.0 if compatibility is None else float(np.abs(compatibility).sum(axis=1).max(initial=0))
        self.weights, self.spread = (params.w1, params.w2), spread
        self.heard = [
            np.float32(4 * w * side.reach * spread) for side, w in zip(self.sides, self.weights, strict=True)
        ]
        self.gains = [side.gain(w) for side, w in zip(self.sides, self.weights, strict=True)]
        reach = params.w1 * self.sides[0].reach + params.w2 * self.sides[1].reach
        everything = Folding(np.arange(len(self.probs)), np.arange(0), 0.0)
        self.folding = (
            everything
            if thorough or compatibility is not None
            else filled(fold(unary.peaks, unary.means, reach), unary.peaks, ROW)
        )
        self.start = unary.start(self.folding.live, self.folding.folded)
        self.width = self.start.width
        self.parts = self.sides[0].lattice.pixel_parts
        self._lay_out()

    def _lay_out(self) -> None:
        pixels, start, memory = self.probs.shape[1], self.start, borrowed(self)
        self.q, self.steps = (memory.room(name, pixels * self.width) for name in ("q", "steps"))
        self._share(
            update.soften,
            [(start.unary, start.apart, start.holds, self.q, self.width, *part) for part in self.parts],
        )
        self.own, self.changes = (
            [
                memory.room(f"{name} {which}", side.lattice.points * self.width)
                for which, side in enumerate(self.sides)
            ]
            for name in ("values", "changes")
        )
        for changes in self.changes:
            changes[:] = 0
        self.values = self.own  # those of q, from the first filtering on
        self.begun, self.rounds, self.ask_again = False, 0, 0
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
        """One iteration. 0 says that no further one would change anything, or nothing worth the name."""
        self.rounds += 1
        if self.thorough or self.rounds % REFRESH == 0:
            self.counts = None
        everywhere = self.counts is None or relax != 1
        change, travelled = self._update(relax, everywhere)
        if travelled == 0 and not everywhere:
            self.counts = None
            change, travelled = self._update(relax, everywhere=True)
        pixels = len(self.stale)
        if not self.thorough and 0 < travelled <= NEAR * pixels and self.rounds >= self.ask_again:
            contraction = self.contraction()
            self.ask_again = self.rounds + REFRESH
            if contraction < 1 and travelled <= (1 - contraction) * CONVERGED * pixels:
                return 0.0
        return change

    def _update(self, relax: Number, everywhere: bool) -> tuple[float, float]:
        """The update at all pixels or at those that may answer; the largest change of a marginal, and, as if relax
        were 1, the sum of all pixels' total variation distances."""
        self._filter()
        first, second = self.sides
        start, self.begun = self.start, True
        if everywhere:
            self.stale[:] = True
        else:
            np.logical_or(self.stale, self.soft > DECIDED, out=self.stale)
        decided = np.float32(-1) if self.thorough else DECIDED
        results = self._share(
            update.update,
            [
                (
                    self.values[0],
                    first.ids,
                    first.weights,
                    self.gains[0],
                    self.values[1],
                    second.ids,
                    second.weights,
                    self.gains[1],
                    self.stale,
                    start.unary,
                    start.apart,
                    self.costs,
                    start.holds,
                    self.q,
                    self.soft,
                    np.float32(relax),
                    TOLERANCE,
                    decided,
                    len(start.live),
                    room(2 * self.width),
                    self.moved,
                    self.steps,
                    self.width,
                    *part,
                )
                for part in self.parts
            ],
        )
        changes, distances, counts = zip(*results, strict=True)
        self.counts = list(counts) if sum(counts) <= FEW * len(self.stale) else None
        return float(max(changes)), float(sum(distances)) / 2

    def contraction(self) -> float:
        """A number that bounds by how much an iteration multiplies a small difference between two marginals.

        Measured as the sum of all pixels' absolute differences. Pixel i, of softness s, passes on at most min(2 s,
        1/2) times what reaches it, and what pixel j differs by reaches i times K_ij: so it is the largest column
        sum of K, its rows multiplied with that. Below 1 the iteration contracts to a fixed point.
        """
        passes_on = np.minimum(2 * (self.soft + REFRESH * TOLERANCE), 0.5)
        columns = np.zeros(len(self.soft), np.float32)
        for side, weight in zip(self.sides, self.weights, strict=True):
            columns += np.float32(weight) * side.send * side.lattice.filter(passes_on * side.get, transpose=True)
        return self.spread * float(columns.max())

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
        self._over_points(
            passes.splat,
            lambda which, side: (
                self.q,
                side.lattice.start_of,
                side.lattice.pixel_of,
                side.weight_of,
                fields[which],
            ),
        )
        self._blur(fields)

    def _settle(self) -> None:
        if self.values is not self.own:
            for own, values in zip(self.own, self.values, strict=True):
                own[:] = values
            self.values = self.own
        self._share(self._splat_moves, [(0,), (1,)])
        self._blur(self.changes)
        self.stale[:] = False
        self._over_points(
            passes.settle,
            lambda which, side: (
                self.changes[which],
                self.values[which],
                side.bound,
                self.heard[which],
                TOLERANCE,
                DECIDED,
                side.lattice.start_of,
                side.lattice.pixel_of,
                self.stale,
                self.soft,
            ),
        )

    def _splat_moves(self, which: int) -> None:
        side = self.sides[which]
        for (first, _), count in zip(self.parts, self.counts or [], strict=True):
            passes.splat_moves(
                self.moved,
                self.steps,
                first,
                count,
                side.ids,
                side.weights,
                side.send,
                self.changes[which],
                side.lattice.dimensions + 1,
                self.width,
            )

    def _over_points(self, work: Callable[..., None], arguments: Callable[[int, Side], tuple]) -> None:
        """work(*arguments, width of a row, first point, last point) on both lattices."""
        far, near = (
            [(*arguments(which, side), self.width, *part) for part in side.lattice.point_parts]
            for which, side in enumerate(self.sides)
        )
        self._share(work, amid(far, near))

    def _blur(self, fields: list[np.ndarray]) -> None:
        for axis in range(max(side.lattice.dimensions for side in self.sides) + 1):
            far, near = (
                [(field, side.lattice.runs[axis], self.width, *part) for part in side.lattice.run_parts[axis]]
                if axis <= side.lattice.dimensions
                else []
                for side, field in zip(self.sides, fields, strict=True)
            )
            self._share(passes.blur, amid(far, near))

    def marginals(self) -> Marginals:
        out = np.empty(self.probs.shape, np.float32)  # rows of labels, however the input lies
        self._share(
            update.unpack,
            [
                (
                    self.q,
                    self.folding.live,
                    self.folding.folded,
                    self.probs.ravel(),
                    self.start.rest,
                    out.ravel(),
                    self.probs.shape[1],
                    self.width,
                    *part,
                )
                for part in self.parts
            ],
        )
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
            self._share(
                passes.gather,
                [
                    (values, side.lattice.ids, side.lattice.weights, gain, messages, self.width, *part)
                    for part in self.parts
                ],
            )
        every = np.zeros_like(self.probs)
        every[self.folding.live] = messages.reshape(-1, self.width).T[: len(self.folding.live)]
        return pairwise_energy(self.marginals(), every, self.compatibility)
