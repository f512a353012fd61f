"""Mean field on the lattice, made fast: lattices are kept, labels pruned, only changed pixels splatted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from dlseg.crf.features import Extra, appearance_sigmas, columns, smoothness_sigmas
from dlseg.crf.lattice.buffers import aligned, borrow_workspace
from dlseg.crf.lattice.filter import ROW, GaussianFilter, blur, slice_into, splat_and_blur
from dlseg.crf.lattice.jit import rows, splat_blur_slice, update
from dlseg.crf.lattice.pruning import Pruning, fill_rows, prune
from dlseg.crf.lattice.state import Filters, InitialValues, Unary
from dlseg.crf.lattice.structure import Lattice
from dlseg.crf.lattice.threads import interleaved, parallel
from dlseg.crf.mean_field import Compatibility, Labels, Marginals, pairwise_energy
from dlseg.crf.params import CRFParams, Number

# A pixel is skipped in an iteration where its uncertainty, 1 - its largest marginal, is at most CONFIDENT and none
# of its marginals would change by more than TOLERANCE. Every REFRESH iterations all pixels are updated, so that
# none is ever wrong by more than both multiplied.
CONFIDENT = np.float32(0.01)
TOLERANCE = np.float32(2e-6)
REFRESH = 8
# Inference ends early where all changes still to come are surely less than CONVERGED. That is tested, by bounding
# how much an iteration contracts, once an iteration changes the marginals by less than NEARLY_CONVERGED. Both are
# mean total variation distances: half the sum over labels of absolute changes, averaged over the pixels.
CONVERGED = 1e-5
NEARLY_CONVERGED = 1e-6
FEW = 1 / 3  # up to this share of the pixels only their changes are splatted, above it all marginals


class LatticeKernel:
    """Both Gaussian kernels by permutohedral lattices; a lattice is built again only where its sigmas changed."""

    def __init__(self, image: Float32[np.ndarray, "H W c"], threads: int, extra: Extra | None = None) -> None:
        self.width, self.bands = image.shape[1:]
        self.features = columns(image, extra)
        self.threads = threads
        self._filters: list[tuple[tuple, GaussianFilter] | None] = [None, None]
        self._unary: Unary | None = None  # of the last run

    def filters(self, params: CRFParams) -> Filters:
        """The appearance and the smoothness kernel under these parameters, kept or built."""
        sigmas = appearance_sigmas(params, self.bands, self.features.shape[1] - self.bands)
        appearance = self._filter(0, sigmas, params.normalization)
        return appearance, self._filter(1, smoothness_sigmas(params), params.normalization)

    def _filter(self, which: int, sigmas: tuple[float, ...], normalization: str) -> GaussianFilter:
        kept = self._filters[which]
        if kept is not None and kept[0] == (sigmas, normalization):
            return kept[1]
        if kept is not None and kept[0][0] == sigmas:
            lattice = kept[1].lattice
        else:
            self._filters[which] = kept = None  # the old lattice's memory is free before the new one is made
            if self._unary is not None:
                self._unary.release_values()
            lattice = Lattice(self.features[:, : len(sigmas) - 2], self.width, sigmas, self.threads)
        built = GaussianFilter(lattice, normalization)
        self._filters[which] = ((sigmas, normalization), built)
        return built

    def start(
        self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, shortcuts: bool = True
    ) -> LatticeRun:
        if self._unary is None or self._unary.probs is not probs:
            self._unary = Unary(probs, self.threads)
        return LatticeRun(self, self._unary, params, compatibility, shortcuts=shortcuts)

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        appearance, smoothness = self.filters(params)
        return appearance.row(params.w1, pixel), smoothness.row(params.w2, pixel)


class LatticeRun:
    """One inference: marginals of the active labels pixel by pixel, and both lattices' values of them.

    Where a pixel's labels are nearly equal, mean field amplifies every difference, so that what is left out there
    may decide the result. Where a pixel is confident it is the opposite: it hardly changes. So uncertain pixels
    take part in every iteration in full, and of the confident ones those are skipped that cannot change by more
    than TOLERANCE. Without `shortcuts` all pixels and labels take part in every iteration.
    """

    def __init__(
        self,
        kernel: LatticeKernel,
        unary: Unary,
        params: CRFParams,
        compatibility: Compatibility,
        *,
        shortcuts: bool = True,
    ) -> None:
        self.threads, self.shortcuts = kernel.threads, shortcuts
        self.probs, self.compatibility = unary.probs, compatibility
        self.filters, self.weights = kernel.filters(params), (params.w1, params.w2)
        row_sums = [w * f.largest_row_sum for f, w in zip(self.filters, self.weights, strict=True)]
        # messages of size 1 cost a label at most this much
        self.cost_norm = 1.0 if compatibility is None else float(np.abs(compatibility).sum(axis=1).max(initial=0))
        self.sensitivity = [np.float32(4 * row_sum * self.cost_norm) for row_sum in row_sums]
        self.gains = [f.gain(w) for f, w in zip(self.filters, self.weights, strict=True)]
        self.pruning = (
            fill_rows(prune(unary.peaks, unary.means, sum(row_sums)), unary.peaks, ROW)
            if shortcuts and compatibility is None
            else Pruning(np.arange(len(self.probs)), np.arange(0), 0.0)
        )
        self.initial = unary.initial_state(self.pruning.active, self.pruning.pruned)
        self.width = self.initial.width
        self.pixels = self.probs.shape[1]
        self.parts = self.filters[0].lattice.pixel_parts
        self._allocate()
        initial = self.initial
        self._over_pixels(update.softmax, initial.unary, initial.log_pruned, initial.mask, self.q, scratch=1)

    def _allocate(self) -> None:
        memory = borrow_workspace(self)
        self.q, self.deltas = (memory.array(name, self.pixels * self.width) for name in ("q", "deltas"))
        self.own_values, self.value_deltas = (
            [memory.array(f"{name} {i}", f.lattice.points * self.width) for i, f in enumerate(self.filters)]
            for name in ("values", "value deltas")
        )
        for deltas in self.value_deltas:
            deltas[:] = 0
        self.values = self.own_values  # those of q, from the first filtering on; see _first_values
        self.initial_values: InitialValues | None = None
        self.iteration, self.next_test, self.updated = 0, 0, False
        self.pending, self.uncertainty = np.empty(self.pixels, np.bool_), np.empty(self.pixels, np.float32)
        self.changed = np.empty(self.pixels, np.int32)
        self.changed_counts: list[int] | None = None  # how many changed in each part; None: splat everything
        labels = len(self.pruning.active)
        costs = np.zeros((0 if self.compatibility is None else self.width, self.width), np.float32)
        if self.compatibility is not None:
            costs[:labels, :labels] = self.compatibility
        self.costs = costs.ravel()

    def _over_pixels(self, work: Callable[..., Any], *arguments: Any, scratch: int = 0) -> list[Any]:
        """work(*arguments, `scratch` rows to work in, if any, width, first pixel, last pixel)."""
        tasks = []
        for part in self.parts:
            memory = [aligned(scratch * self.width)] if scratch else []
            tasks.append((*arguments, *memory, self.width, *part))
        return parallel(work, tasks, self.threads)

    def advance(self, relax: Number = 1.0) -> float:
        """One iteration. Returns 0 where further ones would change nothing, or surely less than CONVERGED."""
        self.iteration += 1
        if not self.shortcuts or self.iteration % REFRESH == 0:
            self.changed_counts = None
        everywhere = self.changed_counts is None or relax != 1
        change, distance = self._update(relax, everywhere)
        if distance == 0 and not everywhere:
            self.changed_counts = None
            change, distance = self._update(relax, everywhere=True)
        nearly = 0 < distance <= NEARLY_CONVERGED * self.pixels
        if self.shortcuts and nearly and self.iteration >= self.next_test:
            contraction = self.contraction()
            self.next_test = self.iteration + REFRESH
            if contraction < 1 and distance <= (1 - contraction) * CONVERGED * self.pixels:
                return 0.0
        return change

    def _update(self, relax: Number, everywhere: bool) -> tuple[float, float]:
        """Updates all pixels, or those that could change.

        Returns:
            The largest change of a marginal; and, as if relax were 1, the sum of the pixels' total variation
            distances.
        """
        self._filter()
        self.updated = True
        if everywhere:
            self.pending[:] = True
        else:
            np.logical_or(self.pending, self.uncertainty > CONFIDENT, out=self.pending)
        initial = self.initial
        results = self._over_pixels(
            update.update,
            *self._slicings(),
            (initial.unary, initial.log_pruned, self.costs, initial.mask, len(initial.active)),
            (self.q, self.pending, self.uncertainty, self.changed, self.deltas),
            (np.float32(relax), TOLERANCE, CONFIDENT if self.shortcuts else np.float32(-1)),
            scratch=2,
        )
        changes, distances, counts = zip(*results, strict=True)
        self.changed_counts = list(counts) if sum(counts) <= FEW * self.pixels else None
        return float(max(changes)), float(sum(distances)) / 2

    def _slicings(self) -> list[tuple[np.ndarray, ...]]:
        return [
            f.slicing(values, gain) for f, values, gain in zip(self.filters, self.values, self.gains, strict=True)
        ]

    def contraction(self) -> float:
        """A bound of the factor by which an iteration multiplies a small difference between two marginals.

        The difference is the sum of all pixels' absolute ones. The softmax of pixel i, of uncertainty u, passes on
        at most min(2 u, 1/2) times what reaches it, and a difference at pixel j reaches i multiplied by K_ij: so
        the factor is at most the largest column sum of K with its rows multiplied by that. Below 1 the iteration
        contracts to a fixed point.
        """
        slopes = np.minimum(2 * (self.uncertainty + REFRESH * TOLERANCE), 0.5)
        column_sums = np.zeros(self.pixels, np.float32)
        for f, weight in zip(self.filters, self.weights, strict=True):
            filtered = f.lattice.filter(slopes * f.scale_out, transpose=True)
            column_sums += np.float32(weight) * f.scale_in * filtered
        return self.cost_norm * float(column_sums.max())

    def _filter(self) -> None:
        """Makes both lattices' values those of q: all of them, or by what changed."""
        if not self.updated:
            self._first_values()
        elif self.changed_counts is None:
            self.values = self.own_values
            splat_and_blur(self.filters, self.q, self.values, self.width, self.threads)
        else:
            self._apply_changes(self.changed_counts)

    def _first_values(self) -> None:
        """The values of the initial q, which all runs with the same active labels share."""
        self.initial_values = self.initial.lattice_values(self.filters, self.q, self.threads)
        if self.initial_values is None:
            splat_and_blur(self.filters, self.q, self.own_values, self.width, self.threads)
        else:
            self.values = self.initial_values.arrays

    def _apply_changes(self, counts: list[int]) -> None:
        if self.values is not self.own_values:
            for own, shared in zip(self.own_values, self.values, strict=True):
                own[:] = shared
            self.values = self.own_values
        parallel(self._splat_deltas, [(0, counts), (1, counts)], self.threads)
        blur(self.filters, self.value_deltas, self.width, self.threads)
        self.pending[:] = False
        limits = TOLERANCE, CONFIDENT
        tasks = [
            [
                (
                    *(deltas, values, f.ones, sensitivity, limits, f.lattice.start_of, f.lattice.pixel_of),
                    *(self.pending, self.uncertainty, self.width, *part),
                )
                for part in f.lattice.point_parts
            ]
            for f, deltas, values, sensitivity in zip(
                self.filters, self.value_deltas, self.values, self.sensitivity, strict=True
            )
        ]
        parallel(splat_blur_slice.apply_deltas, interleaved(*tasks), self.threads)

    def _splat_deltas(self, which: int, counts: list[int]) -> None:
        f, out = self.filters[which], self.value_deltas[which]
        corners = f.lattice.dimensions + 1
        for (first, _), count in zip(self.parts, counts, strict=True):
            splat_blur_slice.splat_deltas(
                self.changed, self.deltas, first, count, f.ids, f.weights, f.scale_in, out, corners, self.width
            )

    def marginals(self) -> Marginals:
        out = np.empty(self.probs.shape, np.float32)  # rows of labels, however the input lies in memory
        active, pruned, _ = self.pruning
        probs, mass = self.probs.ravel(), self.initial.mass
        self._over_pixels(rows.unpack, self.q, active, pruned, probs, mass, out.ravel(), self.pixels)
        return out

    def labels(self) -> Labels:
        out = np.empty(self.pixels, np.int64)
        self._over_pixels(rows.winners, self.q, self.pruning.active, out)
        return out

    def pairwise_energy(self) -> float:
        self._filter()
        self.changed_counts, messages = None, aligned(len(self.q))
        messages[:] = 0
        for f, gain, values in zip(self.filters, self.gains, self.values, strict=True):
            slice_into(f, values, gain, messages, self.width, self.threads)
        every = np.zeros_like(self.probs)
        active = self.pruning.active
        every[active] = messages.reshape(-1, self.width).T[: len(active)]
        return pairwise_energy(self.marginals(), every, self.compatibility)
