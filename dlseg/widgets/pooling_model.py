"""What the pooling explorer computes: scores of a moved image at three strides, and the best a map could cut."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from dlseg.atrous import Window, densify
from dlseg.datasets.transforms import to_input
from dlseg.networks import open_weights
from dlseg.receptive_field import receptive_field

VOID = 255


def moved(values: np.ndarray, down: int, right: int, mode: Any = "reflect", **fill: Any) -> np.ndarray:
    """An array (H, W, …) moved by whole pixels; `mode` and `fill` say what numpy's `pad` puts into the gap."""
    (height, width), rest = values.shape[:2], [(0, 0)] * (values.ndim - 2)
    wide = np.pad(values, [(abs(down),) * 2, (abs(right),) * 2, *rest], mode=mode, **fill)
    top, left = abs(down) - down, abs(right) - right
    return np.asarray(wide[top : top + height, left : left + width])


@cache
def classifier(stride: int) -> tuple[nn.Sequential, tuple[str, ...]]:
    """The shapes classifier (VGG-16, stride 32) with a score every `stride` pixels, exactly; its classes."""
    net, info = open_weights("shapes", "vgg16-20m")
    return densify(net.main, stride).eval(), tuple(info["classes"])


@cache
def first_centre(stride: int) -> float:
    """The pixel in the middle of what score (0, 0) sees, along both axes."""
    return receptive_field(classifier(stride)[0], (128, 128))[-1].centre[0]


def outer_taps(stride: int) -> int:
    """How far, in pixels, fc6's outer taps look from its middle one."""
    window = Window.of(classifier(stride)[0].get_submodule("fc6"))
    assert window is not None  # a convolution has one
    return (window.kernel[0] // 2) * window.rate[0] * stride


@torch.inference_mode()
def scores_at(image: UInt8[np.ndarray, "H W 3"], stride: int) -> Float[np.ndarray, "C h w"]:
    """The classifier's scores (C, h, w), one every `stride` pixels. ValueError for an image below 32 pixels."""
    if min(image.shape[:2]) < 32:
        raise ValueError(f"image: got {image.shape[0]}×{image.shape[1]}, expected at least 32×32 pixels")
    scores: np.ndarray = classifier(stride)[0](to_input(image)[None])[0].numpy()
    return scores


def nearest(pixels: int, cells: int, stride: int, centre: float) -> np.ndarray:
    """For each pixel along an axis, the cell whose centre is nearest; cell k's is at `centre + stride · k`."""
    return np.clip(np.floor((np.arange(pixels) - centre) / stride + 0.5), 0, cells - 1).astype(int)


def spread(values: Float[np.ndarray, "h w"], size: tuple[int, int], stride: int, centre: float) -> np.ndarray:
    """A map (h, w) at the size of its image (H, W): every pixel takes its nearest cell's value."""
    rows, columns = (nearest(n, m, stride, centre) for n, m in zip(size, values.shape, strict=True))
    return np.asarray(values[rows[:, None], columns])


def between(pixels: int, cells: int, stride: int, centre: float) -> Float[np.ndarray, "pixels cells"]:
    """The weights of bilinear upsampling along one axis; beyond the outer cells they repeat."""
    at = np.clip((np.arange(pixels) - centre) / stride, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))


def best_labels(
    label: UInt8[np.ndarray, "H W"], cells: tuple[int, int], stride: int, centre: float
) -> UInt8[np.ndarray, "H W"]:
    """What a perfect score map of `cells` (h, w) could say: each cell knows the shares of the classes in its own
    pixels, void aside, and bilinear upsampling does the rest, as in DeepLab. Labels (H, W).
    """
    sizes = list(zip(label.shape, cells, strict=True))
    inside = [nearest(n, m, stride, centre)[:, None] == np.arange(m) for n, m in sizes]
    down = [member / np.maximum(member.sum(0), 1) for member in inside]
    up = [between(n, m, stride, centre) for n, m in sizes]
    classes = [int(v) for v in np.unique(label) if v != VOID] or [0]
    maps = [up[0] @ (down[0].T @ (label == v) @ down[1]) @ up[1].T for v in classes]
    return np.array(classes, np.uint8)[np.argmax(maps, axis=0)]
