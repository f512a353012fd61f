"""Image in, score maps and labels out: the network, ×8 bilinear upsampling, and the CRF (paper, figure 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.nn import functional as F

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.crf import CRFParams, DenseCRF
from dlseg.datasets.transforms import to_input
from dlseg.images import as_rgb
from dlseg.networks import Network
from dlseg.predict.tiles import coarse_map


@dataclass(frozen=True)
class Prediction:
    """Everything between an image (H, W, 3) and its labels, in the order it comes about.

    Attributes:
        coarse: the network's raw scores at stride 8, (C, h, w).
        scores: the same bilinearly upsampled to the image, (C, H, W).
        probs: softmax of `scores` over classes; its −log is the CRF's unary.
        marginals: what the CRF made of `probs`; None without a CRF.
        labels: the most probable class of each pixel, (H, W).

    >>> from dlseg.networks import create
    >>> found = predict(create("deeplab", 2, width=1 / 16), np.zeros((9, 9, 3), np.uint8))
    >>> bool((found.labels == found.probs.argmax(0)).all()), found.marginals is None
    (True, True)
    """

    coarse: Float32[np.ndarray, "C h w"]
    scores: Float32[np.ndarray, "C H W"]
    probs: Float32[np.ndarray, "C H W"]
    marginals: Float32[np.ndarray, "C H W"] | None
    labels: UInt8[np.ndarray, "H W"]


def predict(
    net: Network,
    image: UInt8[np.ndarray, "H W 3"],
    crf: CRFParams | None = None,
    kernel: str | None = None,
    tile: int | None = None,
) -> Prediction:
    """Label every pixel of an RGB image of any size (sections 3.1 and 4.1).

    Args:
        net: a segmentation network (`dlseg.networks.create("deeplab…")`); put into evaluation mode.
        image: (H, W, 3) uint8, not changed.
        crf: parameters of the fully connected CRF, or None to stop at the upsampled scores.
        kernel: the CRF's kernel, see `dlseg.crf.DenseCRF`; None is its default.
        tile: the largest side, in pixels, of what the network sees at once; the scores are those of the whole image
            up to rounding. None: the whole image, unless its maps would take more than half of the free memory.

    Returns:
        Scores, probabilities and labels, and the CRF's marginals where it was asked for.

    Raises:
        ImageError: not an RGB image.
        ValueError: the net is a classifier or has more than 255 classes, or a tile is smaller than the network's
            field needs.

    >>> from dlseg.networks import create
    >>> found = predict(create("deeplab-largefov", 3, width=1 / 16), np.zeros((20, 30, 3), np.uint8))
    >>> found.labels.shape, found.scores.shape, found.coarse.shape
    ((20, 30), (3, 20, 30), (3, 4, 5))
    """
    image = as_rgb(image)
    if net.spec.num_classes > VOID:
        raise ValueError(message("net", f"{net.spec.num_classes} classes", f"at most {VOID}: a label is one byte"))
    coarse, scores = score_maps(net, image, tile)
    probs = torch.softmax(scores, 0).numpy()
    marginals = None
    if crf is not None:
        model = DenseCRF(image, probs=probs) if kernel is None else DenseCRF(image, probs=probs, kernel=kernel)
        marginals = model.infer(crf)
    labels = (probs if marginals is None else marginals).argmax(0).astype(np.uint8)
    return Prediction(coarse.numpy(), scores.numpy(), probs, marginals, labels)


@torch.inference_mode()
def score_maps(
    net: Network, image: UInt8[np.ndarray, "H W 3"], tile: int | None = None
) -> tuple[Float32[torch.Tensor, "C h w"], Float32[torch.Tensor, "C H W"]]:
    """Raw scores at stride 8 and upsampled to the image; the image is first grown by the mean pixel to fit.

    Args:
        net: a segmentation network; put into evaluation mode.
        image: (H, W, 3) uint8.
        tile: see `predict`.

    Returns:
        Both score maps, (C, h, w) and (C, H, W).

    Raises:
        ValueError: as `predict`.

    >>> from dlseg.networks import create
    >>> coarse, scores = score_maps(create("deeplab", 3, width=1 / 16), np.zeros((20, 30, 3), np.uint8))
    >>> coarse.shape, scores.shape
    (torch.Size([3, 4, 5]), torch.Size([3, 20, 30]))
    """
    if net.grid is None:
        what = f"{net.spec.variant}, which gives one answer an image"
        raise ValueError(message("net", what, "a segmentation network (deeplab…)"))
    size = (image.shape[0], image.shape[1])
    below, right = (fitting_size(n, net.grid.stride, net.grid.offset) - n for n in size)
    coarse = coarse_map(net.eval(), F.pad(to_input(image), (0, right, 0, below))[None], tile)
    return coarse[0], net.grid.upsample(coarse, size)[0]


def fitting_size(n: int, stride: int, offset: int) -> int:
    """The smallest size from `n` on whose last score position is its last pixel: 306 for 300, offset 1.

    At least two positions: pool5 with holes finds nothing but padding beside a single one.

    Args:
        n: pixels.
        stride: of the score positions.
        offset: of the first one.

    >>> fitting_size(300, 8, 1), fitting_size(306, 8, 1), fitting_size(1, 8, 1)
    (306, 306, 10)
    """
    n = max(n, stride + offset + 1)
    return n + (offset + 1 - n) % stride
