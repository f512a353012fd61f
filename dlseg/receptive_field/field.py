"""Size, stride and centre of what every layer sees, from the network itself (section 3.2)."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dlseg.common.checks import whole_number
from dlseg.receptive_field.axis import Axis
from dlseg.receptive_field.follow import Follow, meta

Pair = tuple[int, int]
Numbers = tuple[float, float]


@dataclass(frozen=True)
class LayerField:
    """What the cells of one layer's map see of the image, in pixels, (height, width) or (y, x) (section 3.2).

    Attributes:
        name: the layer's.
        size: what one cell sees, padding included.
        stride: the distance between neighbours; 0 where there is one answer for the whole image.
        centre: the middle of what cell (0, 0) sees, pixel (0, 0) being (0.0, 0.0).

    >>> seen = receptive_field(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1)))[-1]
    >>> seen.size, seen.stride, seen.box(1, 2)    # rows 1 to 3, columns 3 to 5
    ((3, 3), (2.0, 2.0), (1, 3, 3, 5))
    """

    name: str
    size: Pair
    stride: Numbers
    centre: Numbers
    axes: tuple[Axis, Axis] = field(repr=False, compare=False)

    def box(self, y: int, x: int, image: Pair | None = None) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of what cell (y, x) sees, all four inside it; padding has numbers outside
        the image and is cut off where the size of the `image` is given.
        """
        (top, bottom), (left, right) = self.axes[0].span(y), self.axes[1].span(x)
        if image is None:
            return top, left, bottom, right
        return max(top, 0), max(left, 0), min(bottom, image[0] - 1), min(right, image[1] - 1)


def receptive_field(net: nn.Module, image: Pair | None = None) -> list[LayerField]:
    """What the cells of every layer see of the image, analytically (section 3.2).

    Followed are kernels, strides, padding, rates, pooling, upsampling, crops, and branches where they meet (a cell
    sees what any branch sees).

    Args:
        net: the network; it runs once, on shapes alone.
        image: (height, width) of the image; default: the network's own `input_size`, else 513×513. Only resizing
            and fully connected layers depend on it.

    Returns:
        A field for each layer, in the order they run. Where the network does something with the last layer's map
        (adds branches, crops), one named "output" comes last.

    Raises:
        ValueError: a function of the network cannot be followed; the message names it.

    >>> from dlseg.networks import create
    >>> fields = {f.name: f for f in receptive_field(create("deeplab-largefov", width=1 / 8))}
    >>> fields["pool5"].size, fields["fc6"].size, fields["fc6"].stride
    ((212, 212), (404, 404), (8.0, 8.0))
    """
    size: Pair = getattr(net, "input_size", (513, 513)) if image is None else image
    pixels = blank(net, size)
    follow, rows, last = Follow(pixels), list[LayerField](), [pixels]

    def note(name: str, result: Any) -> None:
        seen = follow.field(result)
        if seen is not None:
            rows.append(_layer(name, seen))
            last[0] = result

    hooks = [
        module.register_forward_hook(lambda _m, _i, result, name=name: note(name, result))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    try:
        with follow, torch.no_grad():
            result = functional_call(net, meta(net), (pixels,))
    finally:
        for hook in hooks:
            hook.remove()
    if result is not last[0]:
        note("output", result)
    return rows


def _layer(name: str, axes: tuple[Axis, Axis]) -> LayerField:
    return LayerField(
        name,
        (axes[0].size, axes[1].size),
        (float(axes[0].stride), float(axes[1].stride)),
        (float(axes[0].centre), float(axes[1].centre)),
        axes,
    )


def blank(net: nn.Module, size: Pair) -> Tensor:
    """An image without memory, of the channels and the type that the first convolution takes.

    >>> blank(nn.Conv2d(4, 8, 3), (10, 20)).shape
    torch.Size([1, 4, 10, 20])
    """
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)), None)
    channels, dtype = (first.in_channels, first.weight.dtype) if first is not None else (3, torch.float32)
    return torch.empty(1, channels, *size, device="meta", dtype=dtype)


def classifier_view(kernel: int, rate: int, stride: int, block: int = 32) -> int:
    """What table 2 calls fc6's receptive field, in pixels: (kernel - 1) · rate · stride + block.

    It is its taps' span, each cell of pool5 counted as the `block` of pixels that is its own in the classifier,
    without the overlap.

    Raises:
        TypeError, ValueError: a number that is not whole and at least 1.

    >>> classifier_view(kernel=3, rate=12, stride=8)
    224
    """
    for name, value in (("kernel", kernel), ("rate", rate), ("stride", stride), ("block", block)):
        whole_number(name, value, low=1)
    return (kernel - 1) * rate * stride + block
