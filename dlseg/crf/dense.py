"""`DenseCRF`: one image, one unary, as many parameter settings as you like (paper, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from dlseg.common.constants import VOID
from dlseg.crf import validation
from dlseg.crf.exact import ExactKernel, ExactRun
from dlseg.crf.features import Extra, checked_features
from dlseg.crf.grid import GridKernel
from dlseg.crf.labels import label_probabilities, refuse_mask
from dlseg.crf.lattice.inference import LatticeKernel
from dlseg.crf.lattice.threads import ForkSafeLock, checked_threads
from dlseg.crf.mean_field import Kernel, Run, ask, free_energy
from dlseg.crf.params import CRFParams, Number, Whole
from dlseg.crf.pydensecrf_kernel import PydensecrfKernel
from dlseg.crf.shrink import averaged, enlarged
from dlseg.crf.traced import Traced

KERNELS = ("lattice", "exact", "local", "pydensecrf")
KEPT = {"_kernel", "_lock", "_small"}  # what a DenseCRF keeps from call to call; all else is inputs


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

    image: (H, W, 3) RGB colours 0..255, or another number of bands: (H, W) or (H, W, 1) grey, (H, W, N) what a
    sensor has, up to 13; sigma_beta holds for each of them. Exactly one of
    probs: (C, H, W) probabilities; below 1e-5 counts as 1e-5,
    logits: (C, H, W) raw scores, softmax taken here, or
    labels: (H, W) labels or scribbles 0, 1, …, or a mask of bools (False is label 0, True label 1); `confidence` is
    the probability of a given label, a number or (H, W), `num_classes` the number of labels, by default one more
    than the largest one given. `unknown` is the value of pixels whose label is not known, 255 by default, None
    where there are none; for more than 255 labels say another one, -1 for example. It may be a number amid the
    labels, as 0 is where labels start from 1: then that row of the marginals is there and stays near 0.
    features: what pixels are compared by beside colour, [(array, sigma), …]: arrays (H, W) or (H, W, K) in any unit
    (depth, infrared, an edge map), sigma in the same. The appearance kernel is multiplied by
    exp(-|f_i - f_j|^2 / 2 sigma^2) for each.
    kernel: "lattice" (fast), "exact" (every pair; small images), "local" (touching pixels only, 4 or 8
    `neighbours`), "pydensecrf" (the reference).
    compatibility: (C, C) symmetric costs mu(l, l') of unlike neighbours; None is Potts.
    self_term: whether a pixel's message to itself counts, as released; only "exact" can leave it out.
    threads: how many the lattice may use; None is every processor, at most 8, or NUMBA_NUM_THREADS.

    Torch in, torch out. Inputs are never changed. Every mistake is one TypeError or ValueError that names it. One
    object may be used by several threads; they take turns. It may be interrupted, forked, copied and pickled: a
    copy has the inputs and options, none of the lattices, and no gradient where it was pickled.

    Where the unary is a tensor that requires a gradient, `infer` on the lattice carries one: each call from what
    the tensor holds then, with a graph of its own. float32 on the CPU goes through the compiled lattices; float64,
    and a unary elsewhere than on the CPU, through slower ones in torch (torch_lattice.py), where the unary is. For
    batches, and for weights that are learned: CRFLayer.
    """

    def __init__(
        self,
        image: Any,
        *,
        probs: Any = None,
        logits: Any = None,
        labels: Any = None,
        features: Any = (),
        kernel: str = "lattice",
        num_classes: Whole | None = None,
        confidence: Any = 0.7,
        unknown: Whole | None = VOID,
        compatibility: Any = None,
        self_term: bool = True,
        neighbours: int = 8,
        threads: int | None = None,
    ) -> None:
        self._image = validation.checked_image(image)
        self.height, self.width, bands = self._image.shape
        self._extra = checked_features(features, (self.height, self.width), bands)
        self.threads = checked_threads(threads)
        unaries = {"probs": probs, "logits": logits, "labels": labels}
        given = [name for name, value in unaries.items() if value is not None]
        if len(given) != 1:
            raise TypeError(f"probs, logits, labels: got {' and '.join(given) or 'none'}, expected one")
        name, unary = given[0], unaries[given[0]]
        size = (self.height, self.width)
        if labels is not None:
            refuse_mask(labels, num_classes, unknown)
            self._probs = label_probabilities(labels, size, num_classes, confidence, unknown)
        else:
            self._probs = validation.clipped(name, validation.checked_scores(name, unary, size), self.threads)
        self._device = unary.device if isinstance(unary, Tensor) else None
        tensor = validation.traced(name, unary, kernel)
        self._traced = None if tensor is None else Traced(name, tensor, self._probs, self._image, self._extra)
        self.num_classes = len(self._probs)
        self._compatibility = validation.checked_compatibility(compatibility, self.num_classes)
        self._options: dict[str, Any] = {"self_term": self_term, "neighbours": neighbours, "threads": self.threads}
        self.kernel = kernel
        self._begin()

    def _begin(self) -> None:
        """Everything that is kept from call to call, none of it there yet."""
        self._kernel = _kernel(self.kernel, self._image, self._extra, **self._options)
        self._lock = ForkSafeLock()
        self._small: tuple[int, DenseCRF] | None = None  # what preview works on

    def __getstate__(self) -> dict[str, Any]:
        """The inputs and options; what is kept from call to call is built anew where they arrive."""
        return self._inputs()

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            array = isinstance(value, np.ndarray) and not value.flags.writeable  # joblib maps large ones from files
            setattr(self, name, np.array(value) if array else value)
        self._begin()

    def __copy__(self) -> DenseCRF:
        return self._with({"_traced": None if self._traced is None else self._traced.twin()})

    def __deepcopy__(self, memo: dict[int, Any]) -> DenseCRF:
        return self.__copy__()  # the inputs are nobody else's, and never changed

    def _with(self, changes: dict[str, Any]) -> DenseCRF:
        """A copy with some inputs changed."""
        twin = object.__new__(DenseCRF)
        twin.__setstate__(self._inputs() | changes)
        return twin

    def _inputs(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in KEPT}

    def infer(self, params: CRFParams, *, relax: Number = 1.0, cancel: Callable[[], bool] | None = None) -> Any:
        """Marginals (C, H, W) float32 after `params.iterations` parallel updates.

        relax: Q moves this share of the way to the update (1 as released).
        cancel: asked before every iteration; where it says True, Cancelled is raised and nothing is lost.

        What the parameters left alone is kept: new weights only iterate; a new sigma_gamma, or sigma_alpha or
        sigma_beta, rebuilds one of the two lattices. It stops early where no marginal moves any more.
        """
        with self._lock():
            self._refresh()
            if self._traced is not None:
                return self._infer_traced(self._traced, params, relax, cancel)
            return self._out(self._run(params, relax, cancel))

    def label(self, params: CRFParams, *, cancel: Callable[[], bool] | None = None) -> Int64[np.ndarray, "H W"]:
        """The most probable label of every pixel, (H, W) int64: `infer` and argmax, a little faster."""
        with self._lock():
            self._refresh()
            if self._traced is not None:
                with torch.no_grad():
                    q = self._infer_traced(self._traced, params, 1.0, cancel)
                return validation.to_numpy("q", q).argmax(axis=0).astype(np.int64)
            return self._run(params, 1.0, cancel).labels().reshape(self.height, self.width)

    def _run(self, params: CRFParams, relax: Number, cancel: Callable[[], bool] | None) -> Run:
        run = self._start(params, relax, shortcuts=True)
        for _ in range(params.iterations):
            ask(cancel, params.iterations)
            if run.advance(relax) == 0:
                break
        return run

    def _infer_traced(
        self, traced: Traced, params: CRFParams, relax: Number, cancel: Callable[[], bool] | None
    ) -> Tensor:
        self._check(params, relax)
        kernel = self._kernel
        if not isinstance(kernel, LatticeKernel):
            raise TypeError(f'kernel: got "{self.kernel}", expected "lattice"')
        q = traced.infer(lambda: kernel.filters(params), self.threads, params, self._compatibility, relax, cancel)
        return q.reshape(-1, self.height, self.width)

    def _refresh(self) -> None:
        """Reads the unary again where its owner wrote to it, as an optimiser does."""
        traced = self._traced
        if traced is not None and traced.name != "labels" and traced.has_changed():
            size = (self.height, self.width)
            scores = validation.checked_scores(traced.name, traced.unary, size)
            self._probs = validation.clipped(traced.name, scores, self.threads)
            self._small = None

    def _refuse_gradient(self, method: str) -> None:
        if self._traced is not None and self._traced.carries_gradient():
            raise ValueError(
                f"{self._traced.name}: got a tensor that requires a gradient, which {method} does not "
                "carry, expected infer, or torch.no_grad() around it, or a detached tensor"
            )

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
        self._refuse_gradient("steps")
        with self._lock():
            self._refresh()
            run = self._start(params, relax, shortcuts=False)
        if update == "sequential" and not isinstance(run, ExactRun):
            raise ValueError('update: got "sequential", which only kernel="exact" offers')
        return self._steps(run, params.iterations, relax, update == "sequential")

    def _steps(self, run: Run, iterations: int, relax: Number, sequential: bool) -> Iterator[Step]:
        change = 0.0
        for iteration in range(iterations + 1):
            with self._lock():
                if iteration:
                    change = run.sweep() if isinstance(run, ExactRun) and sequential else run.advance(relax)
                energy = free_energy(run.marginals(), -np.log(self._probs), run.pairwise_energy())
                step = Step(iteration, self._out(run), energy, change)
            yield step

    def preview(self, params: CRFParams, *, factor: int = 2, cancel: Callable[[], bool] | None = None) -> Any:
        """A quick look, (C, H, W): `infer` on an image `factor` times smaller, sigmas scaled, pixels repeated."""
        self._refuse_gradient("preview")
        with self._lock():
            self._refresh()
            if self._small is None or self._small[0] != factor:
                self._small = (factor, self._shrunk(factor))
            q = self._small[1].infer(params.scaled(1 / factor), cancel=cancel)
        return self._given_back(enlarged(q, factor, self.height, self.width))

    def _shrunk(self, factor: int) -> DenseCRF:
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor: got {factor!r}, expected a whole number >= 1")
        image, extra = (
            np.ascontiguousarray(averaged(np.moveaxis(grid, 2, 0), factor).transpose(1, 2, 0))
            for grid in (self._image, self._extra)
        )
        probs = averaged(self._probs.reshape(-1, self.height, self.width), factor).reshape(self.num_classes, -1)
        return self._with(
            {
                "_image": image,
                "_extra": extra,
                "height": image.shape[0],
                "width": image.shape[1],
                "_probs": probs / probs.sum(axis=0),
                "_traced": None,
                "_device": None,
            }
        )

    def affinity(self, params: CRFParams, row: int, col: int) -> Affinity:
        """What pixel (row, col) weighs every pixel: its row of both kernels, weighted and normalised."""
        validation.checked_params(params)
        for name, value, size in (("row", row, self.height), ("col", col, self.width)):
            if not 0 <= value < size:
                raise ValueError(f"{name}: got {value}, expected 0 to {size - 1}")
        with self._lock():
            rows = self._kernel.affinity(params, row * self.width + col)
        return Affinity(*(x.astype(np.float32).reshape(self.height, self.width) for x in rows))

    def _check(self, params: CRFParams, relax: Number) -> None:
        validation.checked_params(params)
        if not 0 < relax <= 1:
            raise ValueError(f"relax: got {relax}, expected more than 0 and at most 1")

    def _start(self, params: CRFParams, relax: Number, *, shortcuts: bool) -> Run:
        self._check(params, relax)
        return self._kernel.start(self._probs, params, self._compatibility, shortcuts=shortcuts)

    def _out(self, run: Run) -> Any:
        return self._given_back(run.marginals().astype(np.float32, copy=False))

    def _given_back(self, q: np.ndarray) -> Any:
        q = q.reshape(-1, self.height, self.width)
        return q if self._device is None else torch.from_numpy(q).to(self._device)


