"""Mean field with a gradient: its iterations unrolled, every kernel a linear map (paper, section 4).

K is linear, so its derivative is its transpose: splat and slice change places, axes are blurred in the opposite
order, and the two sides of the normalisation change places. `unrolled` is the algorithm over any such maps, on any
device, differentiable as often as wanted. `LatticePair.mean_field` is the same in compiled loops, differentiable
once; a derivative of its derivative goes through `unrolled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.crf.lattice.buffers import aligned, borrow_workspace
from dlseg.crf.lattice.filter import Rows, row_width, slice_into, splat_and_blur
from dlseg.crf.lattice.jit import rows, update
from dlseg.crf.lattice.state import Filters
from dlseg.crf.lattice.threads import parallel
from dlseg.crf.mean_field import Cancel, ask
from dlseg.crf.params import Number

LinearMap = Callable[[Tensor], Tensor]  # K times a field (N, L)


def unrolled(
    scores: Float[Tensor, "N C"],
    kernels: Sequence[LinearMap],
    weights: Sequence[Any],
    compatibility: Float[Tensor, "C C"] | None,
    iterations: int,
    relax: Number = 1.0,
    cancel: Cancel = None,
) -> Float[Tensor, "N C"]:
    """Marginals after parallel updates, with gradients to scores, weights and compatibility.

    Args:
        scores: (N, C) log probabilities of the unary.
        kernels: normalised kernels, each K times a field (N, L).
        weights: one for each kernel.
        compatibility: (C, C) costs mu(l, l'); None is Potts.
        iterations: how many updates.
        relax: the share of the way to its update that Q moves.
        cancel: asked before every iteration.

    Returns:
        (N, C) marginals.
    """
    q = scores.softmax(1)
    for _ in range(iterations):
        ask(cancel, iterations)
        terms = (weight * kernel(q) for weight, kernel in zip(weights, kernels, strict=True))
        messages = sum(terms, torch.zeros((), dtype=q.dtype, device=q.device))
        gain = messages if compatibility is None else -messages @ compatibility.T
        q = q + relax * ((scores + gain).softmax(1) - q)
    return q


class _Filtered(torch.autograd.Function):
    """A lattice's linear map; its derivative is the transposed map, whose derivative is the map again."""

    @staticmethod
    def forward(ctx: Any, pair: LatticePair, which: int, transpose: bool, field: Tensor) -> Tensor:
        ctx.map = pair, which, transpose
        return pair.filter(which, field, transpose=transpose)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, Tensor]:
        pair, which, transpose = ctx.map
        return None, None, None, _Filtered.apply(pair, which, not transpose, gradients[0])


class _MeanField(torch.autograd.Function):
    """A whole inference. Between forward and backward every iteration's marginals are kept, nothing else."""

    @staticmethod
    def forward(
        ctx: Any,
        pair: LatticePair,
        iterations: int,
        cancel: Cancel,
        scores: Tensor,
        w1: Tensor,
        w2: Tensor,
        compatibility: Tensor | None,
    ) -> Tensor:
        run = _CompiledRun(pair, scores, w1, w2, compatibility)
        keep = any(ctx.needs_input_grad)
        q = run.forward(iterations, keep, cancel)
        if keep:
            ctx.pair, ctx.iterations, ctx.run = pair, iterations, run
            ctx.save_for_backward(scores, w1, w2, compatibility)
        return q

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():  # create_graph: the derivative is to have a derivative
            inputs = ctx.saved_tensors
            scores, w1, w2, compatibility = inputs
            q = unrolled(scores.T, ctx.pair.kernels(), (w1, w2), compatibility, ctx.iterations).T
            wanted = [x for x, is_needed in zip(inputs, needed, strict=True) if is_needed]
            found = iter(torch.autograd.grad(q, wanted, gradients[0], create_graph=True))
            return (None, None, None, *(next(found) if is_needed else None for is_needed in needed))
        _ = ctx.saved_tensors  # torch's own error where something was changed in place since, or is used up
        return (None, None, None, *ctx.run.backward(gradients[0], needed[1:]))


