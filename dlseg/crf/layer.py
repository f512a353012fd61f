"""The CRF as a layer of a network: batches in, marginals out, its weights learned (paper, section 4)."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dlseg.crf.features import Extra, appearance_sigmas, checked_features, columns, smoothness_sigmas
from dlseg.crf.lattice.filter import GaussianFilter
from dlseg.crf.lattice.structure import Lattice
from dlseg.crf.lattice.threads import checked_threads
from dlseg.crf.lattice.unrolled import LatticePair, LinearMap, unrolled
from dlseg.crf.params import CRFParams, Whole
from dlseg.crf.torch_lattice import SparseKernel
from dlseg.crf.validation import CLIP, checked_image, checked_params, to_numpy


class KernelPair:
    """Kernels that are any two differentiable linear maps of a field (N, L); `LatticePair` is the compiled one."""

    def __init__(self, kernels: list[LinearMap]) -> None:
        self.kernels = kernels

    def mean_field(
        self,
        scores: Float[Tensor, "C N"],
        w1: Float[Tensor, ""],
        w2: Float[Tensor, ""],
        compatibility: Float[Tensor, "C C"] | None,
        iterations: int,
    ) -> Float[Tensor, "C N"]:
        """Marginals after `iterations` updates; scores are log probabilities, no compatibility is Potts."""
        return unrolled(scores.T, self.kernels, (w1, w2), compatibility, iterations).T


class CRFLayer(nn.Module):
    """Mean field on the lattice as a layer of a network: `layer(images, logits)` are marginals (paper, section 4).

    Learned are `log_w1` and `log_w2`, the logarithms of the weights, which so stay positive, and `compatibility`,
    (C, C), Potts at first, of which the symmetric part is used. Twice the weights and half the compatibilities are
    the same CRF: `requires_grad_(False)` on one of them fixes it; a fixed Potts compatibility is also the fastest.
    `layer.params` and `layer.costs` are what DenseCRF needs to go on with what was learned.

    Gradients also reach the logits. They are exact for the lattice's approximation of the kernels: the filter is
    linear, its derivative is its transpose. Between forward and backward the marginals of every iteration are kept,
    4 (T + 1) C H W bytes an image, C rounded up to a multiple of 8, and a few fields as large to work in. A lattice
    is built once for an image and its sigmas, recognised by its pixels; the last `kept` images' (100 to 250 bytes a
    pixel each) are kept, in no state dict, copy or pickle.

    float32, and under autocast: computed and returned as float32. float64 logits, and logits on another device than
    the CPU, go through lattices in torch instead (torch_lattice.py), slower on a CPU, in double or single precision
    as the logits are.

    Args:
        num_classes: C, two or more.
        params: sigmas (fixed), iterations, normalisation, and where w1 and w2 start; both more than 0.
        threads: as for `DenseCRF`.
        kept: how many images' lattices are kept for the next call.

    Raises:
        TypeError, ValueError: for anything else; the message names the argument.

    >>> layer = CRFLayer(3, CRFParams(iterations=5))
    >>> images, logits = torch.zeros(2, 4, 6, 3), torch.zeros(2, 3, 4, 6)  # colours 0..255, channels last or first
    >>> q = layer(images, logits)
    >>> q.shape
    torch.Size([2, 3, 4, 6])
    >>> labels = torch.zeros(2, 4, 6, dtype=torch.int64)
    >>> loss = nn.functional.nll_loss(q.clamp(min=1e-6).log(), labels, ignore_index=255)
    """

    def __init__(
        self, num_classes: Whole, params: CRFParams | None = None, *, threads: int | None = None, kept: int = 4
    ) -> None:
        super().__init__()
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(f"num_classes: got {num_classes!r}, expected a whole number >= 2")
        if isinstance(kept, bool) or not isinstance(kept, int) or kept < 0:
            raise ValueError(f"kept: got {kept!r}, expected a whole number >= 0")
        self.num_classes, self.threads = num_classes, checked_threads(threads)
        self._settings = checked_params(CRFParams() if params is None else params)
        for name in ("w1", "w2"):
            if getattr(self._settings, name) <= 0:
                raise ValueError(f"params: got {name} = 0, expected more than 0: its logarithm is learned")
        self.log_w1 = nn.Parameter(torch.tensor(log(self._settings.w1)))
        self.log_w2 = nn.Parameter(torch.tensor(log(self._settings.w2)))
        self.compatibility = nn.Parameter(1 - torch.eye(num_classes))
        self._kept = _Cache(kept)

    @property
    def params(self) -> CRFParams:
        """The settings with the weights learned so far."""
        return replace(self._settings, w1=self.log_w1.exp().item(), w2=self.log_w2.exp().item())

    @property
    def costs(self) -> Float32[np.ndarray, "C C"]:
        """The symmetric compatibilities learned so far, for DenseCRF's `compatibility`."""
        mu = self.compatibility.detach().float().cpu()
        return ((mu + mu.T) / 2).numpy()

    def extra_repr(self) -> str:
        return f"{self.num_classes}, {self.params}"

    def forward(self, images: Any, logits: Any, features: Any = ()) -> Tensor:
        """Marginals of a batch.

        Args:
            images: (B, H, W, bands) or (B, bands, H, W), RGB colours 0..255, uint8 or floating point, not
                normalised: a tensor or array.
            logits: (B, C, H, W) raw scores as large as the images; a probability below 1e-5 counts as 1e-5.
            features: as DenseCRF's, arrays (B, H, W) or (B, H, W, K) with their sigmas.

        Returns:
            (B, C, H, W): float64 where the logits are, else float32.

        Raises:
            TypeError, ValueError: other shapes, types or values, or a tensor on the "meta" device; the message
                names the argument.
        """
        self._check(logits)
        pictures = _pictures(images, logits.shape)
        extras = _extras(features, pictures)
        exact = logits.dtype == torch.float64
        with torch.autocast(logits.device.type, enabled=False):
            scores = (logits if exact else logits.float()).log_softmax(1).clamp(min=log(CLIP)).flatten(2)
            w1, w2 = (weight.exp().to(scores) for weight in (self.log_w1, self.log_w2))
            mu = self._mu(scores)
            iterations = self._settings.iterations
            marginals = [
                self._kernels(picture, extra, one).mean_field(one, w1, w2, mu, iterations)
                for picture, extra, one in zip(pictures, extras, scores, strict=True)
            ]
            return torch.stack(marginals).reshape(logits.shape)

    def _check(self, logits: Any) -> None:
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            kind = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
            raise TypeError(f"logits: got {kind}, expected a tensor of floating point")
        if logits.ndim != 4 or logits.shape[1] != self.num_classes or 0 in logits.shape:
            raise ValueError(f"logits: got shape {tuple(logits.shape)}, expected (B, {self.num_classes}, H, W)")
        if logits.is_meta:
            raise TypeError('logits: got a tensor on "meta", a device without values, expected one with values')
        if not all(end.isfinite() for end in torch.aminmax(logits.detach())):
            raise ValueError("logits: got NaN or infinity, expected neither")

    def _mu(self, scores: Tensor) -> Tensor | None:
        mu = self.compatibility
        if not mu.requires_grad and torch.equal(mu, 1 - torch.eye(self.num_classes).to(mu)):
            return None
        return ((mu + mu.T) / 2).to(scores)

    def _kernels(
        self, picture: Float32[np.ndarray, "H W c"], extra: Extra, scores: Tensor
    ) -> LatticePair | KernelPair:
        settings = replace(self._settings, w1=1.0, w2=1.0)
        hashed = hashlib.blake2b(picture.data, digest_size=16)
        hashed.update(extra.data)
        key = (hashed.digest(), picture.shape, extra.shape)
        if scores.device.type == "cpu" and scores.dtype == torch.float32:
            both, (width, bands) = columns(picture, extra), picture.shape[1:]
            sigmas = appearance_sigmas(settings, bands, extra.shape[2])
            appearance = self._kept.get(key, lambda: self._filter(both, width, sigmas))
            smoothness = self._kept.get(
                picture.shape[:2], lambda: self._filter(both, width, smoothness_sigmas(settings))
            )
            return LatticePair((appearance, smoothness), self.threads)
        sparse = self._kept.get(
            (*key, scores.device, scores.dtype),
            lambda: SparseKernel(torch.from_numpy(picture).to(scores), torch.from_numpy(extra)),
        )
        return KernelPair(sparse.filters(settings))

    def _filter(self, colours: Float32[np.ndarray, "N c"], width: int, sigmas: tuple[float, ...]) -> GaussianFilter:
        lattice = Lattice(colours[:, : len(sigmas) - 2], width, sigmas, self.threads)
        return GaussianFilter(lattice, self._settings.normalization)


