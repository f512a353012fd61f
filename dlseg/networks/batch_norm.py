"""Batch normalisation for the time of training only: put in, and folded back into the convolutions, both exact.

The paper has none: its VGG-16 came from weeks of training on ImageNet. A small net that must learn on a laptop in
minutes needs it; what is saved is a plain VGG all the same.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlseg.networks.network import Network


@torch.no_grad()
def insert_batch_norm(net: Network, images: Float[Tensor, "B 3 H W"] | None = None) -> Network:
    """Follow every convolution but fc8 with a batch normalisation, in place.

    Args:
        net: a plain chain; every convolution but the last is followed by a ReLU.
        images: a batch to calibrate on. With it each normalisation starts as the identity for that batch (its
            scale and shift undo it), so that a trained network goes on where it is; without it as 1 and 0.
    """
    x = images
    for name, layer in list(net.main.named_children()):
        if isinstance(layer, nn.Conv2d) and name != "fc8":
            norm = nn.BatchNorm2d(layer.out_channels, device=layer.weight.device, dtype=layer.weight.dtype)
            if x is not None:
                x = layer(x)
                _calibrate(norm, x)
            setattr(net.main, name, nn.Sequential(layer, norm))
        elif x is not None and not isinstance(layer, nn.Dropout):
            x = layer(x)
    return net


def _calibrate(norm: nn.BatchNorm2d, x: Float[Tensor, "B C H W"]) -> None:
    variance, mean = torch.var_mean(x, (0, 2, 3))
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(mean)
    cast(Tensor, norm.running_mean).copy_(mean)
    cast(Tensor, norm.running_var).copy_(variance)


@torch.no_grad()
def fold_batch_norm(net: Network) -> Network:
    """Undo `insert_batch_norm`: each convolution takes over its normalisation's scale and shift, exactly."""
    for name, layer in list(net.main.named_children()):
        if isinstance(layer, nn.Sequential):
            conv, norm = cast(nn.Conv2d, layer[0]), cast(nn.BatchNorm2d, layer[1])
            assert conv.bias is not None and norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            conv.weight *= scale[:, None, None, None]
            conv.bias.copy_((conv.bias - norm.running_mean) * scale + norm.bias)
            setattr(net.main, name, conv)
    return net
