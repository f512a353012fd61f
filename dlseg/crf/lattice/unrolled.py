"""Mean field with a gradient: iterations unrolled, every kernel a linear map (paper, section 4).

K is linear, so its derivative is its transpose: splat and slice change places, axes are blurred in the opposite
order, and the two sides of the normalisation change places. `unrolled` is the algorithm over any such maps, on any
device, differentiable as often as wanted. `LatticePair.mean_field` is the same, once differentiable, in compiled
loops; a derivative of its derivative goes through `unrolled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.crf.lattice.buffers import borrowed, room
from dlseg.crf.lattice.filter import Side
from dlseg.crf.lattice.jit import passes, update
from dlseg.crf.lattice.jit import unrolled as loops
from dlseg.crf.lattice.state import ROW
from dlseg.crf.lattice.threads import amid, share
from dlseg.crf.mean_field import Cancel, ask
from dlseg.crf.params import Number

Filter = Callable[[Tensor], Tensor]  # K times a field (N, L)


def unrolled(
    scores: Float[Tensor, "N C"],
    filters: Sequence[Filter],
    weights: Sequence[Any],
    compatibility: Float[Tensor, "C C"] | None,
    iterations: int,
    relax: Number = 1.0,
    cancel: Cancel = None,
) -> Float[Tensor, "N C"]:
    """Marginals after as many parallel updates as `iterations` says.

    scores: log probabilities of the unary. filters: normalised kernels, each K times a field (N, L). weights: one
    for each. compatibility: None is Potts. Gradients flow to scores, weights and compatibility.
    """
    q = scores.softmax(1)
    for _ in range(iterations):
        ask(cancel, iterations)
        kernels = zip(weights, filters, strict=True)
        messages = sum((w * k(q) for w, k in kernels), torch.zeros((), dtype=q.dtype, device=q.device))
        gain = messages if compatibility is None else -messages @ compatibility.T
        q = q + relax * ((scores + gain).softmax(1) - q)
    return q


class _Filtered(torch.autograd.Function):
    """A linear map of a lattice; the derivative is the transposed map, whose derivative is the map again."""

    @staticmethod
    def forward(ctx: Any, pair: LatticePair, which: int, transpose: bool, field: Tensor) -> Tensor:
        ctx.map = pair, which, transpose
        return pair.filter(which, field, transpose=transpose)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, Tensor]:
        pair, which, transpose = ctx.map
        return None, None, None, _Filtered.apply(pair, which, not transpose, gradients[0])


class _MeanField(torch.autograd.Function):
    """`LatticePair.forward` and its derivative. Between the two, every iteration's marginals are kept, no more."""

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
        run = _Unrolled(pair, scores, w1, w2, compatibility)
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
            q = unrolled(scores.T, ctx.pair.filters(), (w1, w2), compatibility, ctx.iterations).T
            wanted = [x for x, is_needed in zip(inputs, needed, strict=True) if is_needed]
            found = iter(torch.autograd.grad(q, wanted, gradients[0], create_graph=True))
            return (None, None, None, *(next(found) if is_needed else None for is_needed in needed))
        _ = ctx.saved_tensors  # torch's own error where something was changed in place since, or is used up
        return (None, None, None, *ctx.run.backward(gradients[0], needed[1:]))


