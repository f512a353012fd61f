"""The permutohedral lattice as three sparse linear maps: K = slice . blur . splat (Adams, Baek, Davis 2010).

Each pixel lies in a simplex whose d + 1 corners it is a mixture of. Splatting distributes its labels to them with
the mixture's weights, blurring lets every lattice point gain half of its two neighbours along each of d + 1 axes,
slicing reads the pixels back with the same weights, times 1 / (1 + 2^-d). The result approximates a Gaussian of
deviation one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int32, Int64

from dlseg.crf.lattice.jit import lattice_points, splat_blur_slice
from dlseg.crf.lattice.threads import parallel, parts

FIRST_SLOTS = 1 << 14
PIECES = 2  # parts for each thread
LOOKUPS = 256  # keys looked up together
SHORTEST = 0.1  # pixels: a Gaussian narrower than this reaches no neighbour, and positions keep their precision


class Lattice:
    """The lattice of one image and one set of sigmas: N pixels, M points, d features.

    Args:
        colours: (N, c) in row order, c = 0 for a kernel of position alone.
        width: of the image, in pixels.
        sigmas: of x, of y, then one for each colour; d in all.
        threads: how many build it, and filter with it.

    Attributes:
        ids, weights: (N, d + 1) each pixel's corners and their weights.
        start_of: (M + 1) where each point's entries start in the two lists that follow.
        pixel_of, weight_of: (N (d + 1)) the pixels around each point and their weights, point by point.
        runs: for each axis, neighbouring points end to end, each run's last one as ~id; then AHEAD entries that
            blurring reads and does not use.
        pixel_parts, point_parts, run_parts: how threads divide the work.
    """

    def __init__(
        self, colours: Float32[np.ndarray, "N c"], width: int, sigmas: tuple[float, ...], threads: int
    ) -> None:
        self.pixels, self.dimensions, self.threads = len(colours), len(sigmas), threads
        self.gain = np.float32(1 / (1 + 2.0**-self.dimensions))
        self.ids = np.empty((self.pixels, self.dimensions + 1), np.int32)
        self.weights = np.empty(self.ids.shape, np.float32)
        self.pixel_parts = parts(self.pixels, threads)
        base, order, strides = self._locate(colours, width, sigmas)
        table = self._number(base, order, strides)
        self._list_pixels()
        self._list_runs(table, strides)

    def _parallel(self, work: Callable[..., Any], tasks: list[tuple]) -> list[Any]:
        return parallel(work, tasks, self.threads)

    def _locate(
        self, colours: Float32[np.ndarray, "N c"], width: int, sigmas: tuple[float, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each pixel's simplex: key of its first corner, order of the others, and their weights."""
        widths = np.array([max(sigmas[0], SHORTEST), max(sigmas[1], SHORTEST), *sigmas[2:]], np.float32)
        scales = lattice_points.lift_scales(self.dimensions)
        low, high = _bounds(colours)
        low, high = np.array([0, 0, *low]), np.array([width - 1, self.pixels // width - 1, *high])
        strides = lattice_points.key_strides(low / widths * scales, high / widths * scales)
        packed = np.int32 if lattice_points.BITS * len(strides) < 32 else np.int64
        base, order = np.empty(self.pixels, np.int64), np.empty(self.pixels, packed)
        self._parallel(
            lattice_points.locator(self.dimensions),
            [
                (colours.ravel(), width, widths, scales, strides, base, order, self.weights.ravel(), *part)
                for part in self.pixel_parts
            ],
        )
        return base, order, strides

    def _number(self, base: np.ndarray, order: np.ndarray, strides: np.ndarray) -> _Table:
        shares = parts(self.pixels, self.threads, max(self.pixels // self.threads, 32768))
        table, *others = self._parallel(_Table, [(base, order, strides, self.ids, *part) for part in shares])
        for other, (start, stop) in zip(others, shares[1:], strict=True):
            numbers = table.merge(other)
            self._parallel(
                lattice_points.renumber, [(self.ids[start:stop], numbers, *part) for part in parts(stop - start)]
            )
        self.points: int = table.count
        return table

    def _list_runs(self, table: _Table, strides: Int64[np.ndarray, " e"]) -> None:
        across = len(strides) * strides - strides.sum()
        bounds = np.array([start for start, _ in self.point_parts] + [self.points], np.int32)
        lists = self._parallel(_runs, [(table.key_of, table.slots, step, bounds) for step in across])
        self.runs: list[Int32[np.ndarray, " r"]] = [runs for runs, _ in lists]
        self.run_parts: list[list[tuple[int, int]]] = [divided for _, divided in lists]

    def _list_pixels(self) -> None:
        corners, ids, weights = self.dimensions + 1, self.ids.ravel(), self.weights.ravel()
        shares = parts(self.pixels, self.threads, max(self.pixels // self.threads, 32768))
        counts = np.zeros((len(shares), self.points), np.int32)
        self._parallel(
            lattice_points.count_corners,
            [(ids, mine, corners, *part) for mine, part in zip(counts, shares, strict=True)],
        )
        self.start_of = np.empty(self.points + 1, np.int32)
        lattice_points.first_places(counts, self.start_of)
        self.pixel_of = np.empty(self.ids.size, np.int32)
        self.weight_of = np.empty(self.ids.size, np.float32)
        self._parallel(
            lattice_points.list_pixels,
            [
                (ids, weights, mine, self.pixel_of, self.weight_of, corners, *part)
                for mine, part in zip(counts, shares, strict=True)
            ],
        )
        self.point_parts = self._divide()

    def _divide(self) -> list[tuple[int, int]]:
        """The points in parts of about equal work, a few for each thread.

        The same parts in every pass: then most of what a thread reads was last written by itself, and is in its
        own processor's cache.
        """
        some = np.arange(0, self.points, 16)
        work = self.start_of[some] + some * (self.dimensions + 1)  # splatting, and blurring
        pieces = min(PIECES * self.threads, len(some)) if self.threads > 1 else 1
        inner = some[np.searchsorted(work, [work[-1] * piece // pieces for piece in range(1, pieces)])]
        return list(pairwise([0, *inner.tolist(), self.points]))

    def filter(self, field: Float32[np.ndarray, " N"], *, transpose: bool = False) -> Float32[np.ndarray, " N"]:
        """K times one number per pixel; transposed, the axes are blurred in the opposite order."""
        return self.slice(self.splat_and_blur(field, transpose=transpose))

    def splat_and_blur(
        self, field: Float32[np.ndarray, " N"], *, transpose: bool = False
    ) -> Float32[np.ndarray, " M"]:
        """Splats and blurs one number per pixel."""
        values = np.empty(self.points, np.float32)
        self._parallel(
            splat_blur_slice.splat_one,
            [(field, self.start_of, self.pixel_of, self.weight_of, values, *part) for part in self.point_parts],
        )
        for axis in range(self.dimensions, -1, -1) if transpose else range(self.dimensions + 1):
            self._parallel(
                splat_blur_slice.blur_one, [(values, self.runs[axis], *part) for part in self.run_parts[axis]]
            )
        return values

    def slice(self, values: Float32[np.ndarray, " M"]) -> Float32[np.ndarray, " N"]:
        """Reads every pixel back from the lattice."""
        out = np.empty(self.pixels, np.float32)
        self._parallel(
            splat_blur_slice.slice_one,
            [(values, self.ids, self.weights, self.gain, out, *part) for part in self.pixel_parts],
        )
        return out


def _bounds(colours: Float32[np.ndarray, "N c"]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that no column goes below, or above."""
    if colours.size == 0 or (colours.shape[1] <= 3 and colours.min() >= 0 and colours.max() <= 255):
        return np.zeros(colours.shape[1]), np.full(colours.shape[1], 255.0)  # found faster than column by column
    return colours.min(axis=0).astype(np.float64), colours.max(axis=0).astype(np.float64)


class _Table:
    """The lattice points around some of the pixels: key_of[number], and a hash table of numbers by key."""

    def __init__(
        self,
        base: Int64[np.ndarray, " N"],
        order: Int[np.ndarray, " N"],
        strides: Int64[np.ndarray, " e"],
        ids: Int32[np.ndarray, "N e"],
        start: int,
        stop: int,
    ) -> None:
        self.count = 0
        self.slots, self.key_of = np.full(FIRST_SLOTS, -1, np.int32), np.empty(FIRST_SLOTS // 2, np.int64)
        while start < stop:
            start, self.count = lattice_points.number(
                base, order, strides, ids, self.key_of, self.slots, start, stop, self.count
            )
            if start < stop:
                self._grow(4 * len(self.key_of))

    def _grow(self, capacity: int) -> None:
        self.key_of = np.concatenate([self.key_of, np.empty(capacity - len(self.key_of), np.int64)])
        self.slots = np.full(2 * capacity, -1, np.int32)
        lattice_points.enter(self.key_of, self.count, self.key_of, self.slots, 0, np.empty(self.count, np.int32))

    def merge(self, other: _Table) -> Int32[np.ndarray, " m"]:
        """Takes another table's points in; returns the numbers that they have here."""
        while len(self.key_of) < self.count + other.count:
            self._grow(2 * len(self.key_of))
        numbers = np.empty(other.count, np.int32)
        self.count = lattice_points.enter(other.key_of, other.count, self.key_of, self.slots, self.count, numbers)
        return numbers


def _runs(
    key_of: Int64[np.ndarray, " k"],
    slots: Int32[np.ndarray, " s"],
    across: np.int64,
    bounds: Int32[np.ndarray, " p"],
) -> tuple[Int32[np.ndarray, " r"], list[tuple[int, int]]]:
    """The runs along one axis, and which of them start in each part of the points."""
    points = int(bounds[-1])
    following, has_previous = np.empty(points, np.int32), np.zeros(points + 1, np.bool_)
    lattice_points.follow(
        key_of,
        slots,
        across,
        following,
        has_previous,
        np.empty(LOOKUPS, np.int64),
        np.empty(LOOKUPS, np.int32),
        np.empty(LOOKUPS, np.int32),
        0,
        points,
    )
    runs, edges = np.zeros(points + splat_blur_slice.AHEAD, np.int32), np.empty_like(bounds)
    lattice_points.chain(following, has_previous, bounds, np.empty(points, np.int32), runs, edges)
    return runs[: edges[-1] + splat_blur_slice.AHEAD], list(pairwise(edges.tolist()))
