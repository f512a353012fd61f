"""Which pixels a score really depends on, by gradient."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlseg.common.checks import message


def effective_field(
    net: nn.Module, image: Float[Tensor, "*B C H W"], unit: tuple[int, ...]
) -> Float[Tensor, "H W"]:
    """|d score / d pixel|, added over the image's channels: what a score really depends on (section 3.2).

    Args:
        net: the network. Batch normalisation and dropout work as in prediction; its mode and its gradients stay as
            they were.
        image: one image, (C, H, W) or (1, C, H, W); it is taken to the network's type and device.
        unit: (row, column) in the score map, for the sum of all classes, or (class, row, column); or (class,) of a
            classifier that answers once.

    Returns:
        (H, W), the image's size.

    Raises:
        ValueError: more than one image, or a unit outside the map.

    >>> net = nn.Conv2d(3, 2, 3, padding=1)
    >>> seen = effective_field(net, torch.randn(3, 8, 8), unit=(4, 4))
    >>> seen.shape, int((seen > 0).sum())    # a 3×3 convolution sees nine pixels
    (torch.Size([8, 8]), 9)
    """
    if image.ndim not in (3, 4) or (image.ndim == 4 and image.shape[0] != 1):
        raise ValueError(message("image", tuple(image.shape), "one image, (C, H, W) or (1, C, H, W)"))
    like = next(net.parameters(), image)
    pixels = image.detach().to(like).reshape(1, *image.shape[-3:]).clone().requires_grad_()
    with _predicting(net), torch.enable_grad():
        scores = net(pixels.clone())[0]
        (gradient,) = torch.autograd.grad(_score(scores, unit), pixels)
    return gradient[0].abs().sum(0)


def _score(scores: Tensor, unit: tuple[int, ...]) -> Tensor:
    full = unit if len(unit) == scores.ndim else (None, *unit)
    if len(full) != scores.ndim or any(
        u is not None and not -n <= u < n for u, n in zip(full, scores.shape, strict=True)
    ):
        inside = f"(row, column) or (class, row, column) in the scores {tuple(scores.shape)}"
        raise ValueError(message("unit", unit, inside))
    return scores[tuple(slice(None) if u is None else u for u in full)].sum()


@contextmanager
def _predicting(net: nn.Module) -> Iterator[None]:
    """`net` in evaluation mode, every layer's own mode restored after."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
