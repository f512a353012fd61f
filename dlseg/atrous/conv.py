"""Convolution with holes, three ways that give the same map (paper, section 3.1 and figure 1)."""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dlseg.atrous.window import Pair, Window

Method = Literal["native", "sample", "zeros"]


def insert_holes(weight: Float[Tensor, "O I kh kw"], rate: int) -> Float[Tensor, "O I Kh Kw"]:
    """The filter with `rate - 1` zeros between neighbouring taps: k becomes k + (k - 1)(rate - 1).

    Raises ValueError for a weight that is not (O, I, k, k) and for a rate below 1.
    """
    if weight.ndim != 4 or 0 in weight.shape[2:]:
        raise ValueError(f"weight must be (O, I, k, k) with k at least 1; got shape {tuple(weight.shape)}")
    _whole("rate", rate, least=1)
    holes = weight.new_zeros(*weight.shape[:2], *Window(_pair(weight), rate=(rate, rate)).extent)
    holes[:, :, ::rate, ::rate] = weight
    return holes


def atrous_conv2d(
    x: Float[Tensor, "B I H W"],
    weight: Float[Tensor, "O I kh kw"],
    bias: Float[Tensor, " O"] | None = None,
    *,
    rate: int = 1,
    stride: int = 1,
    padding: int = 0,
    method: Method = "native",
) -> Float[Tensor, "B O h w"]:
    """Convolve `x` with taps `rate` cells apart, `padding` zeros around it and an output every `stride` cells.

    `"native"` is torch's dilation. `"sample"` is the paper's Caffe form: the filter stays intact and reads the
    map every `rate` cells (an im2col that skips). `"zeros"` is the definition: a filter with zeros in its
    holes, which multiplies by every one of them.

    Raises ValueError for shapes that do not fit, numbers out of range and unknown methods.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {get_args(Method)}; got {method!r}")
    window = _window(x, weight, bias, rate=rate, stride=stride, padding=padding)
    if method == "native":
        return F.conv2d(x, weight, bias, stride, padding, rate)
    if method == "zeros":
        return F.conv2d(x, insert_holes(weight, rate), bias, stride, padding)
    # channels last, so that what one tap sees at one position is copied in one piece
    padded = F.pad(x, (padding,) * 4).contiguous(memory_format=torch.channels_last)
    seen = [tap.permute(0, 2, 3, 1) for tap in taps(padded, window)]  # kh·kw of (B, h, w, I)
    columns = torch.stack(seen, dim=3).flatten(3)  # (B, h, w, kh·kw·I)
    filters = weight.permute(0, 2, 3, 1).flatten(1)  # (O, kh·kw·I)
    return F.linear(columns, filters, bias).permute(0, 3, 1, 2)


def taps(padded: Tensor, window: Window) -> Iterator[Tensor]:
    """What each tap of the window sees as it slides over an already padded map, tap by tap, row by row."""
    (kh, kw), (rh, rw), (sh, sw), (eh, ew) = window.kernel, window.rate, window.stride, window.extent
    last_y, last_x = padded.shape[-2] - eh, padded.shape[-1] - ew  # where the last window begins
    for y in range(0, kh * rh, rh):
        for x in range(0, kw * rw, rw):
            yield padded[..., y : y + last_y + 1 : sh, x : x + last_x + 1 : sw]


def _pair(weight: Tensor) -> Pair:
    return weight.shape[2], weight.shape[3]


def _whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}")


def _window(x: Tensor, weight: Tensor, bias: Tensor | None, *, rate: int, stride: int, padding: int) -> Window:
    for name, value, least in (("rate", rate, 1), ("stride", stride, 1), ("padding", padding, 0)):
        _whole(name, value, least)
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1] or 0 in weight.shape[2:]:
        raise ValueError(
            "x must be (B, I, H, W) and weight (O, I, k, k) with the same I; "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be ({weight.shape[0]},), one per filter; got {tuple(bias.shape)}")
    window = Window(_pair(weight), (stride, stride), (padding, padding), (rate, rate))
    if min(window.output_size((x.shape[2], x.shape[3]))) < 1:
        raise ValueError(
            f"x of {x.shape[2]}×{x.shape[3]} with padding {padding} is smaller than the filter, "
            f"which covers {window.extent[0]}×{window.extent[1]} at rate {rate}"
        )
    return window
