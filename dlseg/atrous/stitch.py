"""Shift-and-stitch: dense scores the slow way, which `densify` must equal (Giusti 2013, Sermanet 2013)."""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.atrous.densify import check_stride
from dlseg.atrous.pool import AtrousPool2d
from dlseg.atrous.window import Pair, Window, chain, output_size


def shift_and_stitch(
    net: nn.Sequential, image: Float[Tensor, "B C H W"], output_stride: int
) -> Float[Tensor, "B O h w"]:
    """Scores of `image` every `output_stride` pixels: run the strided `net` once per shift, interlace the maps.

    A shift of p pixels is p cells of the image, or one cell of a map whose jump is p. It is made in the
    coarsest maps that can hold it, so that every run pads its maps where `net` does; away from the border,
    and everywhere in a network without padding, that is the shifted image of the textbook (section 3.1).

    Args:
        net: a chain of convolutions, poolings and pointwise layers, in evaluation mode.
        image: (B, C, H, W).
        output_stride: pixels from score to score; it divides the network's own.

    Returns:
        Scores (B, O, h, w).

    Raises:
        TypeError: `net` is no nn.Sequential.
        ValueError: the stride does not divide the network's, the image is too small, or dropout or batch
            normalisation is in training mode.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, 2), nn.Conv2d(4, 5, 3)).eval()
    >>> image = torch.randn(1, 3, 16, 16)
    >>> from dlseg.atrous import densify
    >>> torch.allclose(shift_and_stitch(net, image, 1), densify(net, 1)(image), atol=1e-5)
    True
    """
    layers = chain(net)
    strides = check_stride(layers, output_stride)
    for name, layer in layers:
        if layer.training and isinstance(layer, nn.Dropout | nn.Dropout2d | nn.BatchNorm2d):
            raise ValueError(
                f"net: got {name} in training mode, expected evaluation mode, net.eval(): {name} would differ "
                "from run to run"
            )
    output_size(net, (image.shape[2], image.shape[3]))
    shifts = product(range(0, strides[0], output_stride), range(0, strides[1], output_stride))
    runs = {shift: _run(layers, image, shift) for shift in shifts}
    return _interlace(runs, output_stride, (strides[0] // output_stride, strides[1] // output_stride))


def _run(layers: list[tuple[str, nn.Module]], x: Tensor, shift: Pair) -> Tensor | None:
    """The scores of the image shifted up and left by `shift` pixels; None where nothing of it is left."""
    left = shift
    for _, layer in layers:
        window = Window.of(layer)
        if window is None:
            x = layer(x)
            continue
        cells = left[0] % window.stride[0], left[1] % window.stride[1]
        left = left[0] // window.stride[0], left[1] // window.stride[1]
        if min(window.output_size((x.shape[2] - cells[0], x.shape[3] - cells[1]))) < 1:
            return None
        if not isinstance(layer, nn.Conv2d) and window.blind((x.shape[2], x.shape[3]), cells):
            raise ValueError("image is too small: for some shifts a pool sees nothing but padding")
        x = layer(x) if cells == (0, 0) else _shifted(layer, window, x, cells)
    return x


def _shifted(layer: nn.Module, w: Window, x: Tensor, cells: Pair) -> Tensor:
    """The strided layer on its map shifted up and left by `cells`: less padding there, or a crop beyond it."""
    around = (w.padding[1] - cells[1], w.padding[1], w.padding[0] - cells[0], w.padding[0])
    if isinstance(layer, nn.Conv2d):
        return F.conv2d(F.pad(x, around), layer.weight, layer.bias, w.stride, 0, w.rate, layer.groups)
    pool = AtrousPool2d.like(layer, Window(w.kernel, w.stride, (0, 0), w.rate))
    return pool.over(F.pad(x, around, value=pool.neutral), F.pad(torch.ones_like(x[:1, :1]), around))


def _interlace(runs: dict[Pair, Tensor | None], output_stride: int, every: Pair) -> Tensor:
    """Put the run of shift (y, x) at the positions (y, x) / output_stride, and `every` so many after it."""
    maps = {(y // output_stride, x // output_stride): m for (y, x), m in runs.items() if m is not None}
    first = maps[0, 0]
    height = sum(m.shape[2] for (_, x), m in maps.items() if x == 0)
    width = sum(m.shape[3] for (y, _), m in maps.items() if y == 0)
    stitched = first.new_empty(*first.shape[:2], height, width)
    for (y, x), m in maps.items():
        place = stitched[:, :, y :: every[0], x :: every[1]]
        if place.shape != m.shape:
            raise ValueError("image is too small: for some shifts nothing of it is left")
        place.copy_(m)
    return stitched
