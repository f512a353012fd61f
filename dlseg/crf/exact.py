"""The CRF with nothing approximated, every pair of pixels: what faster kernels are tested against (section 4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from dlseg.crf.features import Extra, appearance_sigmas, columns, normalization_scales, smoothness_sigmas
from dlseg.crf.mean_field import Compatibility, Marginals, ParallelRun, penalty
from dlseg.crf.params import CRFParams
from dlseg.crf.validation import softmax

BLOCK = 2**23  # entries of a kernel matrix held at once: 64 MB
KEEP = 2**25  # entries of a whole matrix that is kept between iterations: 256 MB
KEPT_SUMS = 8  # kernels whose row sums are kept, the newest ones: 4 MB of the largest image
MAX_PIXELS = 2**16


class ExactKernel:
    """Both Gaussian kernels in double precision, in blocks of rows so that memory stays bounded."""

    def __init__(
        self, image: Float[np.ndarray, "H W c"], extra: Extra | None = None, *, self_term: bool = True
    ) -> None:
        height, width, self.bands = image.shape
        if height * width > MAX_PIXELS:
            raise ValueError(
                f'kernel: got "exact" for {height * width} pixels, expected at most '
                f'{MAX_PIXELS}: it visits every pair; "lattice" is made for larger images'
            )
        ys, xs = np.mgrid[:height, :width].astype(np.float64)
        self.position = np.stack([xs.ravel(), ys.ravel()], axis=1)  # (N, 2)
        self.colour = columns(image, extra).astype(np.float64)  # (N, bands and features)
        self.self_term = self_term
        self.row_sums: dict[tuple, np.ndarray] = {}
        self.kept: tuple[CRFParams, np.ndarray] | None = None

    def features(self, params: CRFParams) -> tuple[np.ndarray, np.ndarray]:
        """(N, d) appearance and (N, 2) smoothness features: each kernel is exp(-|f_i - f_j|^2 / 2)."""
        sigmas = appearance_sigmas(params, self.bands, self.colour.shape[1] - self.bands)
        return np.hstack([self.position, self.colour]) / sigmas, self.position / smoothness_sigmas(params)

    def blocks(self, f: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """The unnormalised kernel matrix of features f, a block of rows at a time."""
        square = np.sum(f * f, axis=1)
        rows = max(1, BLOCK // len(f))
        for start in range(0, len(f), rows):
            part = slice(start, min(start + rows, len(f)))
            distance = square[part, None] + square - 2 * f[part] @ f.T
            k = np.exp(-0.5 * np.maximum(distance, 0))
            diagonal = np.arange(part.start, part.stop)
            k[diagonal - start, diagonal] = float(self.self_term)
            yield part, k

    def scales(self, f: np.ndarray, normalization: str) -> tuple[np.ndarray, np.ndarray]:
        """What multiplies a kernel from the left (receiving pixels) and from the right (sending pixels)."""
        if normalization == "none":
            one = np.ones(len(f))
            return one, one
        key = tuple(np.ptp(f, axis=0))  # the image is fixed, so its extent in sigmas identifies the sigmas
        if key not in self.row_sums:
            newer = list(self.row_sums.items())[: KEPT_SUMS - 1]
            self.row_sums = {key: np.concatenate([k.sum(axis=1) for _, k in self.blocks(f)]), **dict(newer)}
        return normalization_scales(self.row_sums[key], normalization)

    def weighted(self, params: CRFParams) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of w1 K1 + w2 K2, normalised; the whole matrix is kept where it is small."""
        pixels = len(self.position)
        if self.kept is not None and self.kept[0] == params:
            yield slice(0, pixels), self.kept[1]
            return
        keep = np.zeros((pixels, pixels)) if pixels**2 <= KEEP else None
        appearance, smoothness = self.features(params)
        left1, right1 = self.scales(appearance, params.normalization)
        left2, right2 = self.scales(smoothness, params.normalization)
        for (part, k1), (_, k2) in zip(self.blocks(appearance), self.blocks(smoothness), strict=True):
            rows = params.w1 * left1[part, None] * k1 * right1 + params.w2 * left2[part, None] * k2 * right2
            if keep is not None:
                keep[part] = rows
            yield part, rows
        if keep is not None:
            self.kept = (params, keep)

    def start(
        self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, shortcuts: bool
    ) -> ExactRun:
        return ExactRun(-np.log(probs.astype(np.float64)), self, params, compatibility)

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        rows = []
        for f, w in zip(self.features(params), (params.w1, params.w2), strict=True):
            left, right = self.scales(f, params.normalization)
            k = np.exp(-0.5 * np.sum((f - f[pixel]) ** 2, axis=1))
            k[pixel] = float(self.self_term)
            rows.append(w * left[pixel] * k * right)
        return rows[0], rows[1]


class ExactRun(ParallelRun):
    """Parallel updates, and the one-pixel-at-a-time sweep whose free energy cannot rise."""

    def __init__(
        self, unary: Marginals, kernel: ExactKernel, params: CRFParams, compatibility: Compatibility
    ) -> None:
        def messages(q: Marginals) -> Marginals:
            return np.concatenate([rows @ q.T for _, rows in kernel.weighted(params)]).T

        super().__init__(unary, messages, compatibility)
        self.kernel, self.params = kernel, params

    def sweep(self) -> float:
        """Updates pixel after pixel, each seeing those before it moved; returns the largest change."""
        before, q = self.q, self.q.copy()
        for part, rows in self.kernel.weighted(self.params):
            for row, pixel in zip(rows, range(part.start, part.stop), strict=True):
                cost = self.unary[:, pixel] + penalty((q @ row)[:, None], self.compatibility)[:, 0]
                q[:, pixel] = softmax(-cost)
        self.q = q
        return float(np.abs(q - before).max())