class LatticePair:
    """Both kernels of one image by lattices, normalised, for float32 tensors on the CPU."""

    def __init__(self, filters: Filters, threads: int) -> None:
        self.filters, self.threads = filters, threads
        self.pixels = filters[0].lattice.pixels

    def kernels(self) -> list[LinearMap]:
        """Both kernels as differentiable functions of a field (N, L)."""
        return [partial(_Filtered.apply, self, which, False) for which in (0, 1)]

    def filter(
        self, which: int, field: Float32[Tensor, "N L"], *, transpose: bool = False
    ) -> Float32[Tensor, "N L"]:
        """Kernel `which`, or its transpose, times a field; no gradient."""
        f, labels = self.filters[which], field.shape[1]
        width = row_width(labels)
        given, out = aligned(self.pixels * width), aligned(self.pixels * width)
        given.reshape(-1, width)[:, :labels] = field.detach().numpy()
        given.reshape(-1, width)[:, labels:] = 0
        out[:] = 0
        values = aligned(f.lattice.points * width)
        splat_and_blur([f], given, [values], width, self.threads, transpose=transpose)
        slice_into(f, values, f.gain(1.0, transpose=transpose), out, width, self.threads)
        return torch.from_numpy(out.reshape(-1, width)[:, :labels])

    def mean_field(
        self,
        scores: Float32[Tensor, "C N"],
        w1: Float32[Tensor, ""],
        w2: Float32[Tensor, ""],
        compatibility: Float32[Tensor, "C C"] | None,
        iterations: int,
        relax: Number = 1.0,
        cancel: Cancel = None,
    ) -> Float32[Tensor, "C N"]:
        """As `unrolled`, labels first; gradients flow to scores, weights and compatibility."""
        if relax != 1:
            q = unrolled(scores.T, self.kernels(), (w1, w2), compatibility, iterations, relax, cancel)
            return q.T.contiguous()
        return _MeanField.apply(self, iterations, cancel, scores, w1, w2, compatibility)