class LatticePair:
    """Both kernels of one image by lattices, normalised, for float32 tensors on the CPU."""

    def __init__(self, sides: tuple[Side, Side], threads: int) -> None:
        self.sides, self.threads = sides, threads
        self.pixels = sides[0].lattice.pixels

    def filters(self) -> list[Filter]:
        """Both kernels as differentiable functions of a field (N, L)."""
        return [partial(_Filtered.apply, self, which, False) for which in (0, 1)]

    def filter(
        self, which: int, field: Float32[Tensor, "N L"], *, transpose: bool = False
    ) -> Float32[Tensor, "N L"]:
        """Kernel `which`, or its transpose, times a field; no gradient."""
        labels, side = field.shape[1], self.sides[which]
        width = -(-labels // ROW) * ROW
        rows, out = room(self.pixels * width), room(self.pixels * width)
        rows.reshape(-1, width)[:, :labels] = field.detach().numpy()
        rows.reshape(-1, width)[:, labels:] = 0
        out[:] = 0
        values = room(side.lattice.points * width)
        self.spread([(which, values)], rows, width, transpose=transpose)
        gain = self.gain(which, transpose)
        self.shared(
            passes.gather,
            [
                (values, side.lattice.ids, side.lattice.weights, gain, out, width, *part)
                for part in side.lattice.pixel_parts
            ],
        )
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
            q = unrolled(scores.T, self.filters(), (w1, w2), compatibility, iterations, relax, cancel)
            return q.T.contiguous()
        return _MeanField.apply(self, iterations, cancel, scores, w1, w2, compatibility)

    def spread(
        self, fields: list[tuple[int, np.ndarray]], rows: Float32[np.ndarray, " n"], width: int, *, transpose: bool
    ) -> None:
        """Splats and blurs rows of labels onto lattices: fields are pairs of which lattice, and its values."""
        lattices = [self.sides[which].lattice for which, _ in fields]
        self.shared(
            passes.splat,
            amid(
                *(
                    [
                        (
                            rows,
                            lattice.start_of,
                            lattice.pixel_of,
                            self._weights(which, transpose),
                            values,
                            width,
                            *part,
                        )
                        for part in lattice.point_parts
                    ]
                    for lattice, (which, values) in zip(lattices, fields, strict=True)
                )
            ),
        )
        axes = range(max(lattice.dimensions for lattice in lattices) + 1)
        for step in axes:
            tasks = []
            for lattice, (_, values) in zip(lattices, fields, strict=True):
                axis = lattice.dimensions - step if transpose else step
                if 0 <= axis <= lattice.dimensions:
                    tasks.append([(values, lattice.runs[axis], width, *part) for part in lattice.run_parts[axis]])
            self.shared(passes.blur, amid(*tasks))

    def _weights(self, which: int, transpose: bool) -> Float32[np.ndarray, " n"]:
        """Of every entry of a lattice's list of pixels: barycentric, times the normalisation of what comes in."""
        side = self.sides[which]
        return side.weight_back if transpose else side.weight_of

    def gain(self, which: int, transpose: bool) -> Float32[np.ndarray, " N"]:
        """What a pixel multiplies the lattice's value with: the normalisation, and the lattice's own constant."""
        return self.sides[which].gain(1.0, transpose=transpose)

    def shared(self, work: Callable[..., Any], tasks: list[tuple]) -> list[Any]:
        """work(*task) for every task, by the threads."""
        return share(work, tasks, self.threads)


class _Unrolled:
    """One inference in compiled loops, and the way back through it."""

    def __init__(
        self, pair: LatticePair, scores: Tensor, w1: Tensor, w2: Tensor, compatibility: Tensor | None
    ) -> None:
        self.pair, (self.labels, self.pixels) = pair, scores.shape
        self.width = -(-self.labels // ROW) * ROW
        self.parts = pair.sides[0].lattice.pixel_parts
        self.weights = np.float32(w1.item()), np.float32(w2.item())
        self.mu = None if compatibility is None else compatibility.detach().numpy()
        self.memory = borrowed(self)
        self.scores = self._laid("scores", scores, update.NEVER)
        self.kept: list[np.ndarray] = []  # the marginals before each update, and the last ones

    def _rows(self, name: str) -> Float32[np.ndarray, " n"]:
        return self.memory.room(name, self.pixels * self.width)

    def _laid(self, name: str, field: Tensor, empty: np.float32) -> Float32[np.ndarray, " n"]:
        rows, flat = self._rows(name), field.detach().contiguous().numpy().ravel()
        self._work(loops.lay, flat, rows, empty, self.labels, self.pixels, self.width)
        return rows

    def _lifted(self, rows: Float32[np.ndarray, " n"]) -> Float32[Tensor, "C N"]:
        out = np.empty((self.labels, self.pixels), np.float32)
        self._work(loops.lift, rows, out.ravel(), self.labels, self.pixels, self.width)
        return torch.from_numpy(out)

    def _work(self, work: Callable[..., None], *arguments: Any) -> None:
        self.pair.shared(work, [(*arguments, *part) for part in self.parts])

    def _costs(self, mu: np.ndarray | None) -> Float32[np.ndarray, " n"]:
        """A row of costs for each label that charges; empty for Potts."""
        if mu is None:
            return np.zeros(0, np.float32)
        costs = np.zeros((self.width, self.width), np.float32)
        costs[: self.labels, : self.labels] = mu
        return costs.ravel()

    def _values(self) -> list[np.ndarray]:
        return [
            self.memory.room(f"values {which}", side.lattice.points * self.width)
            for which, side in enumerate(self.pair.sides)
        ]

    def forward(self, iterations: int, keep: bool, cancel: Cancel) -> Float32[Tensor, "C N"]:
        first, second = self.pair.sides
        values, costs = self._values(), self._costs(None if self.mu is None else self.mu.T)
        gains = [w * self.pair.gain(which, False) for which, w in enumerate(self.weights)]
        q = self._rows("q")
        self._work(loops.soften, self.scores, q, self.width)
        for _ in range(iterations):
            ask(cancel, iterations)
            self.pair.spread(list(enumerate(values)), q, self.width, transpose=False)
            if keep:
                self.kept.append(q)
                q = self._rows(f"q {len(self.kept)}")
            self.pair.shared(
                loops.respond,
                [
                    (
                        values[0],
                        first.ids,
                        first.weights,
                        gains[0],
                        values[1],
                        second.ids,
                        second.weights,
                        gains[1],
                        self.scores,
                        costs,
                        self.labels,
                        q,
                        room(2 * self.width),
                        self.width,
                        *part,
                    )
                    for part in self.parts
                ],
            )
        if keep:
            self.kept.append(q)
        return self._lifted(q)

    def backward(self, gradient: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, ...]:
        """Gradients of scores, w1, w2 and compatibility; of the last three where they are needed."""
        first, second = self.pair.sides
        values, costs = self._values(), self._costs(self.mu)
        gains = [self.pair.gain(which, True) for which in (0, 1)]
        into, step = self._rows("into"), self._laid("scores", gradient, loops.ZERO)
        into[:] = 0
        self._work(loops.through_softmax, self.kept[-1], step, step, into, self.width)
        matrices = self.mu is not None and any(needed)
        products = np.zeros((len(self.parts), 2 * self.width**2 if matrices else 2), np.float32)
        sums = np.zeros(products.shape[1])
        for q in reversed(self.kept[:-1]):
            self.pair.spread(list(enumerate(values)), step, self.width, transpose=True)
            products[:] = 0
            self.pair.shared(
                loops.hand_back,
                [
                    (
                        values[0],
                        first.ids,
                        first.weights,
                        gains[0],
                        values[1],
                        second.ids,
                        second.weights,
                        gains[1],
                        *self.weights,
                        q,
                        costs,
                        self.labels,
                        step,
                        into,
                        mine,
                        room(3 * self.width),
                        self.width,
                        *part,
                    )
                    for mine, part in zip(products, self.parts, strict=True)
                ],
            )
            sums += products.sum(axis=0, dtype=np.float64)
        return (self._lifted(into), *self._of_parameters(sums, needed))

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