def _pictures(images: Any, shape: torch.Size) -> list[Float32[np.ndarray, "H W c"]]:
    """Each image of the batch, checked, channels last."""
    array = to_numpy("images", images)
    size = tuple(shape[2:])
    if array.ndim == 4 and array.shape[1:3] != size and array.shape[2:] == size:
        array = np.moveaxis(array, 1, 3)
    if array.ndim != 4 or array.shape[:3] != (shape[0], *size):
        raise ValueError(
            f"images: got shape {array.shape}, expected ({shape[0]}, {size[0]}, {size[1]}, 3) or "
            f"({shape[0]}, 3, {size[0]}, {size[1]}), as many and as large as the logits"
        )
    return [np.ascontiguousarray(checked_image(image)) for image in array]


def _extras(features: Any, pictures: list[Float32[np.ndarray, "H W c"]]) -> list[Extra]:
    """The features of each image of the batch, checked."""
    pairs = []
    for number, pair in enumerate(features):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError(f"features[{number}]: got {type(pair).__name__}, expected (array, sigma)")
        array = to_numpy(f"features[{number}]", pair[0])
        if array.ndim not in (3, 4) or len(array) != len(pictures):
            size = ", ".join(map(str, (len(pictures), *pictures[0].shape[:2])))
            raise ValueError(f"features[{number}]: got shape {array.shape}, expected ({size}) or ({size}, K)")
        pairs.append((array, pair[1]))
    return [
        checked_features([(array[which], sigma) for array, sigma in pairs], *_size(picture))
        for which, picture in enumerate(pictures)
    ]


def _size(picture: Float32[np.ndarray, "H W c"]) -> tuple[tuple[int, int], int]:
    height, width, bands = picture.shape
    return (height, width), bands


class _Cache:
    """The last objects built, by key. A copy or pickle of it is empty: what it held can be built again."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.__setstate__({"most": most})

    def __getstate__(self) -> dict[str, Any]:
        return {"most": self.most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.most = state["most"]
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """The object under a key; `build` makes it where there is none."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        entry = build()
        with self._lock:
            self._entries[key] = entry
            while len(self._entries) > self.most + 1:  # one more: the smoothness lattice that all images share
                self._entries.popitem(last=False)
        return entry