class _CompiledRun:
    """One inference in compiled loops, and its derivative."""

    def __init__(
        self, pair: LatticePair, scores: Tensor, w1: Tensor, w2: Tensor, compatibility: Tensor | None
    ) -> None:
        self.pair, (self.labels, self.pixels) = pair, scores.shape
        self.width = row_width(self.labels)
        self.weights = np.float32(w1.item()), np.float32(w2.item())
        self.mu = None if compatibility is None else compatibility.detach().numpy()
        self.memory = borrow_workspace(self)
        self.scores = self._packed("scores", scores, rows.NEVER)
        self.kept: list[np.ndarray] = []  # the marginals before each update, and the last ones

    def _rows(self, name: str) -> Rows:
        return self.memory.array(name, self.pixels * self.width)

    def _packed(self, name: str, field: Tensor, empty: np.float32) -> Rows:
        packed, flat = self._rows(name), field.detach().contiguous().numpy().ravel()
        self._over_pixels(rows.pack, flat, packed, empty, self.labels, self.pixels)
        return packed

    def _unpacked(self, packed: Rows) -> Float32[Tensor, "C N"]:
        out, none = np.empty((self.labels, self.pixels), np.float32), np.empty(0, np.float32)
        every, pruned = np.arange(self.labels), np.arange(0)
        self._over_pixels(rows.unpack, packed, every, pruned, none, none, out.ravel(), self.pixels)
        return torch.from_numpy(out)

    def _over_pixels(self, work: Callable[..., None], *arguments: Any, scratch: int = 0) -> None:
        """work(*arguments, `scratch` rows to work in, if any, width, first pixel, last pixel)."""
        tasks = []
        for part in self.pair.filters[0].lattice.pixel_parts:
            memory = [aligned(scratch * self.width)] if scratch else []
            tasks.append((*arguments, *memory, self.width, *part))
        parallel(work, tasks, self.pair.threads)

    def _costs(self, mu: np.ndarray | None) -> Rows:
        """(L L) what one label costs another; empty for Potts."""
        if mu is None:
            return np.zeros(0, np.float32)
        costs = np.zeros((self.width, self.width), np.float32)
        costs[: self.labels, : self.labels] = mu
        return costs.ravel()

    def _filtered(self, field: Rows, weights: Sequence[np.float32], *, transpose: bool) -> list[tuple]:
        """Both kernels as the compiled updates take them, with the field's values on their lattices."""
        filters = self.pair.filters
        values = [self.memory.array(f"values {i}", f.lattice.points * self.width) for i, f in enumerate(filters)]
        splat_and_blur(filters, field, values, self.width, self.pair.threads, transpose=transpose)
        gains = [f.gain(float(w), transpose=transpose) for f, w in zip(filters, weights, strict=True)]
        return [f.slicing(v, gain) for f, v, gain in zip(filters, values, gains, strict=True)]

    def forward(self, iterations: int, keep: bool, cancel: Cancel) -> Float32[Tensor, "C N"]:
        costs, q = self._costs(None if self.mu is None else self.mu.T), self._rows("q")
        mask = (np.arange(self.width) < self.labels).astype(np.float32)
        self._over_pixels(update.softmax, self.scores, np.empty(0, np.float32), mask, q, scratch=1)
        for _ in range(iterations):
            ask(cancel, iterations)
            kernels = self._filtered(q, self.weights, transpose=False)
            if keep:
                self.kept.append(q)
                q = self._rows(f"q {len(self.kept)}")
            self._over_pixels(update.update_all, *kernels, self.scores, costs, self.labels, q, scratch=2)
        if keep:
            self.kept.append(q)
        return self._unpacked(q)

    def backward(self, gradient: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, ...]:
        """Gradients of scores, w1, w2 and compatibility; of the last three where they are needed."""
        one, costs = (np.float32(1), np.float32(1)), self._costs(self.mu)
        of_scores, total = self._packed("scores", gradient, update.ZERO), self._rows("total")
        total[:] = 0
        self._over_pixels(update.softmax_backward, self.kept[-1], of_scores, of_scores, total)
        matrices = self.mu is not None and any(needed)
        parts = self.pair.filters[0].lattice.pixel_parts
        sums = np.zeros(2 * self.width**2 if matrices else 2)
        for q in reversed(self.kept[:-1]):
            kernels = self._filtered(of_scores, one, transpose=True)
            products = np.zeros((len(parts), len(sums)), np.float32)  # each thread adds to its own row
            arguments = self.weights, q, costs, self.labels, (of_scores, total)
            parallel(
                update.backward,
                [
                    (*kernels, *arguments, mine, aligned(3 * self.width), self.width, *part)
                    for mine, part in zip(products, parts, strict=True)
                ],
                self.pair.threads,
            )
            sums += products.sum(axis=0, dtype=np.float64)
        return (self._unpacked(total), *self._of_parameters(sums, needed))

    def _of_parameters(self, sums: np.ndarray, needed: Sequence[bool]) -> list[Tensor | None]:
        found: list[np.ndarray | None] = [None, None, None]
        if self.mu is None:
            found[:2] = sums[0], sums[1]
        elif any(needed):
            both = -sums.reshape(2, self.width, self.width)[:, : self.labels, : self.labels]
            of_mu = self.weights[0] * both[0] + self.weights[1] * both[1]
            found = [np.sum(self.mu * both[0]), np.sum(self.mu * both[1]), of_mu]
        return [
            torch.as_tensor(x, dtype=torch.float32) if is_needed and x is not None else None
            for x, is_needed in zip(found, needed, strict=True)
        ]
