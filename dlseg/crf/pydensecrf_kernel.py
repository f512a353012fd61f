"""The package pydensecrf behind this library's interface, imported only when it is used.

Its NO_NORMALIZATION divides by a mean, so there is no true "none" here; its klDivergence counts pairs twice,
so the pair energy is recovered from it and halved.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dlseg.crf.features import Extra, appearance_sigmas, smoothness_sigmas
from dlseg.crf.lattice.inference import LatticeKernel
from dlseg.crf.mean_field import Compatibility, Labels, Marginals
from dlseg.crf.params import CRFParams, Number


def load_pydensecrf() -> Any:
    """The module pydensecrf.densecrf, or an ImportError with what to do without it."""
    try:
        return importlib.import_module("pydensecrf.densecrf")
    except ImportError as error:
        raise ImportError(
            'kernel: "pydensecrf" needs the package pydensecrf (pip install pydensecrf); '
            'kernel="lattice" computes the same without it'
        ) from error


class PydensecrfKernel:
    """K&K's own lattice through pydensecrf; nothing is kept between runs, because it keeps nothing."""

    def __init__(self, image: Float[np.ndarray, "H W c"], threads: int, extra: Extra | None = None) -> None:
        self.threads = threads  # for the affinity of one pixel, which it does not offer: our lattice does
        self.library = load_pydensecrf()
        self.extra = extra
        self.image: UInt8[np.ndarray, "H W c"] = np.ascontiguousarray(np.rint(image)).astype(np.uint8)

    def start(
        self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, shortcuts: bool
    ) -> PydensecrfRun:
        return PydensecrfRun(self, -np.log(probs), params, compatibility)

    def model(self, unary: Marginals, params: CRFParams, compatibility: Compatibility) -> Any:
        """A DenseCRF2D with the unary and both kernels set."""
        if params.normalization == "none":
            raise ValueError(
                'normalization: got "none" with kernel="pydensecrf", expected another: '
                "its NO_NORMALIZATION divides by the mean row sum"
            )
        norm = getattr(self.library, f"NORMALIZE_{params.normalization.upper()}")
        height, width, _ = self.image.shape
        model = self.library.DenseCRF2D(width, height, len(unary))
        model.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
        model.addPairwiseGaussian(
            sxy=smoothness_sigmas(params),
            compat=_compat(params.w2, compatibility),
            kernel=self.library.DIAG_KERNEL,
            normalization=norm,
        )
        options = {
            "compat": _compat(params.w1, compatibility),
            "kernel": self.library.DIAG_KERNEL,
            "normalization": norm,
        }
        x, y, *others = appearance_sigmas(params, self.image.shape[2], 0)
        if self.image.shape[2] == 3 and (self.extra is None or self.extra.shape[2] == 0):
            model.addPairwiseBilateral(sxy=(x, y), srgb=params.sigma_beta, rgbim=self.image, **options)
        else:  # it has no ready-made kernel for other images, but takes any features
            rows, across = np.mgrid[:height, :width].astype(np.float32)
            extra = [] if self.extra is None else list(np.moveaxis(self.extra, 2, 0))
            bands = np.moveaxis(self.image, 2, 0) / np.array(others, np.float32)[:, None, None]
            features = np.stack([across / x, rows / y, *bands, *extra]).reshape(-1, height * width)
            model.addPairwiseEnergy(np.ascontiguousarray(features, np.float32), **options)
        return model

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        return LatticeKernel(self.image.astype(np.float32), self.threads, self.extra).affinity(params, pixel)


class PydensecrfRun:
    """Its start/stepInference, one step at a time."""

    def __init__(
        self, kernel: PydensecrfKernel, unary: Marginals, params: CRFParams, compatibility: Compatibility
    ) -> None:
        self.unary = np.ascontiguousarray(unary, dtype=np.float32)
        self.model = kernel.model(self.unary, params, compatibility)
        self.state, *self.scratch = self.model.startInference()
        self.potts = compatibility is None

    def advance(self, relax: Number = 1.0) -> float:
        before = self.marginals()
        self.model.stepInference(self.state, *self.scratch)
        step = relax * (np.asarray(self.state) - before)
        if relax < 1:
            np.asarray(self.state)[...] = before + step
        return float(np.abs(step).max())

    def marginals(self) -> Marginals:
        return np.array(self.state, order="C")

    def labels(self) -> Labels:
        return np.asarray(self.state).argmax(axis=0).astype(np.int64)

    def pairwise_energy(self) -> float:
        pairs = self._applied(self.marginals())
        if self.potts:  # its Potts drops the sum of all K_ij: one label everywhere leaves just that
            alike = np.zeros_like(self.unary)
            alike[0] = 1
            pairs -= self._applied(alike)
        return 0.5 * pairs

    def _applied(self, q: Marginals) -> float:
        """The sum of Q times what the pair terms cost it: klDivergence less the terms that are no pairs."""
        kept = self.marginals()
        view = np.asarray(self.state)
        view[...] = q
        divergence = self.model.klDivergence(self.state)
        view[...] = kept
        q64 = q.astype(np.float64)
        return divergence - float(np.sum(q64 * (np.log(np.maximum(q64, 1e-20)) + self.unary)))


def _compat(weight: float, compatibility: Compatibility) -> Any:
    """pydensecrf's signs: a number rewards agreement, a matrix is a cost."""
    return weight if compatibility is None else np.ascontiguousarray(weight * compatibility, dtype=np.float32)
