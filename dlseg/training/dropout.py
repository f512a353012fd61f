"""Dropout whose mask belongs to the training sample, so that a run is the same however its batches are split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn


class SampleDropout(nn.Dropout):
    """Dropout that draws the mask of training sample k from (seed, layer, k) alone.

    torch's own draws one mask for a whole batch from one stream of random numbers: two processes, or a batch
    computed in parts, could then never equal one process and a whole batch.
    """

    def __init__(self, p: float, seed: int, layer: int) -> None:
        super().__init__(p)
        self.seed, self.layer = seed, layer
        self.numbers: Sequence[int] = ()  # of the samples in the next batch

    def forward(self, input: Float[Tensor, "B *shape"]) -> Float[Tensor, "B *shape"]:
        """`input` with every unit kept, and scaled by 1/(1 − p), or zero."""
        if not self.training or self.p == 0:
            return input
        masks = torch.empty_like(input)
        for mask, number in zip(masks, self.numbers, strict=True):
            # drawn in rows, whatever the layout of `input`: it must not decide which units are left out
            # (a comparison of uniform numbers is four times as fast as torch's bernoulli_)
            rng = self._generator(number, mask.device)
            mask.copy_(torch.rand(mask.shape, generator=rng, device=mask.device) >= self.p)
        return input * masks.div_(1 - self.p)

    def _generator(self, number: int, device: torch.device) -> torch.Generator:
        seed = np.random.SeedSequence((self.seed, 3, self.layer, number)).generate_state(1, np.uint64)[0]
        return torch.Generator(device).manual_seed(int(seed) >> 1)


@contextmanager
def drawn_by_sample(net: nn.Module, p: float, seed: int) -> Iterator[list[SampleDropout]]:
    """For a while, every dropout in `net` is a `SampleDropout` of probability `p`; then the old ones are back."""
    places = [
        (parent, name, child)
        for parent in net.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Dropout)
    ]
    drawn = [SampleDropout(p, seed, layer) for layer in range(len(places))]
    try:
        for (parent, name, _), dropout in zip(places, drawn, strict=True):
            setattr(parent, name, dropout)
        yield drawn
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