def refine(
    image: Any,
    *,
    probs: Any = None,
    logits: Any = None,
    labels: Any = None,
    features: Any = (),
    params: CRFParams | None = None,
    kernel: str = "lattice",
    num_classes: Whole | None = None,
    unknown: Whole | None = VOID,
) -> Int64[np.ndarray, "H W"]:
    """Labels (H, W) int64 after the CRF, in one call; arguments as for DenseCRF, `params` as CRFParams()."""
    crf = DenseCRF(
        image,
        probs=probs,
        logits=logits,
        labels=labels,
        features=features,
        kernel=kernel,
        num_classes=num_classes,
        unknown=unknown,
    )
    return crf.label(params or CRFParams())


def _kernel(
    name: str, image: Float32[np.ndarray, "H W c"], extra: Extra, *, self_term: bool, neighbours: int, threads: int
) -> Kernel:
    """The kernel `name` for one image and its features; options it does not have are errors."""
    if name not in KERNELS:
        raise ValueError(f"kernel: got {name!r}, expected one of {', '.join(KERNELS)}")
    if name == "exact":
        return ExactKernel(image, extra, self_term=self_term)
    if not self_term:
        raise ValueError(f'self_term: got False with kernel="{name}"; only "exact" can leave it out')
    if name == "local":
        return GridKernel(image, neighbours, extra)
    return (LatticeKernel if name == "lattice" else PydensecrfKernel)(image, threads, extra)
