"""The stream of training batches: a sample is a function of (seed, number), so a run can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlseg.datasets.protocols import LabelledImages
from dlseg.datasets.transforms import crop_and_mirror, to_input
from dlseg.training.recipe import Recipe

Pair = tuple[Tensor, Tensor]


class TrainingSamples(Dataset):
    """Training sample number k, for every k from 0 on.

    It is drawn from (seed, k) alone, so that any number of workers or processes makes the same ones. Every
    picture comes once in each round of len(data).
    """

    def __init__(self, data: LabelledImages, recipe: Recipe) -> None:
        self.data, self.recipe = data, recipe
        self._round, self._order = -1, np.empty(0, np.int64)

    def make(self, k: int) -> Pair:
        """Sample k: a (3, S, S) input and its (S, S) labels."""
        recipe, sample = self.recipe, self.data[self._picture(k)]
        if sample.label is None:
            raise ValueError(f"data: {sample.name} has no labels; training needs a labelled split")
        rng = np.random.default_rng((recipe.seed, 2, k))
        image, label = crop_and_mirror(sample.image, sample.label, recipe.crop, rng, recipe.mirror)
        return to_input(image, recipe.channels), torch.from_numpy(np.ascontiguousarray(label))

    def __getitem__(self, k: int) -> Pair | Exception:
        """Sample k, or what went wrong: raised in a worker, it would reach the user as a page of traceback."""
        try:
            return self.make(k)
        except (ValueError, OSError) as error:
            return error

    def _picture(self, k: int) -> int:
        turn, place = divmod(k, len(self.data))
        if turn != self._round:
            self._order = np.random.default_rng((self.recipe.seed, 1, turn)).permutation(len(self.data))
            self._round = turn
        return int(self._order[place])


def batches(
    data: LabelledImages,
    recipe: Recipe,
    first: int = 0,
    workers: int = 0,
    share: Sequence[int] | None = None,
    pin_memory: bool = False,
) -> Iterator[Pair]:
    """The batches of iterations `first` to the recipe's last: inputs (B, 3, S, S) and labels (B, S, S).

    Args:
        data: where the pictures come from.
        recipe: how they become samples.
        first: the iteration to begin with, counted from 0.
        workers: processes that make samples ahead of time; the batches are the same for any number.
        share: which samples of each batch to make, for one process of several; None for all.
        pin_memory: hand out page-locked memory, which a GPU copies faster.

    Raises:
        ValueError: a sample has no labels. Also what the data raise.
    """
    mine = range(recipe.batch) if share is None else share
    numbers = [[i * recipe.batch + j for j in mine] for i in range(first, recipe.iterations)]
    loader: DataLoader = DataLoader(
        TrainingSamples(data, recipe),
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # of its own: the global one is the network's
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield batch


def _collate(samples: Sequence[Pair | Exception]) -> Pair | Exception:
    for sample in samples:
        if isinstance(sample, Exception):
            return sample
    inputs, labels = zip(*(s for s in samples if not isinstance(s, Exception)), strict=True)
    return torch.stack(inputs), torch.stack(labels)
