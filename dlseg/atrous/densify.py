"""A strided chain of layers made dense without approximation (paper, section 3.1).

Skipping a subsampling makes the map finer than the layers after it were trained on. Each of them keeps seeing
what it saw if its taps move apart by the same factor: convolutions *and* pools. A layer after a jump of J
pixels that becomes J' needs the rate J / J'.
"""

from copy import deepcopy
from math import gcd, prod
from typing import Literal, get_args

from torch import nn

from dlseg.atrous.pool import AtrousPool2d
from dlseg.atrous.window import Pair, Window, chain, pair
from dlseg.common.checks import message, one_of, whole_number

Pools = Literal["exact", "released"]


def densify(net: nn.Sequential, output_stride: int, pools: Pools = "exact") -> nn.Sequential:
    """A copy of `net` that gives its scores every `output_stride` pixels, and the same scores where it had them.

    The last strided layers lose their stride, as many as needed, and every later layer gets its rate and as
    many times its padding (section 3.1).

    Args:
        net: a chain of convolutions, poolings and pointwise layers; it stays as it is.
        output_stride: pixels from score to score; it divides the network's own.
        pools: with "exact" the scores equal those of `shift_and_stitch`. With "released" the pools after the first
            skipped one are 3×3, stride 1, padding 1 and without holes, as pool5 in DeepLab's published files: no
            longer exact.

    Raises:
        TypeError: `net` is no nn.Sequential.
        ValueError: the stride does not divide the network's, or a layer cannot be made dense; it says why.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2, 2), nn.Conv2d(4, 5, 3, padding=1))
    >>> image, dense = torch.randn(1, 3, 16, 16), densify(net, 1)
    >>> net(image).shape, dense(image).shape, dense[2].dilation
    (torch.Size([1, 5, 8, 8]), torch.Size([1, 5, 15, 15]), (2, 2))
    >>> torch.allclose(dense(image)[..., ::2, ::2], net(image), atol=1e-5)    # the same where it had them
    True
    """
    one_of("pools", pools, get_args(Pools))
    layers = chain(net)
    check_stride(layers, output_stride)
    dense: dict[str, nn.Module] = {}
    jump, jump_before = (1, 1), (1, 1)  # of the dense and of the original network, in pixels
    for name, layer in layers:
        window = Window.of(layer)
        if window is None:
            dense[name] = deepcopy(layer)
            continue
        after = jump_before[0] * window.stride[0], jump_before[1] * window.stride[1]
        finer = gcd(after[0], output_stride), gcd(after[1], output_stride)
        rate = jump_before[0] // jump[0], jump_before[1] // jump[1]
        stride = finer[0] // jump[0], finer[1] // jump[1]
        dense[name] = _dense_layer(name, layer, window, stride=stride, rate=rate, pools=pools)
        jump, jump_before = finer, after
    return _rebuild(net, dense)


def check_stride(layers: list[tuple[str, nn.Module]], output_stride: int) -> Pair:
    """The chain's own output stride.

    Raises:
        ValueError: `output_stride` does not divide it.
    """
    strides = [window.stride for _, layer in layers if (window := Window.of(layer)) is not None]
    total = prod(s[0] for s in strides), prod(s[1] for s in strides)
    whole_number("output_stride", output_stride, low=1)
    if total[0] % output_stride or total[1] % output_stride:
        raise ValueError(
            message("output_stride", output_stride, f"a divisor of the network's stride, {total[0]}×{total[1]}")
        )
    return total


def _dense_layer(
    name: str, layer: nn.Module, window: Window, *, stride: Pair, rate: Pair, pools: Pools
) -> nn.Module:
    if stride == window.stride and rate == (1, 1):
        return deepcopy(layer)
    _refuse(name, layer, window)
    padding = window.padding[0] * rate[0], window.padding[1] * rate[1]
    # a single tap has no neighbour to be apart from
    taps = tuple(r * w if k > 1 else 1 for r, w, k in zip(rate, window.rate, window.kernel, strict=True))
    wide = Window(window.kernel, stride, padding, pair(taps))
    if isinstance(layer, nn.Conv2d):
        copy = deepcopy(layer)
        copy.stride, copy.padding, copy.dilation = stride, padding, wide.rate
        return copy
    if pools == "released" and rate != (1, 1):
        wide = Window((3, 3), (1, 1), (1, 1))
    torch_can = all(2 * p <= k for p, k in zip(wide.padding, wide.kernel, strict=True))
    if isinstance(layer, nn.MaxPool2d) and torch_can:
        return nn.MaxPool2d(wide.kernel, wide.stride, wide.padding, wide.rate)
    return AtrousPool2d.like(layer, wide)


def _refuse(name: str, layer: nn.Module, window: Window) -> None:
    if window.ceil and window.stride != (1, 1):
        raise ValueError(
            f"cannot make {name} dense: ceil_mode lets its last window overrun the map, and where "
            "depends on the size of the image; use ceil_mode=False"
        )
    if getattr(layer, "return_indices", False):
        raise ValueError(f"cannot make {name} dense: return_indices would number the cells of another map")
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        raise ValueError(
            f"cannot make {name} dense: padding_mode={layer.padding_mode!r} repeats the map at its "
            "border, which differs from shift to shift; only zero padding can be spread out"
        )


def _rebuild(net: nn.Sequential, dense: dict[str, nn.Module], prefix: str = "") -> nn.Sequential:
    copy = nn.Sequential()
    for name, child in net._modules.items():
        full = prefix + name
        copy.add_module(
            name, _rebuild(child, dense, full + ".") if isinstance(child, nn.Sequential) else dense[full]
        )
    copy.training = net.training  # the layers keep their own modes
    return copy
