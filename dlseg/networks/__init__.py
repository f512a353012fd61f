"""The paper's networks (sections 3.1, 3.2, 4.2, 5)."""

from pathlib import Path
from typing import get_args

import torch
from torch import nn

from dlseg.networks.build import build_chain
from dlseg.networks.fcn import FCN
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.multiscale import MultiScale
from dlseg.networks.network import Chain, Classifier, Network, Spec
from dlseg.networks.transfer import Transfer, convolutionalize, decimate, load_trunk
from dlseg.networks.variants import VARIANTS, GeometryName, variants
from dlseg.networks.weights import load_weights, save_weights

__all__ = [
    "FCN",
    "Chain",
    "Classifier",
    "MultiScale",
    "Network",
    "ScoreGrid",
    "Spec",
    "Transfer",
    "convolutionalize",
    "create",
    "decimate",
    "load_trunk",
    "load_weights",
    "save_weights",
    "variants",
]


def create(
    name: str,
    num_classes: int = 21,
    width: float = 1.0,
    geometry: GeometryName = "paper",
    weights: str | Path | None = None,
) -> Network:
    """A network of the paper by name, see `variants()`.

    It maps images (B, 3, H, W), RGB minus the mean pixel and unscaled, to raw scores: (B, C, h, w) at stride 8
    for a DeepLab labeller, (B, C, H, W) for an FCN, (B, C) for a classifier. `width` scales every channel
    count. `geometry` is the paper's text or the released code where they differ. `weights` is None (random),
    "shapes" (the file that comes with the checkout), "imagenet" (VGG-16's public weights) or a path, see
    `load_weights`.

    Raises ValueError for an argument that names nothing or weights of another network, FileNotFoundError for
    weights that are not there.
    """
    _check(name, num_classes, width, geometry)
    variant, net = VARIANTS[name], build_chain(Spec(name, num_classes, width, geometry))
    whole: Network = net
    if variant.kind == "multi-scale":
        whole = MultiScale(net)
    elif variant.kind == "fcn":
        whole = FCN(net, variant.skips)
    if weights is not None:
        load_weights(whole, weights)
    # the layout that convolves fastest; shapes and results stay the same
    nn.utils.convert_conv2d_weight_memory_format(whole, torch.channels_last)
    return whole


def _check(name: str, num_classes: int, width: float, geometry: str) -> None:
    if name not in VARIANTS:
        raise ValueError(f"name must be one of {', '.join(VARIANTS)}; got {name!r}")
    if geometry not in get_args(GeometryName):
        raise ValueError(f"geometry must be one of {get_args(GeometryName)}; got {geometry!r}")
    if not isinstance(width, int | float) or not 0 < width <= 4:
        raise ValueError(f"width must be a number over 0 and at most 4; got {width!r}")
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"num_classes must be a whole number of at least 1; got {num_classes!r}")
