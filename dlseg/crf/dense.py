"""`DenseCRF`: one image, one unary, as many parameter settings as you like (paper, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from dlseg.crf import inputs, reference
from dlseg.crf.energy import free_energy
from dlseg.crf.exact import ExactRun
from dlseg.crf.kernels import create
from dlseg.crf.labels import UNKNOWN, label_probabilities, refuse_mask
from dlseg.crf.mean_field import Cancelled, Run
from dlseg.crf.params import CRFParams, Number, Whole
from dlseg.crf.shrink import averaged, enlarged
from dlseg.crf.team import Turn, checked_threads

KEPT = {"_kernel", "_turn", "_small", "_sparse"}  # what a DenseCRF keeps from call to call; all else is inputs


class Step(NamedTuple):
    """The state after an iteration; iteration 0 is the unary's own softmax."""

    iteration: int
    q: Any  # (C, H, W) float32 marginals
    free_energy: float
    change: float  # largest change of any marginal in this iteration


class Affinity(NamedTuple):
    """What one pixel's kernels weigh every pixel, weights and normalisation included: each (H, W) float32."""

    appearance: Float32[np.ndarray, "H W"]
    smoothness: Float32[np.ndarray, "H W"]


class DenseCRF:
    """The fully connected CRF of one image.

    image: (H, W, 3) RGB colours 0..255. Exactly one of
    probs: (C, H, W) probabilities; below 1e-5 counts as 1e-5,
    logits: (C, H, W) raw scores, softmax taken here, or
    labels: (H, W) labels or scribbles 0, 1, …, or a mask of bools (False is label 0, True label 1); `confidence` is
    the probability of a given label, `num_classes` the number of labels, by default one more than the largest one
    given. `unknown` is the value of pixels whose label is not known, 255 by default, None where there are none;
    for more than 255 labels say another one, -1 for example. It may be a number amid the labels, as 0 is where
    labels start from 1: then that row of the marginals is there and stays near 0.
    kernel: "lattice" (fast), "exact" (every pair; small images), "local" (touching pixels only, 4 or 8
    `neighbours`), "pydensecrf" (the reference).
    compatibility: (C, C) symmetric costs mu(l, l') of unlike neighbours; None is Potts.
    self_term: whether a pixel's message to itself counts, as released; only "exact" can leave it out.
    threads: how many the lattice may use; None is every processor, at most 8, or NUMBA_NUM_THREADS.

    Torch in, torch out. Inputs are never changed. Every mistake is one TypeError or ValueError that names it. One
    object may be used by several threads; they take turns. It may be interrupted, forked, copied and pickled: a
    copy has the inputs and options, none of the lattices, and no gradient where it was pickled. `infer` on the
    lattice is differentiable where the unary requires a gradient, and runs where the unary is (reference.py).
    """

    def __init__(self, image: Any, *, probs: Any = None, logits: Any = None, labels: Any = None,
                 kernel: str = "lattice", num_classes: Whole | None = None, confidence: Number = 0.7,
                 unknown: Whole | None = UNKNOWN, compatibility: Any = None, self_term: bool = True,
                 neighbours: int = 8, threads: int | None = None) -> None:
        self._image = inputs.checked_image(image)
        self.height, self.width, _ = self._image.shape
        self.threads = checked_threads(threads)
        unaries = {"probs": probs, "logits": logits, "labels": labels}
        given = [name for name, value in unaries.items() if value is not None]
        if len(given) != 1:
            raise TypeError(f"probs, logits, labels: got {' and '.join(given) or 'none'}, expected one")
        name, unary = given[0], unaries[given[0]]
        size = (self.height, self.width)
        if labels is not None:
            refuse_mask(labels, num_classes)
            self._probs = label_probabilities(labels, size, num_classes, confidence, unknown)
        else:
            self._probs = inputs.clipped(name, inputs.checked_scores(name, unary, size), self.threads)
        self._device = unary.device if isinstance(unary, Tensor) else None
        self._tensor = inputs.traced(name, unary, self._probs, kernel)
        self.num_classes = len(self._probs)
        self._compatibility = inputs.checked_compatibility(compatibility, self.num_classes)
        self._options: dict[str, Any] = {"self_term": self_term, "neighbours": neighbours, "threads": self.threads}
        self.kernel = kernel
        self._begin()

    def _begin(self) -> None:
        """Everything that is kept from call to call, none of it there yet."""
        self._kernel = create(self.kernel, self._image, **self._options)
        self._turn = Turn()
        self._small: tuple[int, DenseCRF] | None = None  # what preview works on
        self._sparse: reference.SparseKernel | None = None  # what infer works on where the unary is traced

    def __getstate__(self) -> dict[str, Any]:
        """The inputs and options; what is kept from call to call is built anew where they arrive."""
        return {name: value.detach() if isinstance(value, Tensor) else value
                for name, value in self._inputs().items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            array = isinstance(value, np.ndarray) and not value.flags.writeable  # joblib maps large ones from files
            setattr(self, name, np.array(value) if array else value)
        self._begin()

    def __copy__(self) -> DenseCRF:
        twin = object.__new__(DenseCRF)
        twin.__setstate__(self._inputs())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> DenseCRF:
        return self.__copy__()  # the inputs are nobody else's, and never changed

    def _inputs(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in KEPT}

    def infer(self, params: CRFParams, *, relax: Number = 1.0, cancel: Callable[[], bool] | None = None) -> Any:
        """Marginals (C, H, W) float32 after `params.iterations` parallel updates.

        relax: Q moves this share of the way to the update (1 as released).
        cancel: asked before every iteration; where it says True, Cancelled is raised and nothing is lost.

        What the parameters left alone is kept: new weights only iterate; a new sigma_gamma, or sigma_alpha or
        sigma_beta, rebuilds one of the two lattices. It stops early where no marginal moves any more.
        """
        with self._turn():
            if self._tensor is not None:
                return self._infer_traced(self._tensor, params, relax, cancel)
            return self._out(self._run(params, relax, cancel))

    def label(self, params: CRFParams, *, cancel: Callable[[], bool] | None = None) -> Int64[np.ndarray, "H W"]:
        """The most probable label of every pixel, (H, W) int64: `infer` and argmax, a little faster."""
        with self._turn():
            if self._tensor is not None:
                q = self._infer_traced(self._tensor, params, 1.0, cancel)
                return inputs.to_numpy("q", q).argmax(axis=0).astype(np.int64)
            return self._run(params, 1.0, cancel).labels().reshape(self.height, self.width)

    def _run(self, params: CRFParams, relax: Number, cancel: Callable[[], bool] | None) -> Run:
        run = self._start(params, relax, thorough=False)
        for _ in range(params.iterations):
            if cancel is not None and cancel():
                raise Cancelled(f"stopped by cancel before {params.iterations} iterations were done")
            if run.advance(relax) == 0:
                break
        return run

    def _infer_traced(self, probs: Tensor, params: CRFParams, relax: Number,
                      cancel: Callable[[], bool] | None) -> Tensor:
        if self._sparse is None:
            self._sparse = reference.SparseKernel(torch.from_numpy(self._image).to(probs))
        mu = None if self._compatibility is None else torch.from_numpy(self._compatibility).to(probs)
        self._check(params, relax)
        q = reference.infer(self._sparse, probs, params, mu, relax, cancel)
        return q.reshape(-1, self.height, self.width)

    def steps(self, params: CRFParams, *, relax: Number = 1.0, update: str = "parallel") -> Iterator[Step]:
        """The inference one iteration at a time, from iteration 0, the unary alone, without shortcuts.

        The free energy counts every pair once. Parallel updates surely lower it only with Potts, the self
        term and a symmetric kernel ("symmetric", "none"); elsewhere it may rise. Two ways never raise it: one
        pixel after another (update="sequential", exact kernel without the self term), for any symmetric kernel;
        and damped, relax <= 2 / (1 + (w1 + w2) r), r the largest absolute eigenvalue of the compatibility (1
        for Potts), with "symmetric". "after" and "before" make the kernel unsymmetric: no energy goes with
        them, and this one may rise.
        """
        if update not in ("parallel", "sequential"):
            raise ValueError(f'update: got {update!r}, expected "parallel" or "sequential"')
        with self._turn():
            run = self._start(params, relax, thorough=True)
        if update == "sequential" and not isinstance(run, ExactRun):
            raise ValueError('update: got "sequential", which only kernel="exact" offers')
        return self._steps(run, params.iterations, relax, update == "sequential")

    def _steps(self, run: Run, iterations: int, relax: Number, sequential: bool) -> Iterator[Step]:
        change = 0.0
        for iteration in range(iterations + 1):
            with self._turn():
                if iteration:
                    change = run.sweep() if isinstance(run, ExactRun) and sequential else run.advance(relax)
                energy = free_energy(run.marginals(), -np.log(self._probs), run.pairwise_energy())
                step = Step(iteration, self._out(run), energy, change)
            yield step

    def preview(self, params: CRFParams, *, factor: int = 2, cancel: Callable[[], bool] | None = None) -> Any:
        """A quick look, (C, H, W): `infer` on an image `factor` times smaller, sigmas scaled, pixels repeated."""
        with self._turn():
            if self._small is None or self._small[0] != factor:
                self._small = (factor, self._shrunk(factor))
            q = self._small[1].infer(params.scaled(1 / factor), cancel=cancel)
        return self._given_back(enlarged(q, factor, self.height, self.width))

    def _shrunk(self, factor: int) -> DenseCRF:
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor: got {factor!r}, expected a whole number >= 1")
        image = averaged(np.moveaxis(self._image, 2, 0), factor).transpose(1, 2, 0)
        probs = averaged(self._probs.reshape(-1, self.height, self.width), factor)
        return DenseCRF(image, probs=probs / probs.sum(axis=0), kernel=self.kernel,
                        compatibility=self._compatibility, **self._options)

    def affinity(self, params: CRFParams, row: int, col: int) -> Affinity:
        """What pixel (row, col) weighs every pixel: its row of both kernels, weighted and normalised."""
        inputs.checked_params(params)
        for name, value, size in (("row", row, self.height), ("col", col, self.width)):
            if not 0 <= value < size:
                raise ValueError(f"{name}: got {value}, expected 0 to {size - 1}")
        with self._turn():
            rows = self._kernel.affinity(params, row * self.width + col)
        return Affinity(*(x.astype(np.float32).reshape(self.height, self.width) for x in rows))

    def _check(self, params: CRFParams, relax: Number) -> None:
        inputs.checked_params(params)
        if not 0 < relax <= 1:
            raise ValueError(f"relax: got {relax}, expected more than 0 and at most 1")

    def _start(self, params: CRFParams, relax: Number, *, thorough: bool) -> Run:
        self._check(params, relax)
        return self._kernel.start(self._probs, params, self._compatibility, thorough=thorough)

    def _out(self, run: Run) -> Any:
        return self._given_back(run.marginals().astype(np.float32, copy=False))

    def _given_back(self, q: np.ndarray) -> Any:
        q = q.reshape(-1, self.height, self.width)
        return q if self._device is None else torch.from_numpy(q).to(self._device)


def refine(image: Any, *, probs: Any = None, logits: Any = None, labels: Any = None,
           params: CRFParams | None = None, kernel: str = "lattice", num_classes: Whole | None = None,
           unknown: Whole | None = UNKNOWN) -> Int64[np.ndarray, "H W"]:
    """Labels (H, W) int64 after the CRF, in one call; arguments as for DenseCRF, `params` as CRFParams()."""
    crf = DenseCRF(image, probs=probs, logits=logits, labels=labels, kernel=kernel, num_classes=num_classes,
                   unknown=unknown)
    return crf.label(params or CRFParams())
