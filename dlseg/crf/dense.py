"""`DenseCRF`: one image, one unary, as many parameter settings as you like (paper, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from dlseg.crf import inputs
from dlseg.crf.energy import free_energy
from dlseg.crf.exact import ExactKernel, ExactRun
from dlseg.crf.mean_field import Cancelled, Kernel, Run
from dlseg.crf.params import CRFParams, Number
from dlseg.crf.peer import PydensecrfKernel

KERNELS = ("exact", "pydensecrf")


class Step(NamedTuple):
    """The state after an iteration; iteration 0 is the unary's own softmax."""

    iteration: int
    q: Any  # (C, H, W) float32 marginals
    free_energy: float
    change: float  # largest change of any marginal in this iteration


class Affinity(NamedTuple):
    """What one pixel's kernels weigh every pixel, weights and normalisation included: each (H, W) float32."""

    appearance: Float[np.ndarray, "H W"]
    smoothness: Float[np.ndarray, "H W"]


class DenseCRF:
    """The fully connected CRF of one image.

    image: (H, W, 3) RGB colours 0..255. Exactly one of
    probs: (C, H, W) probabilities; below 1e-5 counts as 1e-5,
    logits: (C, H, W) raw scores, softmax taken here, or
    labels: (H, W) labels or scribbles, 255 where unknown; `confidence` is the probability of a given label,
    `num_classes` the number of labels where it is more than the largest one given.
    compatibility: (C, C) symmetric costs mu(l, l') of unlike neighbours; None is Potts.
    self_term: whether a pixel's message to itself counts, as released; only "exact" can leave it out.

    Torch in, torch out. Inputs are never changed. Every mistake is one TypeError or ValueError that names it.
    """

    def __init__(self, image: Any, *, probs: Any = None, logits: Any = None, labels: Any = None,
                 kernel: str = "pydensecrf", num_classes: int | None = None, confidence: Number = 0.7,
                 compatibility: Any = None, self_term: bool = True) -> None:
        colours = inputs.checked_image(image)
        size = colours.shape[:2]
        unaries = {"probs": probs, "logits": logits, "labels": labels}
        given = [name for name, value in unaries.items() if value is not None]
        if len(given) != 1:
            raise TypeError(f"probs, logits, labels: got {' and '.join(given) or 'none'}, expected one")
        self.torch_out = isinstance(unaries[given[0]], Tensor)
        if probs is not None:
            probs = inputs.checked_scores("probs", probs, size)
            inputs.check_distribution("probs", probs)
        elif logits is not None:
            probs = inputs.softmax(inputs.checked_scores("logits", logits, size).astype(np.float64))
        else:
            probs = inputs.label_probabilities(labels, size, num_classes, confidence)
        self.height, self.width = size
        self.unary = -np.log(np.maximum(probs, inputs.CLIP)).astype(np.float32).reshape(len(probs), -1)
        self.compatibility = inputs.checked_compatibility(compatibility, len(self.unary))
        self.kernel = _kernel(kernel, colours, self_term)

    @property
    def num_classes(self) -> int:
        """The number of labels C."""
        return len(self.unary)

    def infer(self, params: CRFParams, *, relax: Number = 1.0,
              cancel: Callable[[], bool] | None = None) -> Any:
        """Marginals (C, H, W) float32 after `params.iterations` parallel updates.

        relax: Q moves this share of the way to the update (1 as released).
        cancel: asked before every iteration; where it says True, Cancelled is raised and nothing is lost.
        """
        run = self._start(params, relax)
        for _ in range(params.iterations):
            if cancel is not None and cancel():
                raise Cancelled(f"stopped by cancel before {params.iterations} iterations were done")
            run.advance(relax)
        return self._out(run)

    def steps(self, params: CRFParams, *, relax: Number = 1.0, update: str = "parallel") -> Iterator[Step]:
        """The inference one iteration at a time, from iteration 0, the unary alone.

        The free energy counts every pair once. Parallel updates surely lower it only with Potts, the self
        term and a symmetric kernel ("symmetric", "none"); one pixel after another (update="sequential", exact
        kernel) lowers it for any symmetric kernel without the self term. "after" and "before" make the kernel
        unsymmetric: no energy goes with them, and this one may rise.
        """
        run = self._start(params, relax)
        if update not in ("parallel", "sequential"):
            raise ValueError(f'update: got {update!r}, expected "parallel" or "sequential"')
        sequential = update == "sequential"
        if sequential and not isinstance(run, ExactRun):
            raise ValueError('update: got "sequential", which only kernel="exact" offers')
        return self._steps(run, params.iterations, relax, sequential)

    def _steps(self, run: Run, iterations: int, relax: Number, sequential: bool) -> Iterator[Step]:
        change = 0.0
        for iteration in range(iterations + 1):
            if iteration:
                change = run.sweep() if isinstance(run, ExactRun) and sequential else run.advance(relax)
            energy = free_energy(run.marginals(), self.unary, run.pairwise_energy())
            yield Step(iteration, self._out(run), energy, change)

    def affinity(self, params: CRFParams, row: int, col: int) -> Affinity:
        """What pixel (row, col) weighs every pixel: its row of both kernels, weighted and normalised."""
        inputs.checked_params(params)
        for name, value, size in (("row", row, self.height), ("col", col, self.width)):
            if not 0 <= value < size:
                raise ValueError(f"{name}: got {value}, expected 0 to {size - 1}")
        rows = self.kernel.affinity(params, row * self.width + col)
        return Affinity(*(x.astype(np.float32).reshape(self.height, self.width) for x in rows))

    def _start(self, params: CRFParams, relax: Number) -> Run:
        if not 0 < relax <= 1:
            raise ValueError(f"relax: got {relax}, expected more than 0 and at most 1")
        return self.kernel.start(self.unary, inputs.checked_params(params), self.compatibility)

    def _out(self, run: Run) -> Any:
        q = run.marginals().astype(np.float32).reshape(-1, self.height, self.width)
        return torch.from_numpy(q) if self.torch_out else q


def refine(image: Any, *, probs: Any = None, logits: Any = None, labels: Any = None,
           params: CRFParams | None = None, kernel: str = "pydensecrf") -> Int64[np.ndarray, "H W"]:
    """Labels (H, W) int64 after the CRF, in one call; arguments as for DenseCRF, `params` as CRFParams()."""
    crf = DenseCRF(image, probs=probs, logits=logits, labels=labels, kernel=kernel)
    return np.asarray(crf.infer(params or CRFParams())).argmax(axis=0).astype(np.int64)


def _kernel(name: str, image: Float[np.ndarray, "H W 3"], self_term: bool) -> Kernel:
    if name not in KERNELS:
        raise ValueError(f"kernel: got {name!r}, expected one of {', '.join(KERNELS)}")
    if name == "exact":
        return ExactKernel(image, self_term=self_term)
    if not self_term:
        raise ValueError(f'self_term: got False with kernel="{name}"; only "exact" can leave it out')
    return PydensecrfKernel(image)
