"""Scores of a large image piece by piece: pieces overlap by what a score sees, so the seams are exact."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import torch
from jaxtyping import Float32
from torch import Tensor

from dlseg.networks import Network, ScoreGrid
from dlseg.receptive_field import receptive_field

ASSUMED_FREE = 4 << 30  # bytes, where the system does not say


def coarse_map(net: Network, x: Float32[Tensor, "1 3 H W"], tile: int | None = None) -> Float32[Tensor, "1 C h w"]:
    """The network's score map, computed in pieces of at most `tile` × `tile` px; on the CPU, float32.

    Every position is computed by a piece that holds all it sees, so it is the whole image's but for the order of
    additions. None: in one piece where that fits half of the free memory.

    Raises:
        ValueError: the tile is smaller than one position's field and its alignment need.
    """
    device, grid = next(net.parameters()).device, net.grid
    assert grid is not None
    height, width = x.shape[2:]
    if tile is None:
        tile = _affordable(net, height, width, device)
    if max(height, width) <= tile:
        return net(x.to(device)).float().cpu()
    margin = context(net)
    core = (tile - 2 * margin - grid.offset - 1) // grid.stride + 1
    if core < 1:
        raise ValueError(
            f"tile: got {tile}, expected at least {2 * margin + grid.offset + 1} px: "
            f"{net.spec.variant} sees {margin} px to every side of a score"
        )
    rows, columns = net.score_size((height, width))
    found = torch.empty(1, net.spec.num_classes, rows, columns)
    for top, bottom in _parts(rows, core):
        for left, right in _parts(columns, core):
            y, x_ = _span(top, bottom, margin, grid, height), _span(left, right, margin, grid, width)
            piece = net(x[:, :, y.start : y.stop, x_.start : x_.stop].to(device)).float().cpu()
            inner = piece[:, :, top - y.start // grid.stride :, left - x_.start // grid.stride :]
            found[:, :, top:bottom, left:right] = inner[:, :, : bottom - top, : right - left]
    return found


def context(net: Network) -> int:
    """How many pixels to any side of its own a score sees, rounded up to whole strides.

    Raises ValueError for a network whose scores are not at a stride of their own (FCN).
    """
    grid = net.grid
    if grid is None or grid.stride == 1:
        raise ValueError(f"tile: got {net.spec.variant}, which cannot be computed in pieces, expected deeplab…")
    top, left, bottom, right = receptive_field(net)[-1].box(0, 0)
    reach = max(grid.offset - min(top, left), max(bottom, right) - grid.offset)
    return math.ceil(reach / grid.stride) * grid.stride


def _parts(count: int, most: int) -> Iterator[tuple[int, int]]:
    """0 … count in parts of at most `most`, all nearly alike."""
    pieces = math.ceil(count / most)
    return ((count * i // pieces, count * (i + 1) // pieces) for i in range(pieces))


def _span(first: int, end: int, margin: int, grid: ScoreGrid, size: int) -> range:
    """The pixels that positions first … end − 1 see."""
    start = max(0, grid.stride * first - margin)
    return range(start, min(size, grid.stride * (end - 1) + grid.offset + 1 + margin))


def _affordable(net: Network, height: int, width: int, device: torch.device) -> int:
    """The largest side whose maps fit half of the free memory.

    The most memory goes into the first convolutions' maps: two of them, and as much again to work in.
    """
    channels = int(next(net.main.parameters()).shape[0])
    pixels = _free(device) / 2 / (4 * 4 * channels)
    if height * width <= pixels:
        return max(height, width)
    grid = net.grid
    assert grid is not None
    return max(int(math.sqrt(pixels)), 2 * context(net) + grid.offset + 1)


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return ASSUMED_FREE
