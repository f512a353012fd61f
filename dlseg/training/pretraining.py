"""A classifier of shapes to start a segmentation network from, as ImageNet's VGG-16 is the paper's start.

Batch normalisation is used while it learns and folded away at the end (`dlseg.networks.batch_norm`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor
from torch.nn import functional as F

from dlseg.common.constants import MEAN_PIXEL
from dlseg.networks import Network
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training.loop import Callback, TrainingStep

Images = UInt8[np.ndarray, "N H W 3"]
Classes = Integer[np.ndarray, " N"]


def to_inputs(images: Images) -> Float[Tensor, "N 3 H W"]:
    """A batch of RGB images less the mean pixel."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() - torch.tensor(MEAN_PIXEL)[:, None, None]


def pretrain(
    net: Network,
    images: Images,
    classes: Classes,
    *,
    epochs: int = 12,
    batch: int = 32,
    lr: float = 0.1,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
) -> Network:
    """Train a classifier in place on images (N, H, W, 3) and class numbers (N,), and return it.

    SGD with momentum under a one-cycle schedule; every image is mirrored half the time.
    """
    torch.manual_seed(seed)
    insert_batch_norm(net).train()
    total = epochs * (len(images) // batch)
    optimiser = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total)
    for i, chosen in enumerate(_shuffled(len(images), batch, epochs, seed)):
        x = to_inputs(images[chosen])
        mirrored = torch.rand(len(x)) < 0.5
        x[mirrored] = x[mirrored].flip(-1)
        loss = F.cross_entropy(net(x), torch.from_numpy(classes[chosen]).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        for callback in callbacks:
            callback(TrainingStep(i + 1, total, float(loss.detach()), float(schedule.get_last_lr()[0]) / lr))
    return fold_batch_norm(net).eval()


def _shuffled(size: int, batch: int, epochs: int, seed: int) -> Iterator[np.ndarray]:
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(size)
        yield from np.split(order[: size // batch * batch], size // batch)


@torch.inference_mode()
def accuracy(net: Callable[[Tensor], Tensor], images: Images, classes: Classes, batch: int = 64) -> float:
    """Share of images whose class scores highest."""
    hits = 0
    for first in range(0, len(images), batch):
        scores = net(to_inputs(images[first : first + batch]))
        hits += int((scores.argmax(1).numpy() == classes[first : first + batch]).sum())
    return hits / len(images)
