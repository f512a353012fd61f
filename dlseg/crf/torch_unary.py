"""A unary that a gradient flows back to, or that is not on the CPU: DenseCRF's way through torch."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dlseg.crf.features import Extra
from dlseg.crf.lattice.state import Filters
from dlseg.crf.lattice.unrolled import LatticePair, unrolled
from dlseg.crf.mean_field import Cancel
from dlseg.crf.params import CRFParams, Number
from dlseg.crf.torch_lattice import SparseKernel
from dlseg.crf.validation import CLIP


class TorchUnary:
    """The caller's own tensor: every inference starts from what it holds then, with a graph of its own.

    float32 on the CPU goes through the compiled lattices (lattice/unrolled.py), all else through torch's
    (torch_lattice.py).
    """

    def __init__(
        self,
        name: str,
        unary: Tensor,
        probs: Float32[np.ndarray, "C N"],
        image: Float32[np.ndarray, "H W c"],
        extra: Extra,
    ) -> None:
        self.name, self.unary, self.image, self.extra = name, unary, image, extra
        self._probs = torch.from_numpy(probs)  # of labels
        self._version = unary._version
        self._sparse: SparseKernel | None = None
        self._pair: LatticePair | None = None

    def copied(self) -> TorchUnary:
        """The same tensor, with nothing kept."""
        return TorchUnary(self.name, self.unary, self._probs.numpy(), self.image, self.extra)

    def __getstate__(self) -> dict[str, Any]:
        """Without a graph, and without lattices: they are built anew where it arrives."""
        return vars(self) | {"unary": self.unary.detach(), "_sparse": None, "_pair": None}

    def has_changed(self) -> bool:
        """Whether the tensor was written to since this was asked last."""
        before, self._version = self._version, self.unary._version
        return before != self._version

    def carries_gradient(self) -> bool:
        """Whether an inference done now would be part of a graph."""
        return self.unary.requires_grad and torch.is_grad_enabled()

    def infer(
        self,
        filters: Callable[[], Filters],
        threads: int,
        params: CRFParams,
        compatibility: np.ndarray | None,
        relax: Number,
        cancel: Cancel,
    ) -> Float[Tensor, "C N"]:
        """Marginals after `params.iterations` updates. filters: the compiled lattices for these parameters."""
        with torch.autocast(self.unary.device.type, enabled=False):
            scores = self._scores()
            mu = None if compatibility is None else torch.from_numpy(compatibility).to(scores)
            if scores.device.type == "cpu" and scores.dtype == torch.float32:
                w1, w2 = torch.tensor(params.w1), torch.tensor(params.w2)
                pair = self._lattices(filters(), threads)
                return pair.mean_field(scores, w1, w2, mu, params.iterations, relax, cancel)
            if self._sparse is None:
                self._sparse = SparseKernel(torch.from_numpy(self.image).to(scores), torch.from_numpy(self.extra))
            kernels = self._sparse.filters(params)
            return unrolled(scores.T, kernels, (1, 1), mu, params.iterations, relax, cancel).T.contiguous()

    def _scores(self) -> Tensor:
        """Log probabilities (C, N); those below 1e-5 count as 1e-5."""
        if self.name == "labels":
            return self._probs.to(self.unary.device).log()
        flat = self.unary.to(torch.promote_types(self.unary.dtype, torch.float32)).flatten(1)
        if self.name == "logits":
            return flat.log_softmax(0).clamp(min=log(CLIP))
        return flat.clamp(min=float(CLIP)).log()

    def _lattices(self, filters: Filters, threads: int) -> LatticePair:
        kept = self._pair
        if kept is None or any(a is not b for a, b in zip(kept.filters, filters, strict=True)):
            kept = self._pair = LatticePair(filters, threads)
        return kept
