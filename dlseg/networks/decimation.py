"""Fully connected layers as convolutions, and fc6 decimated to fewer taps and channels (sections 3.1, 3.2)."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

import torch
from torch import Tensor, nn

from dlseg.atrous import Window
from dlseg.atrous.window import POINTWISE
from dlseg.common.checks import message, whole_number


def convolutionalize(net: nn.Sequential) -> nn.Sequential:
    """The same classifier as a convolutional network for any image: its fully connected layers become filters.

    The first one after the flattening gets a square kernel as large as the map it was connected to, the
    others 1×1 (section 3.1).

    Args:
        net: the classifier, a chain of layers; it stays as it is.

    Returns:
        A copy. On an image of the classifier's own size its scores, (B, C, 1, 1), are the classifier's.

    Raises:
        TypeError: `net` is no nn.Sequential.
        ValueError: a fully connected layer was not connected to a square map of the last convolution's channels,
            or a layer is of another kind.

    >>> from dlseg.networks import create
    >>> vgg16 = create("vgg16", num_classes=10, width=1 / 16).eval()
    >>> dense = convolutionalize(vgg16)
    >>> dense(torch.zeros(1, 3, 224, 224)).shape, dense(torch.zeros(1, 3, 288, 256)).shape
    (torch.Size([1, 10, 1, 1]), torch.Size([1, 10, 3, 2]))
    """
    if not isinstance(net, nn.Sequential):
        raise TypeError(message("net", type(net).__name__, "an nn.Sequential of layers"))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 0
    for name, layer in net._modules.items():  # unlike named_children, this repeats a layer used twice
        if isinstance(layer, nn.Linear):
            layers[name] = _filters(name, layer, channels)
        elif isinstance(layer, POINTWISE) or Window.of(layer) is not None:
            layers[name] = deepcopy(layer)
        elif not isinstance(layer, nn.Flatten):
            raise ValueError(
                f"{name} ({type(layer).__name__}) has no convolutional form; layers must be "
                "convolutions, poolings, pointwise, flattening or fully connected"
            )
        channels = getattr(layers.get(name), "out_channels", channels)
    copy = nn.Sequential(layers)
    copy.training = net.training  # the layers keep their own modes
    return copy


@torch.no_grad()
def _filters(name: str, layer: nn.Linear, channels: int) -> nn.Conv2d:
    side = round((layer.in_features / channels) ** 0.5) if channels else 0
    if side * side * channels != layer.in_features:
        raise ValueError(f"{name} takes {layer.in_features} numbers, which is no square map of {channels} channels")
    with torch.device("meta"):  # no memory: both parameters come from the layer
        conv = nn.Conv2d(channels, layer.out_features, side)
    conv.weight = nn.Parameter(layer.weight.reshape(conv.weight.shape).clone())
    conv.bias = None if layer.bias is None else nn.Parameter(layer.bias.clone())
    conv.training = layer.training
    return conv


def decimation(taps: int, kept: int) -> list[int]:
    """Which of `taps` taps along one axis simple decimation keeps: every step-th from the first.

    Also the pattern for channels: 4096 → 1024 keeps every fourth.

    Raises:
        ValueError: more are to be kept than there are, or fewer than one.

    >>> decimation(7, 4), decimation(7, 3)
    ([0, 2, 4, 6], [0, 3, 6])
    """
    whole_number("kept", kept, low=1, high=taps)
    step = (taps - 1) // (kept - 1) if kept > 1 else 1
    first = (taps - 1) // 2 if kept == 1 else 0
    return list(range(first, first + step * kept, step))[:kept]


@torch.no_grad()
def decimate(net: nn.Sequential, kernel: int, channels: int | None = None, rate: int = 1) -> nn.Sequential:
    """A copy of a convolutional classifier with a smaller fc6, by simple decimation (section 3.2).

    Args:
        net: a network with convolutions fc6, fc7 and fc8; it stays as it is.
        kernel: fc6 keeps `kernel`×`kernel` of its taps; which ones is `decimation`.
        channels: fc6 and fc7 keep so many of their channels; None keeps all.
        rate: the new fc6's, in cells of pool5. 1 makes the field smaller, as DeepLab's 4×4; the decimation's step
            keeps it, as LargeFOV's 3×3 with rate 3 at stride 32, which is 12 at stride 8.

    Raises:
        ValueError: there are fewer taps or channels than that, or no such convolutions.

    >>> from dlseg.networks import create
    >>> dense = convolutionalize(create("vgg16", num_classes=10, width=1 / 16))
    >>> decimate(dense, kernel=3, channels=64).fc6.weight.shape    # of 256 filters of 7×7
    torch.Size([64, 32, 3, 3])
    """
    copy = deepcopy(net)
    fc6, fc7, fc8 = (getattr(copy, name, None) for name in ("fc6", "fc7", "fc8"))
    if not (isinstance(fc6, nn.Conv2d) and isinstance(fc7, nn.Conv2d) and isinstance(fc8, nn.Conv2d)):
        raise ValueError(
            "net: got a network without convolutions fc6, fc7, fc8, expected one with them; "
            "convolutionalize makes them of a classifier"
        )
    taps = torch.tensor(decimation(fc6.kernel_size[0], kernel))
    kept = torch.tensor(decimation(fc6.out_channels, fc6.out_channels if channels is None else channels))
    _keep(fc6, fc6.weight[kept][:, :, taps][:, :, :, taps], kept)
    _keep(fc7, fc7.weight[kept][:, kept], kept)
    _keep(fc8, fc8.weight[:, kept], torch.arange(fc8.out_channels))
    fc6.dilation = (rate, rate)
    return copy


def _keep(conv: nn.Conv2d, weight: Tensor, outputs: Tensor) -> None:
    conv.weight = nn.Parameter(weight.clone())
    conv.bias = None if conv.bias is None else nn.Parameter(conv.bias[outputs].clone())
    conv.out_channels, conv.in_channels = weight.shape[:2]
    conv.kernel_size = (weight.shape[2], weight.shape[3])
