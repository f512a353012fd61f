"""`DenseCRF`: one image, one unary, as many parameter settings as you like (paper, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from dlseg.common.checks import whole_number
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
from dlseg.crf.torch_unary import TorchUnary

KERNELS = ("lattice", "exact", "local", "pydensecrf")
LARGEST_FACTOR = 1000  # that `CRFParams.scaled` can follow
KEPT = {"_kernel", "_lock", "_reduced"}  # what a DenseCRF keeps from call to call; all else is inputs


class Step(NamedTuple):
    """The state of an inference after an iteration; iteration 0 is the unary's own softmax.

    q is (C, H, W) float32 marginals; change is the largest change of any marginal in this iteration.

    >>> crf = DenseCRF(np.zeros((2, 2, 3), np.uint8), probs=np.full((2, 2, 2), 0.5))
    >>> [step.iteration for step in crf.steps(CRFParams(iterations=3))]
    [0, 1, 2, 3]
    """

    iteration: int
    q: Any
    free_energy: float
    change: float


class Affinity(NamedTuple):
    """What one pixel's kernels weigh every pixel, weights and normalisation included: each (H, W) float32.

    >>> crf = DenseCRF(np.zeros((2, 3, 3), np.uint8), probs=np.full((2, 2, 3), 0.5))
    >>> crf.affinity(CRFParams(), row=1, col=2).smoothness.shape
    (2, 3)
    """

    appearance: Float32[np.ndarray, "H W"]
    smoothness: Float32[np.ndarray, "H W"]


class DenseCRF:
    """The fully connected CRF of one image (paper, section 4).

    Lattices, and whatever else parameters have in common, are kept between calls. Torch in, torch out. Inputs are
    never changed. One object may be used by several threads; they take turns. It may be interrupted, forked, copied
    and pickled: a copy has the inputs and options, none of the lattices, and no gradient where it was pickled.

    Where the unary is a tensor that requires a gradient, `infer` on the lattice carries one: each call from what
    the tensor holds then, with a graph of its own. float32 on the CPU goes through the compiled lattices; float64,
    and a unary elsewhere than on the CPU, through slower ones in torch (torch_lattice.py), where the unary is. For
    batches, and for weights that are learned: CRFLayer.

    Args:
        image: (H, W, 3) RGB colours 0..255, or another number of bands: (H, W) or (H, W, 1) grey, (H, W, N) what a
            sensor has, up to 13; sigma_beta holds for each of them.
        probs: (C, H, W) probabilities; below 1e-5 counts as 1e-5. Exactly one of probs, logits and labels.
        logits: (C, H, W) raw scores; the softmax is taken here.
        labels: (H, W) labels or scribbles 0, 1, …, or a mask of bools (False is label 0, True label 1).
        features: what pixels are compared by beside colour, [(array, sigma), …]: arrays (H, W) or (H, W, K) in any
            unit (depth, infrared, an edge map), sigma in the same. The appearance kernel is multiplied by
            exp(-|f_i - f_j|^2 / 2 sigma^2) for each.
        kernel: "lattice" (fast), "exact" (every pair; small images), "local" (touching pixels only), "pydensecrf"
            (the package, as a reference).
        num_classes: of labels, their number, by default one more than the largest one given.
        confidence: of labels, the probability of a given one, a number or (H, W).
        unknown: of labels, the value of pixels whose label is not known; None where there are none. For more than
            255 labels choose another one than 255, -1 for example. It may be a number among the labels, as 0 is
            where labels start from 1: then that row of the marginals exists and stays near 0.
        compatibility: (C, C) symmetric costs mu(l, l') of unlike neighbours; None is Potts, 1 for all.
        self_term: whether a pixel's message to itself counts, as in the released code; only "exact" can omit it.
        neighbours: 4 or 8, of kernel="local".
        threads: how many the lattice may use; None is NUMBA_NUM_THREADS, or every processor, at most 8.

    Raises:
        TypeError, ValueError: for every mistake; the message names the argument.

    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> image[:, 3:] = 255
    >>> probs = np.full((2, 4, 6), 0.5)
    >>> probs[:, 1, 1], probs[:, 1, 4] = (0.9, 0.1), (0.1, 0.9)
    >>> DenseCRF(image, probs=probs).label(CRFParams())
    array([[0, 0, 0, 1, 1, 1],
           [0, 0, 0, 1, 1, 1],
           [0, 0, 0, 1, 1, 1],
           [0, 0, 0, 1, 1, 1]])
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
        tensor = validation.checked_tensor(name, unary, kernel)
        self._tensor = None if tensor is None else TorchUnary(name, tensor, self._probs, self._image, self._extra)
        self.num_classes = len(self._probs)
        self._compatibility = validation.checked_compatibility(compatibility, self.num_classes)
        self._options: dict[str, Any] = {"self_term": self_term, "neighbours": neighbours, "threads": self.threads}
        self.kernel = kernel
        self._begin()

    def _begin(self) -> None:
        """Everything that is kept from call to call, none of it there yet."""
        self._kernel = _kernel(self.kernel, self._image, self._extra, **self._options)
        self._lock = ForkSafeLock()
        self._reduced: tuple[int, DenseCRF] | None = None  # of the last preview

    def __getstate__(self) -> dict[str, Any]:
        """The inputs and options; what is kept from call to call is built anew where they arrive."""
        return self._inputs()

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            array = isinstance(value, np.ndarray) and not value.flags.writeable  # joblib maps large ones from files
            setattr(self, name, np.array(value) if array else value)
        self._begin()

    def __copy__(self) -> DenseCRF:
        return self._with({"_tensor": None if self._tensor is None else self._tensor.copied()})

    def __deepcopy__(self, memo: dict[int, Any]) -> DenseCRF:
        return self.__copy__()  # the inputs are nobody else's, and never changed

    def _with(self, changes: dict[str, Any]) -> DenseCRF:
        """A copy with some inputs changed."""
        copied = object.__new__(DenseCRF)
        copied.__setstate__(self._inputs() | changes)
        return copied

    def _inputs(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in KEPT}

    def infer(self, params: CRFParams, *, relax: Number = 1.0, cancel: Callable[[], bool] | None = None) -> Any:
        """Marginals after `params.iterations` parallel updates; it ends early where no marginal changes any more.

        What the parameters left alone is kept: new weights only iterate; a new sigma_gamma, or sigma_alpha or
        sigma_beta, rebuilds one of the two lattices.

        Args:
            params: weights, sigmas, iterations.
            relax: Q moves this share of the way to the update, more than 0 and at most 1 (as in the released code).
            cancel: asked before every iteration.

        Returns:
            (C, H, W) float32.

        Raises:
            Cancelled: where `cancel` returned True; nothing is lost.
            TypeError, ValueError: params or relax are none.

        >>> crf = DenseCRF(np.zeros((4, 6, 3), np.uint8), probs=np.full((2, 4, 6), 0.5))
        >>> crf.infer(CRFParams(iterations=5)).shape
        (2, 4, 6)
        """
        with self._lock():
            self._refresh()
            if self._tensor is not None:
                return self._infer_tensor(self._tensor, params, relax, cancel)
            return self._out(self._run(params, relax, cancel))

    def label(self, params: CRFParams, *, cancel: Callable[[], bool] | None = None) -> Int64[np.ndarray, "H W"]:
        """Every pixel's most probable label: `infer` and argmax, a little faster.

        Args:
            params, cancel: as for `infer`.

        Returns:
            (H, W) int64.

        Raises:
            Cancelled, TypeError, ValueError: as `infer`.

        >>> crf = DenseCRF(np.zeros((1, 3, 3), np.uint8), labels=np.array([[1, 255, 255]]))
        >>> crf.label(CRFParams())
        array([[1, 1, 1]])
        """
        with self._lock():
            self._refresh()
            if self._tensor is not None:
                with torch.no_grad():
                    q = self._infer_tensor(self._tensor, params, 1.0, cancel)
                return validation.to_numpy("q", q).argmax(axis=0).astype(np.int64)
            return self._run(params, 1.0, cancel).labels().reshape(self.height, self.width)

    def _run(self, params: CRFParams, relax: Number, cancel: Callable[[], bool] | None) -> Run:
        run = self._start(params, relax, shortcuts=True)
        for _ in range(params.iterations):
            ask(cancel, params.iterations)
            if run.advance(relax) == 0:
                break
        return run

    def _infer_tensor(
        self, tensor: TorchUnary, params: CRFParams, relax: Number, cancel: Callable[[], bool] | None
    ) -> Tensor:
        self._check(params, relax)
        kernel = self._kernel
        if not isinstance(kernel, LatticeKernel):
            raise TypeError(f'kernel: got "{self.kernel}", expected "lattice"')
        q = tensor.infer(lambda: kernel.filters(params), self.threads, params, self._compatibility, relax, cancel)
        return q.reshape(-1, self.height, self.width)

    def _refresh(self) -> None:
        """Reads the unary again where its owner wrote to it, as an optimiser does."""
        tensor = self._tensor
        if tensor is not None and tensor.name != "labels" and tensor.has_changed():
            scores = validation.checked_scores(tensor.name, tensor.unary, (self.height, self.width))
            self._probs = validation.clipped(tensor.name, scores, self.threads)
            self._reduced = None

    def _refuse_gradient(self, method: str) -> None:
        if self._tensor is not None and self._tensor.carries_gradient():
            raise ValueError(
                f"{self._tensor.name}: got a tensor that requires a gradient, which {method} does not "
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

        Args:
            params, relax: as for `infer`.
            update: "parallel", or "sequential", one pixel after another (kernel="exact" only).

        Returns:
            An iterator over `params.iterations` + 1 steps.

        Raises:
            TypeError, ValueError: an argument is none, or the unary requires a gradient, which is not carried.

        >>> crf = DenseCRF(np.zeros((1, 4, 3), np.uint8), labels=np.array([[1, 255, 255, 255]]))
        >>> [round(float(step.q[1].min()), 2) for step in crf.steps(CRFParams(iterations=2))]
        [0.5, 0.68, 0.98]
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

    def preview(
        self,
        params: CRFParams,
        *,
        factor: Whole = 2,
        enlarge: bool = True,
        cancel: Callable[[], bool] | None = None,
    ) -> Any:
        """Nearly `infer`, and faster: on a smaller image, its sigmas in pixels smaller too.

        Args:
            params, cancel: as for `infer`.
            factor: how many times smaller height and width are made; see `reduced`.
            enlarge: whether pixels are repeated, so that the result is as large as the image.

        Returns:
            Marginals, (C, H, W) float32, or (C, h, w) of the smaller image.

        Raises:
            Cancelled, TypeError, ValueError: as `infer`; or the unary requires a gradient, which is not carried.

        >>> crf = DenseCRF(np.zeros((5, 6, 3), np.uint8), probs=np.full((2, 5, 6), 0.5))
        >>> crf.preview(CRFParams()).shape, crf.preview(CRFParams(), enlarge=False).shape
        ((2, 5, 6), (2, 3, 3))
        """
        self._refuse_gradient("preview")
        validation.checked_params(params)
        factor = whole_number("factor", factor, 1, LARGEST_FACTOR)
        with self._lock():
            self._refresh()
            if self._reduced is None or self._reduced[0] != factor:
                self._reduced = (factor, self._averaged(factor))
            q = self._reduced[1].infer(params.scaled(1 / factor), cancel=cancel)
        return self._given_back(_repeated(q, factor, self.height, self.width) if enlarge else q)

    def reduced(self, factor: Whole) -> DenseCRF:
        """The CRF of a smaller image: colours, features and probabilities averaged over squares of pixels.

        Its parameters for the same effect are `params.scaled(1 / factor)`.

        Args:
            factor: the squares' side; the last ones are smaller where it does not divide height or width.

        Returns:
            A DenseCRF of ceil(H / factor) x ceil(W / factor) pixels with the same options.

        Raises:
            TypeError, ValueError: factor is no whole number from 1 to 1000; or the unary requires a gradient,
                which is not carried.

        >>> small = DenseCRF(np.zeros((5, 6, 3), np.uint8), probs=np.full((2, 5, 6), 0.5)).reduced(2)
        >>> small.height, small.width
        (3, 3)
        """
        self._refuse_gradient("reduced")
        with self._lock():
            self._refresh()
            return self._averaged(factor)

    def _averaged(self, factor: Whole) -> DenseCRF:
        factor = whole_number("factor", factor, 1, LARGEST_FACTOR)
        image, extra = (
            np.ascontiguousarray(averaged(np.moveaxis(field, 2, 0), factor).transpose(1, 2, 0))
            for field in (self._image, self._extra)
        )
        probs = averaged(self._probs.reshape(-1, self.height, self.width), factor).reshape(self.num_classes, -1)
        return self._with(
            {
                "_image": image,
                "_extra": extra,
                "height": image.shape[0],
                "width": image.shape[1],
                "_probs": probs / probs.sum(axis=0),
                "_tensor": None,
                "_device": None,
            }
        )

    def affinity(self, params: CRFParams, row: Whole, col: Whole) -> Affinity:
        """What one pixel weighs every pixel: its row of both kernels, weighted and normalised.

        Args:
            params: weights and sigmas.
            row, col: the pixel, from 0.

        Returns:
            `appearance` and `smoothness`, (H, W) float32 each.

        Raises:
            TypeError, ValueError: params are none, or there is no such pixel.

        >>> crf = DenseCRF(np.zeros((3, 5, 3), np.uint8), probs=np.full((2, 3, 5), 0.5))
        >>> np.unravel_index(crf.affinity(CRFParams(sigma_gamma=1), 1, 2).smoothness.argmax(), (3, 5))
        (np.int64(1), np.int64(2))
        """
        validation.checked_params(params)
        row, col = whole_number("row", row, 0, self.height - 1), whole_number("col", col, 0, self.width - 1)
        with self._lock():
            rows = self._kernel.affinity(params, row * self.width + col)
        return Affinity(*(x.astype(np.float32).reshape(self.height, self.width) for x in rows))

    def _check(self, params: CRFParams, relax: Number) -> None:
        validation.checked_params(params)
        if isinstance(relax, bool | str) or np.ndim(relax) or not 0 < relax <= 1:
            raise ValueError(f"relax: got {relax!r}, expected more than 0 and at most 1")

    def _start(self, params: CRFParams, relax: Number, *, shortcuts: bool) -> Run:
        self._check(params, relax)
        return self._kernel.start(self._probs, params, self._compatibility, shortcuts=shortcuts)

    def _out(self, run: Run) -> Any:
        q = run.marginals().astype(np.float32, copy=False)
        return self._given_back(q.reshape(-1, self.height, self.width))

    def _given_back(self, q: np.ndarray) -> Any:
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
    """Labels after the CRF, in one call (paper, section 4).

    Args:
        image, probs, logits, labels, features, kernel, num_classes, unknown: as for `DenseCRF`.
        params: weights, sigmas, iterations; None is CRFParams().

    Returns:
        (H, W) int64.

    Raises:
        TypeError, ValueError: as `DenseCRF`.

    >>> refine(np.zeros((1, 3, 3), np.uint8), labels=np.array([[1, 255, 255]]))
    array([[1, 1, 1]])
    """
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


def averaged(field: Float32[np.ndarray, "... H W"], factor: int) -> Float32[np.ndarray, "... h w"]:
    """Means over squares of factor x factor, the last ones smaller where the sides do not divide."""
    for axis in (-2, -1):
        size = field.shape[axis]
        starts = np.arange(0, size, factor)
        counts = np.diff([*starts, size]).astype(np.float32)
        field = np.add.reduceat(field, starts, axis=axis) / (counts[:, None] if axis == -2 else counts)
    return field


def _repeated(
    field: Float32[np.ndarray, "... h w"], factor: int, height: int, width: int
) -> Float32[np.ndarray, "... H W"]:
    """Every number repeated over its square, cut to height x width."""
    out = np.empty((*field.shape[:-2], height, width), field.dtype)
    for dy in range(factor):
        for dx in range(factor):
            part = out[..., dy::factor, dx::factor]
            part[...] = field[..., : part.shape[-2], : part.shape[-1]]
    return out
