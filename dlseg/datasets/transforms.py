"""From an image and its labels to a training sample: pad, crop, mirror, subtract the mean pixel (section 5).

Every choice comes from a generator that the caller seeds, so a sample is the same whoever makes it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8

from dlseg.common.constants import MEAN_PIXEL, VOID


def to_input(
    image: UInt8[np.ndarray, "H W 3"], channels: Literal["rgb", "bgr"] = "rgb"
) -> Float[torch.Tensor, "3 H W"]:
    """An RGB image as the networks take it: float32, channels first, less the mean pixel, not scaled (section 3.1).

    Args:
        image: (H, W, 3) uint8, not changed.
        channels: "rgb", or "bgr" as Caffe takes it: blue, green, red, less the mean pixel in that order.

    Returns:
        A new tensor (3, H, W).

    >>> to_input(np.full((1, 1, 3), 128, np.uint8)).flatten()
    tensor([ 5.3250, 11.3310, 23.9920])
    """
    copy = np.array(image, order="C")  # torch warns of arrays that are read-only
    pixels = torch.from_numpy(copy).permute(2, 0, 1).float()
    centred = pixels - torch.tensor(MEAN_PIXEL)[:, None, None]
    return centred if channels == "rgb" else centred.flip(0)


def pad_to(
    image: UInt8[np.ndarray, "H W 3"], label: UInt8[np.ndarray, "H W"], size: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Grow an image and its label at the right and the bottom: the mean pixel, labelled void.

    Args:
        image: (H, W, 3) uint8.
        label: class indices (H, W).
        size: what height and width are at least, px.

    Returns:
        Both; as they came where they are large enough.

    >>> pad_to(np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2), np.uint8), 2)[1]
    array([[  0,   0],
           [255, 255]], dtype=uint8)
    """
    height, width = label.shape
    below, right = max(0, size - height), max(0, size - width)
    if not below and not right:
        return image, label
    mean = np.round(MEAN_PIXEL).astype(np.uint8)
    padded = np.broadcast_to(mean, (height + below, width + right, 3)).copy()
    padded[:height, :width] = image
    return padded, np.pad(label, ((0, below), (0, right)), constant_values=VOID)


def crop_and_mirror(
    image: UInt8[np.ndarray, "H W 3"],
    label: UInt8[np.ndarray, "H W"],
    size: int,
    rng: np.random.Generator,
    mirror: bool = True,
) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"]]:
    """A random square window, padded where the image is smaller, mirrored every second time (section 5).

    Args:
        image: (H, W, 3) uint8.
        label: class indices (H, W).
        size: of the window, px.
        rng: decides where, and whether it is mirrored.
        mirror: False never mirrors.

    Returns:
        The windows of both.

    >>> image, label = np.zeros((9, 9, 3), np.uint8), np.arange(81, dtype=np.uint8).reshape(9, 9)
    >>> crop_and_mirror(image, label, 2, np.random.default_rng(0))[1]
    array([[60, 59],
           [69, 68]], dtype=uint8)
    """
    image, label = pad_to(image, label, size)
    top = int(rng.integers(label.shape[0] - size + 1))
    left = int(rng.integers(label.shape[1] - size + 1))
    window = np.s_[top : top + size, left : left + size]
    image, label = image[window], label[window]
    if mirror and rng.integers(2):
        image, label = image[:, ::-1], label[:, ::-1]
    return image, label
