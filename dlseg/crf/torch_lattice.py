"""The same lattice as sparse operators in torch: on any device, and differentiable in the unary.

K = slice . blur . splat is linear, so everything else (normalisation, the derivative) follows from linear algebra.
It is slower on a CPU than the compiled loops, and their independent check: points are numbered by sorting.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from dlseg.crf.features import normalization_scales
from dlseg.crf.lattice.jit.lattice_points import key_strides, lift_scales
from dlseg.crf.lattice.structure import SHORTEST
from dlseg.crf.params import CRFParams, both


class _Apply(torch.autograd.Function):
    """matrix @ field for a constant sparse matrix whose transpose is at hand."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, field: Tensor) -> Tensor:
        ctx.matrices = matrix, transposed
        return matrix @ field

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        matrix, transposed = ctx.matrices
        return None, None, _Apply.apply(transposed, matrix, gradients[0])


class SparseLattice:
    """The permutohedral lattice of features f (N, d): K approximates exp(-|f_i - f_j|^2 / 2)."""

    def __init__(self, features: Float[Tensor, "N d"]) -> None:
        self.dimensions = d = features.shape[1]
        keys, weights, strides = locate(features)
        points, ids = torch.unique(keys, return_inverse=True)
        self.count = len(points)
        pixels = torch.arange(len(features), device=features.device).repeat_interleave(d + 1)
        self.splat = _sparse(ids.reshape(-1), pixels, weights, (self.count, len(features)))
        self.slice = _sparse(pixels, ids.reshape(-1), weights, (len(features), self.count))
        steps = (d + 1) * strides - strides.sum()
        self.neighbours = [(self._find(points, points + step), self._find(points, points - step)) for step in steps]

    def _find(self, points: Int64[Tensor, " M"], keys: Int64[Tensor, " M"]) -> Int64[Tensor, " M"]:
        """Where the keys are among the points; one past the end where they are not."""
        at = torch.searchsorted(points, keys).clamp_(max=self.count - 1)
        return torch.where(points[at] == keys, at, self.count)

    def filter(self, field: Float[Tensor, "N L"]) -> Float[Tensor, "N L"]:
        """K times a field."""
        values = _Apply.apply(self.splat, self.slice, field)
        nothing = torch.zeros_like(values[:1])
        for after, before in self.neighbours:
            padded = torch.cat([values, nothing])
            values = values + 0.5 * (padded[after] + padded[before])
        return _Apply.apply(self.slice, self.splat, values) / (1 + 2.0**-self.dimensions)


def _sparse(rows: Tensor, columns: Tensor, weights: Tensor, shape: tuple[int, int]) -> Tensor:
    places = torch.stack([rows, columns])
    matrix = torch.sparse_coo_tensor(places, weights.reshape(-1), shape, check_invariants=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return matrix.to_sparse_csr()


def locate(
    features: Float[Tensor, "N d"],
) -> tuple[Int64[Tensor, "N e"], Float[Tensor, "N e"], Int64[Tensor, " e"]]:
    """Each pixel's simplex: keys and weights of its e = d + 1 corners, and the strides that pack the keys."""
    d = features.shape[1]
    scaled = features * torch.from_numpy(lift_scales(d)).to(features)
    above = scaled.flip(1).cumsum(1).flip(1)  # sums of the features from j on
    lifted = torch.cat([above, torch.zeros_like(above[:, :1])], 1)
    lifted[:, 1:] -= torch.arange(1, d + 1, device=features.device) * scaled
    whole = torch.round(lifted / (d + 1))
    rest = lifted - whole * (d + 1)
    first = torch.ones(d + 1, d + 1, dtype=torch.bool, device=features.device).tril(-1)  # ties go by index
    above_it = (rest[:, None, :] > rest[:, :, None]) | ((rest[:, None, :] == rest[:, :, None]) & first)
    rank = above_it.sum(2) + whole.sum(1, keepdim=True).long()
    shift = (d + 1) * ((rank < 0).long() - (rank > d).long())
    rank, whole = rank + shift, whole.long() * (d + 1) + shift
    part = (lifted - whole) / (d + 1)
    spread = torch.zeros(len(features), d + 2, dtype=features.dtype, device=features.device)
    spread.scatter_add_(1, d - rank, part).scatter_add_(1, d + 1 - rank, -part)
    weights = torch.cat([spread[:, :1] + 1 + spread[:, -1:], spread[:, 1:-1]], 1)
    low, high = scaled.amin(0).double().cpu().numpy(), scaled.amax(0).double().cpu().numpy()
    strides = torch.from_numpy(key_strides(low, high)).to(features.device)
    corner = torch.arange(d + 1, device=features.device)
    corners = whole[:, None] + corner[:, None] - (d + 1) * (rank[:, None] > d - corner[:, None]).long()
    return (corners * strides).sum(2), weights, strides


class SparseKernel:
    """Both Gaussian kernels of an image (H, W, bands); the lattices of the last sigmas are kept.

    extra: further features, in units of their sigmas.
    """

    def __init__(self, image: Float[Tensor, "H W c"], extra: Float[Tensor, "H W K"] | None = None) -> None:
        height, width, bands = image.shape
        ys, xs = torch.meshgrid(
            torch.arange(height, device=image.device, dtype=image.dtype),
            torch.arange(width, device=image.device, dtype=image.dtype),
            indexing="ij",
        )
        self.position = torch.stack([xs.reshape(-1), ys.reshape(-1)], 1)
        self.colour = image.reshape(-1, bands)
        self.extra = self.colour[:, :0] if extra is None else extra.to(image).reshape(len(self.colour), -1)
        self.kept: dict[str, tuple[tuple[float, ...], SparseLattice]] = {}

    def _lattice(self, name: str, sigmas: tuple[float, ...], features: Callable[[], Tensor]) -> SparseLattice:
        if name not in self.kept or self.kept[name][0] != sigmas:
            self.kept[name] = (sigmas, SparseLattice(features()))
        return self.kept[name][1]

    def _scaled_position(self, sigmas: tuple[float, float]) -> Float[Tensor, "N 2"]:
        return self.position / torch.tensor(sigmas).clamp(min=SHORTEST).to(self.position)

    def filters(self, params: CRFParams) -> list[Callable[[Tensor], Tensor]]:
        """The weighted, normalised kernels as functions of a field (N, L)."""
        alpha, gamma = both(params.sigma_alpha)[::-1], both(params.sigma_gamma)[::-1]
        appearance = self._lattice(
            "appearance",
            (*alpha, params.sigma_beta),
            lambda: torch.cat([self._scaled_position(alpha), self.colour / params.sigma_beta, self.extra], 1),
        )
        smoothness = self._lattice("smoothness", gamma, lambda: self._scaled_position(gamma))
        return [
            _normalised(appearance, params.w1, params.normalization),
            _normalised(smoothness, params.w2, params.normalization),
        ]


def _normalised(lattice: SparseLattice, weight: float, normalization: str) -> Callable[[Tensor], Tensor]:
    pixels = lattice.slice.shape[0]
    one = torch.ones(pixels, 1, dtype=lattice.slice.dtype, device=lattice.slice.device)
    left, right = normalization_scales(lattice.filter(one), normalization)
    return lambda field: weight * left * lattice.filter(right * field)
