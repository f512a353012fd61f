"""The paper's networks (sections 3.1, 3.2, 4.2, 5)."""

from __future__ import annotations

from pathlib import Path

from dlseg.common.checks import one_of
from dlseg.networks.architectures import VARIANTS, GeometryName, Spec, variants
from dlseg.networks.build import build
from dlseg.networks.decimation import convolutionalize, decimate
from dlseg.networks.fcn import FCN
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.multiscale import MultiScale
from dlseg.networks.network import Chain, Classifier, Network
from dlseg.networks.transfer import Transfer, load_trunk
from dlseg.networks.weights import load_weights, open_weights, save_weights

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
    "open_weights",
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
    """A network of the paper by name (sections 3.1, 3.2, 4.2 and 5, table 2).

    Args:
        name: one of `variants()`.
        num_classes: of the scores, background included.
        width: scales every channel count, over 0 and at most 4.
        geometry: "paper", what the text says, or "release", what the published code does, where they differ.
        weights: None (random), "shapes" or "tools" (files that come with dlseg), "imagenet" (VGG-16's
            public weights) or a path, see `load_weights`.

    Returns:
        It maps images (B, 3, H, W), RGB minus the mean pixel and unscaled, to raw scores: (B, C, h, w) at stride 8
        for a DeepLab network, (B, C, H, W) for an FCN, (B, C) for a classifier.

    Raises:
        ValueError: an argument that names nothing, or weights of another network.
        FileNotFoundError: weights that are not there.

    >>> import torch
    >>> net = create("deeplab-largefov", num_classes=21, width=1 / 8).eval()
    >>> net(torch.zeros(1, 3, 306, 306)).shape
    torch.Size([1, 21, 39, 39])
    """
    one_of("name", name, list(VARIANTS))
    net = build(Spec(name, num_classes, width, geometry))
    if weights is not None:
        load_weights(net, weights)
    return net
