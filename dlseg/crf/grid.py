"""The contrast-sensitive grid CRF that the paper argues against (section 4): only touching pixels see each other.

Its weights are the same two Gaussians, cut off after one pixel. It smooths, and shrinks thin structures, because a
pixel receives nothing from the rest of its object. No pixel is its own neighbour.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dlseg.crf.features import Extra, normalization_scales
from dlseg.crf.mean_field import Compatibility, Marginals, ParallelRun
from dlseg.crf.params import CRFParams, both

STEPS = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, 0), (1, 1), (1, -1))}


class GridKernel:
    """Messages between 4- or 8-connected pixels."""

    def __init__(self, image: Float[np.ndarray, "H W c"], neighbours: int, extra: Extra | None = None) -> None:
        if neighbours not in STEPS:
            raise ValueError(f"neighbours: got {neighbours!r}, expected 4 or 8")
        self.image = image.astype(np.float64)
        self.extra = np.zeros((*image.shape[:2], 0)) if extra is None else extra.astype(np.float64)
        self.steps = [(dy, dx) for dy, dx in STEPS[neighbours]]
        self.steps += [(-dy, -dx) for dy, dx in self.steps]

    def weights(self, params: CRFParams) -> Float[np.ndarray, "2 K H W"]:
        """Both weighted, normalised kernels from each pixel to its K neighbours; 0 where there is none."""
        height, width, _ = self.image.shape
        k = np.zeros((2, len(self.steps), height, width))
        for which, (dy, dx) in enumerate(self.steps):
            here, there = _pairs(height, width, dy, dx)
            contrast = np.sum((self.image[here] - self.image[there]) ** 2, axis=2) / params.sigma_beta**2
            contrast += np.sum((self.extra[here] - self.extra[there]) ** 2, axis=2)
            appearance, smoothness = (
                (dy / down) ** 2 + (dx / across) ** 2
                for down, across in (both(params.sigma_alpha), both(params.sigma_gamma))
            )
            k[0, which][here] = np.exp(-(appearance + contrast) / 2)
            k[1, which][here] = np.exp(-smoothness / 2)
        left, right = normalization_scales(k.sum(axis=1), params.normalization)
        for which, (dy, dx) in enumerate(self.steps):
            here, there = _pairs(height, width, dy, dx)
            k[:, which][:, *here] *= left[:, *here] * right[:, *there]
        return k * np.array([params.w1, params.w2])[:, None, None, None]

    def start(
        self, probs: Marginals, params: CRFParams, compatibility: Compatibility, *, shortcuts: bool
    ) -> ParallelRun:
        height, width, _ = self.image.shape
        both = self.weights(params).sum(axis=0)

        def messages(q: Marginals) -> Marginals:
            field, out = q.reshape(-1, height, width), np.zeros((len(q), height, width))
            for weight, (dy, dx) in zip(both, self.steps, strict=True):
                here, there = _pairs(height, width, dy, dx)
                out[:, *here] += weight[here] * field[:, *there]
            return out.reshape(q.shape)

        return ParallelRun(-np.log(probs.astype(np.float64)), messages, compatibility)

    def affinity(self, params: CRFParams, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        height, width, _ = self.image.shape
        row, col = divmod(pixel, width)
        rows = np.zeros((2, height, width))
        for weight, (dy, dx) in zip(self.weights(params).swapaxes(0, 1), self.steps, strict=True):
            if 0 <= row + dy < height and 0 <= col + dx < width:
                rows[:, row + dy, col + dx] = weight[:, row, col]
        return rows[0].ravel(), rows[1].ravel()


def _pairs(height: int, width: int, dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a pixel has a neighbour (dy, dx) away, and where those neighbours are."""
    ys, xs = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
    return (ys, xs), (slice(ys.start + dy, ys.stop + dy), slice(xs.start + dx, xs.stop + dx))
