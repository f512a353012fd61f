"""The permutohedral lattice as three sparse linear maps: K = slice . blur . splat (Adams, Baek, Davis 2010).

Each pixel lies in a simplex whose d + 1 corners it is a mixture of. Splatting spreads its labels onto them with
the mixture's weights, blurring lets every lattice point gain half of its two neighbours along each of d + 1 axes,
slicing reads the pixels back with the same weights, times 1 / (1 + 2^-d). The result approximates a Gaussian of
deviation one.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Int32

from dlseg.crf.compiled import passes, simplex, vertices
from dlseg.crf.team import parts, share

FIRST_SLOTS = 1 << 14
SHORTEST = 0.1  # pixels: a Gaussian narrower than this reaches no neighbour, and positions keep their precision


class Lattice:
    """The lattice of one image and one set of sigmas.

    colours: (N, c) in row order, c = 0 for a kernel of position alone. sigmas: position twice, then one per colour.
    ids, weights: (N, d + 1) pixels' corners. start_of, pixel_of, weight_of: points' pixels, point by point.
    runs: per axis, neighbouring points end to end, each run's last one as ~id; cuts: threads' shares of them.
    """

    def __init__(self, colours: Float32[np.ndarray, "N c"], width: int, sigmas: tuple[float, ...],
                 threads: int) -> None:
        self.pixels, self.dimensions, self.threads = len(colours), len(sigmas), threads
        self.gain = np.float32(1 / (1 + 2.0**-self.dimensions))
        self.ids = np.empty((self.pixels, self.dimensions + 1), np.int32)
        self.weights = np.empty(self.ids.shape, np.float32)
        self.pixel_parts = parts(self.pixels, threads)
        self.owners = len(self.pixel_parts)
        self._build(colours, width, sigmas)

    def _build(self, colours: np.ndarray, width: int, sigmas: tuple[float, ...]) -> None:
        widths = np.array([max(sigmas[0], SHORTEST), max(sigmas[1], SHORTEST), *sigmas[2:]], np.float32)
        scales = simplex.lift_scales(len(widths))
        low = np.array([0, 0, *colours.min(axis=0)]) / widths * scales
        high = np.array([width - 1, self.pixels // width - 1, *colours.max(axis=0)]) / widths * scales
        strides = simplex.key_strides(low, high)
        base, order = np.empty(self.pixels, np.int64), np.empty(self.pixels, np.int32)
        share(simplex.locate[self.dimensions],
              [(colours, width, widths, scales, strides, base, order, self.weights, *part)
               for part in self.pixel_parts])
        tables = share(self._number, [(base, order, strides, mine) for mine in range(self.owners)])
        self.firsts = np.cumsum([0, *(count for _, _, count in tables)])  # each owner's points follow one another
        self.points = int(self.firsts[-1])
        if self.owners > 1:
            share(vertices.join, [(self.ids, self.firsts, *part) for part in self.pixel_parts])
        self._list_runs(tables, strides)
        self._list_pixels()

    def _number(self, base: np.ndarray, order: np.ndarray, strides: np.ndarray,
                mine: int) -> tuple[np.ndarray, np.ndarray, int]:
        keys, numbers = np.empty(FIRST_SLOTS, np.int64), np.full(FIRST_SLOTS, -1, np.int32)
        turn = count = 0
        while True:
            turn, count = vertices.number(base, order, strides, self.ids, keys, numbers, mine, self.owners,
                                          turn, count)
            if turn == self.pixels:
                return keys, numbers, count
            wider, wider_numbers = np.empty(4 * len(keys), np.int64), np.full(4 * len(keys), -1, np.int32)
            vertices.rehash(keys, numbers, wider, wider_numbers)
            keys, numbers = wider, wider_numbers

    def _list_runs(self, tables: list[tuple[np.ndarray, np.ndarray, int]], strides: np.ndarray) -> None:
        key_of = np.empty(self.points, np.int64)
        share(vertices.list_keys, [(keys, numbers, first, key_of)
                                   for (keys, numbers, _), first in zip(tables, self.firsts, strict=False)])
        slots = np.cumsum([0, *(len(keys) for keys, _, _ in tables)])
        keys = np.concatenate([keys for keys, _, _ in tables])
        numbers = np.concatenate([numbers for _, numbers, _ in tables])
        axes = self.dimensions + 1
        following = np.empty((axes, self.points), np.int32)
        has_previous = np.zeros((axes, self.points), np.bool_)
        share(vertices.follow, [(key_of, keys, numbers, slots, self.firsts, strides, following, has_previous, *part)
                                for part in parts(self.points, self.threads)])
        groups = [range(first, axes, self.owners) for first in range(min(self.owners, axes))]
        chained = share(lambda group: [_runs(following[axis], has_previous[axis]) for axis in group],
                        [(group,) for group in groups])
        self.runs: list[Int32[np.ndarray, " r"]] = [
            chained[axis % len(groups)][axis // len(groups)] for axis in range(axes)]
        self.cuts = [_cuts(runs, self.threads) for runs in self.runs]

    def _list_pixels(self) -> None:
        counts = np.zeros(self.points, np.int32)
        self.ranges = [(int(low), int(high)) for low, high in pairwise(self.firsts)]
        share(vertices.count_corners, [(self.ids, counts, *owned) for owned in self.ranges])
        self.start_of = np.zeros(self.points + 1, np.int32)
        np.cumsum(counts, out=self.start_of[1:])
        cursor = self.start_of[:-1].copy()
        self.pixel_of = np.empty(self.ids.size, np.int32)
        self.weight_of = np.empty(self.ids.size, np.float32)
        share(vertices.list_pixels, [(self.ids, self.weights, cursor, self.pixel_of, self.weight_of, *owned)
                                     for owned in self.ranges])
        shares = np.linspace(0, self.ids.size, len(self.pixel_parts) + 1)
        edges = np.searchsorted(self.start_of, shares[1:-1])
        self.point_parts = list(zip([0, *edges], [*edges, self.points], strict=True))

    def filter(self, field: Float32[np.ndarray, " N"], *, transpose: bool = False) -> Float32[np.ndarray, " N"]:
        """K times one number per pixel; transposed, the axes are blurred in the opposite order."""
        return self.slice(self.spread(field, transpose=transpose))

    def spread(self, field: Float32[np.ndarray, " N"], *, transpose: bool = False) -> Float32[np.ndarray, " M"]:
        """Splats and blurs one number per pixel."""
        values = np.empty(self.points, np.float32)
        share(passes.splat_one, [(field, self.start_of, self.pixel_of, self.weight_of, values, *part)
                                 for part in self.point_parts])
        for axis in range(self.dimensions, -1, -1) if transpose else range(self.dimensions + 1):
            share(passes.blur_one, [(values, self.runs[axis], *cut) for cut in self.cuts[axis]])
        return values

    def slice(self, values: Float32[np.ndarray, " M"]) -> Float32[np.ndarray, " N"]:
        """Reads every pixel back from the lattice."""
        out = np.empty(self.pixels, np.float32)
        share(passes.gather_one, [(values, self.ids, self.weights, self.gain, out, *part)
                                  for part in self.pixel_parts])
        return out


def _runs(following: Int32[np.ndarray, " M"], has_previous: Bool[np.ndarray, " M"]) -> Int32[np.ndarray, " r"]:
    runs = np.empty(len(following), np.int32)
    written = vertices.chain(following, has_previous, runs)
    return runs[:written].copy()


def _cuts(runs: Int32[np.ndarray, " r"], threads: int) -> list[tuple[int, int]]:
    """About equal parts that end where a run ends."""
    edges = [0]
    for _, stop in parts(len(runs), threads)[:-1]:
        ends = np.flatnonzero(runs[stop:] < 0)
        edges.append(stop + int(ends[0]) + 1 if len(ends) else len(runs))
    return list(zip(edges, [*edges[1:], len(runs)], strict=True))
