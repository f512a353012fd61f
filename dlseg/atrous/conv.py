"""Convolution with holes, three ways that give the same map (paper, section 3.1 and figure 1)."""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dlseg.atrous.window import Pair, Window
from dlseg.common.checks import message, one_of, whole_number

Method = Literal["native", "sample", "zeros"]


def insert_holes(weight: Float[Tensor, "O I kh kw"], rate: int) -> Float[Tensor, "O I Kh Kw"]:
    """The filter with zeros between neighbouring taps: the definition of the hole algorithm (section 3.1).

    Args:
        weight: O filters of I channels, (O, I, k, k).
        rate: cells from tap to tap; 1 is the filter itself.

    Returns:
        (O, I, K, K) with K = k + (k - 1)(rate - 1).

    Raises:
        ValueError: `weight` has another shape, or `rate` is below 1.

    >>> insert_holes(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), rate=2)[0, 0].tolist()
    [[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [3.0, 0.0, 4.0]]
    """
    if weight.ndim != 4 or 0 in weight.shape[2:]:
        raise ValueError(message("weight", f"shape {tuple(weight.shape)}", "(O, I, k, k) with k >= 1"))
    whole_number("rate", rate, low=1)
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
    """Convolution with holes (section 3.1 and figure 1).

    Args:
        x: maps (B, I, H, W).
        weight: filters (O, I, k, k), without their holes.
        bias: (O,), or None.
        rate: cells of `x` from tap to tap.
        stride: cells of `x` from output to output.
        padding: zeros around `x`.
        method: "native" is torch's dilation. "sample" is the paper's Caffe form: the filter stays intact and reads
            the map every `rate` cells (an im2col that skips). "zeros" is the definition: a filter with zeros in
            its holes, which multiplies by every one of them. All three give the same map.

    Returns:
        (B, O, h, w) with h = ⌊(H + 2 · padding - (k - 1) · rate - 1) / stride⌋ + 1, and w alike.

    Raises:
        TypeError, ValueError: shapes do not fit, a number is out of range, or there is no such method.

    >>> x, weight = torch.randn(1, 3, 20, 20), torch.randn(4, 3, 3, 3)
    >>> native, sample, zeros = (
    ...     atrous_conv2d(x, weight, rate=2, padding=2, method=m) for m in ("native", "sample", "zeros")
    ... )
    >>> native.shape, torch.allclose(native, sample, atol=1e-4), torch.allclose(native, zeros, atol=1e-4)
    (torch.Size([1, 4, 20, 20]), True, True)
    """
    one_of("method", method, get_args(Method))
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
    """What each tap of the window sees as it slides over an already padded map, tap by tap, row by row.

    >>> seen = taps(torch.arange(9.0).reshape(1, 1, 3, 3), Window((2, 2), rate=(2, 2)))
    >>> [tap.item() for tap in seen]    # the four corners
    [0.0, 2.0, 6.0, 8.0]
    """
    (kh, kw), (rh, rw), (sh, sw), (eh, ew) = window.kernel, window.rate, window.stride, window.extent
    last_y, last_x = padded.shape[-2] - eh, padded.shape[-1] - ew  # where the last window begins
    for y in range(0, kh * rh, rh):
        for x in range(0, kw * rw, rw):
            yield padded[..., y : y + last_y + 1 : sh, x : x + last_x + 1 : sw]


def _pair(weight: Tensor) -> Pair:
    return weight.shape[2], weight.shape[3]


def _window(x: Tensor, weight: Tensor, bias: Tensor | None, *, rate: int, stride: int, padding: int) -> Window:
    for name, value, low in (("rate", rate, 1), ("stride", stride, 1), ("padding", padding, 0)):
        whole_number(name, value, low)
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1] or 0 in weight.shape[2:]:
        shapes = f"{tuple(x.shape)} and {tuple(weight.shape)}"
        raise ValueError(message("x, weight", shapes, "(B, I, H, W) and (O, I, k, k) with the same I"))
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(message("bias", tuple(bias.shape), f"({weight.shape[0]},), one number per filter"))
    window = Window(_pair(weight), (stride, stride), (padding, padding), (rate, rate))
    if min(window.output_size((x.shape[2], x.shape[3]))) < 1:
        raise ValueError(
            f"x: got {x.shape[2]}×{x.shape[3]} cells with padding {padding}, expected no less than the filter "
            f"covers at rate {rate}, {window.extent[0]}×{window.extent[1]}"
        )
    return window
