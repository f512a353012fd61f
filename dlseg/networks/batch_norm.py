"""Batch normalisation for the time of training only: put in, and folded back into the convolutions, both exact.

The paper has none: its VGG-16 came from weeks of training on ImageNet. A small net that must learn on a laptop in
minutes needs it; what is saved is a plain VGG all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlseg.networks.multiscale import Branch, MultiScale
from dlseg.networks.network import Network

Weighted = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm2d | nn.BatchNorm1d


@torch.no_grad()
def insert_batch_norm(net: Network, images: Float[Tensor, "B 3 H W"] | None = None) -> Network:
    """Follow every layer but fc8 with a batch normalisation, in place; of DeepLab-MSc, those of its branches.

    Args:
        net: a network whose convolutions and fully connected layers, but the last, are followed by a ReLU.
        images: a batch to calibrate on. With it each normalisation starts as the identity for that batch (its
            scale and shift undo it), so that a trained network goes on where it is; without it as 1 and 0.

    Returns:
        `net` itself; `fold_batch_norm` makes it plain again.

    >>> from dlseg.networks import create
    >>> net = insert_batch_norm(create("deeplab", 3, 1 / 64))
    >>> sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())    # 13 convolutions, fc6, fc7
    15
    >>> sum(isinstance(m, nn.BatchNorm2d) for m in fold_batch_norm(net).modules())
    0
    """
    places = [
        (chain, name, layer)
        for chain in _chains(net)
        for name, layer in chain.named_children()
        if isinstance(layer, nn.Conv2d | nn.Linear) and name != "fc8"
    ]
    statistics = {} if images is None else _statistics(net, [layer for _, _, layer in places], images)
    for chain, name, layer in places:
        kind = nn.BatchNorm1d if isinstance(layer, nn.Linear) else nn.BatchNorm2d
        norm = kind(len(layer.weight), device=layer.weight.device, dtype=layer.weight.dtype)
        if layer in statistics:
            _calibrate(norm, *statistics[layer])
        setattr(chain, name, nn.Sequential(layer, norm))
    return net


def _chains(net: Network) -> list[nn.Sequential]:
    """The chains that learn."""
    if not isinstance(net, MultiScale):
        return [net.main]
    return [cast(Branch, branch).layers for branch in net.branches.values()]


def _statistics(net: Network, layers: Sequence[Weighted], images: Tensor) -> dict[nn.Module, tuple[Tensor, Tensor]]:
    """Variance and mean of each layer's channels for a batch, without dropout."""
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(layer: nn.Module, _: object, maps: Tensor) -> None:
        found[layer] = torch.var_mean(maps, (0, 2, 3)[: maps.ndim - 1])

    handles = [layer.register_forward_hook(note) for layer in layers]
    training = net.training
    net.eval()(images)
    net.train(training)
    for handle in handles:
        handle.remove()
    return found


def _calibrate(norm: Norm, variance: Tensor, mean: Tensor) -> None:
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(mean)
    cast(Tensor, norm.running_mean).copy_(mean)
    cast(Tensor, norm.running_var).copy_(variance)


@torch.no_grad()
def fold_batch_norm(net: Network) -> Network:
    """Undo `insert_batch_norm`: each convolution takes over its normalisation's scale and shift, exactly."""
    for chain in _chains(net):
        for name, layer in list(chain.named_children()):
            if isinstance(layer, nn.Sequential):
                setattr(chain, name, _folded(cast(Weighted, layer[0]), cast(Norm, layer[1])))
    return net


def _folded(layer: Weighted, norm: Norm) -> Weighted:
    assert layer.bias is not None and norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    layer.weight *= scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    layer.bias.copy_((layer.bias - norm.running_mean) * scale + norm.bias)
    return layer
