"""One Gaussian kernel of the CRF, normalised, applied by its lattice; and the same for many labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from dlseg.crf.features import normalization_scales
from dlseg.crf.lattice.jit import splat_blur_slice
from dlseg.crf.lattice.structure import Lattice
from dlseg.crf.lattice.threads import interleaved, parallel

ROW = 8  # labels that are worked on together

Rows = Float32[np.ndarray, "_"]  # rows of labels, flat: pixels (N L) or lattice points (M L)


def row_width(labels: int) -> int:
    """The next multiple of ROW: how long a row of `labels` numbers is made."""
    return -(-labels // ROW) * ROW


class GaussianFilter:
    """K = diag(scale_out) slice blur splat diag(scale_in): a Gaussian kernel ready for use.

    Attributes:
        lattice: the lattice of its features.
        ids, weights: (N (d + 1)) the lattice's, flat.
        scale_in, scale_out: (N,) the normalisation: what a pixel's marginals are multiplied by on their way into
            the lattice, and what is read there on its way out.
        splat_weights: (N (d + 1)) the lattice's `weight_of`, scale_in included.
        ones: (M,) what a field of ones, scaled and blurred, has at each lattice point.
        largest_row_sum: of K.
    """

    def __init__(self, lattice: Lattice, normalization: str) -> None:
        self.lattice, one = lattice, np.ones(lattice.pixels, np.float32)
        self.ids, self.weights = lattice.ids.ravel(), lattice.weights.ravel()
        self.splat_weights, self.ones = lattice.weight_of, lattice.splat_and_blur(one)
        row_sums = lattice.slice(self.ones)
        self.scale_out, self.scale_in = normalization_scales(row_sums, normalization)
        if normalization in ("before", "symmetric"):
            self.splat_weights = np.multiply(lattice.weight_of, self.scale_in[lattice.pixel_of])
            self.ones = lattice.splat_and_blur(self.scale_in)
            row_sums = lattice.slice(self.ones)
        self.largest_row_sum = float(np.max(self.scale_out * row_sums))

    @cached_property
    def transposed_splat_weights(self) -> Float32[np.ndarray, " n"]:
        """splat_weights of the transposed kernel, in which scale_in and scale_out change places."""
        if self.scale_in is self.scale_out:
            return self.splat_weights
        return self.lattice.weight_of * self.scale_out[self.lattice.pixel_of]

    def gain(self, weight: float, *, transpose: bool = False) -> Float32[np.ndarray, " N"]:
        """What a pixel multiplies the lattice's value by: weight, normalisation, the lattice's own constant."""
        return (self.scale_in if transpose else self.scale_out) * np.float32(weight * self.lattice.gain)

    def row(self, weight: float, pixel: int) -> Float32[np.ndarray, " N"]:
        """One row of the weighted, normalised kernel matrix."""
        unit = np.zeros_like(self.scale_out)
        unit[pixel] = 1
        filtered = self.lattice.filter(unit, transpose=True)
        return np.float32(weight * self.scale_out[pixel]) * filtered * self.scale_in

    def slicing(self, values: Rows, gain: Float32[np.ndarray, " N"]) -> tuple[np.ndarray, ...]:
        """The kernel as the compiled updates take it (jit/update.py), with these values on its lattice."""
        return values, self.ids, self.weights, gain


def splat_and_blur(
    filters: Sequence[GaussianFilter],
    rows: Rows,
    values: Sequence[Rows],
    width: int,
    threads: int,
    *,
    transpose: bool = False,
) -> None:
    """Filters rows of labels (N width) by each kernel, or its transpose, up to its lattice's values (M width)."""
    parallel(
        splat_blur_slice.splat,
        interleaved(
            *(
                [
                    (rows, f.lattice.start_of, f.lattice.pixel_of, splat_weights, out, width, *part)
                    for part in f.lattice.point_parts
                ]
                for f, out in zip(filters, values, strict=True)
                for splat_weights in [f.transposed_splat_weights if transpose else f.splat_weights]
            )
        ),
        threads,
    )
    blur(filters, values, width, threads, transpose=transpose)


def blur(
    filters: Sequence[GaussianFilter], values: Sequence[Rows], width: int, threads: int, *, transpose: bool = False
) -> None:
    """Blurs values (M width) along every axis, in place. The transpose of a product takes the axes backwards."""
    lattices = [f.lattice for f in filters]
    for step in range(max(lattice.dimensions for lattice in lattices) + 1):
        tasks = []
        for lattice, field in zip(lattices, values, strict=True):
            axis = lattice.dimensions - step if transpose else step
            if 0 <= axis <= lattice.dimensions:
                tasks.append([(field, lattice.runs[axis], width, *part) for part in lattice.run_parts[axis]])
        parallel(splat_blur_slice.blur, interleaved(*tasks), threads)


def slice_into(
    f: GaussianFilter, values: Rows, gain: Float32[np.ndarray, " N"], out: Rows, width: int, threads: int
) -> None:
    """out (N width) += gain times the lattice's value at each pixel."""
    lattice = f.lattice
    parallel(
        splat_blur_slice.slice_rows,
        [(values, lattice.ids, lattice.weights, gain, out, width, *part) for part in lattice.pixel_parts],
        threads,
    )
