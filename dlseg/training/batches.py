"""The stream of training batches: a sample is a function of (seed, number), so a run can be taken up anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dlseg.datasets.memory import LabelledImages
from dlseg.datasets.transforms import crop_and_mirror, to_input
from dlseg.training.recipe import Recipe


def training_samples(data: LabelledImages, recipe: Recipe, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Training samples without end, from number `first` on: ((3, S, S) input, (S, S) labels).

    Number k is drawn from (seed, k) alone, so that a run can be taken up anywhere, by any number of workers.
    """
    size, k = len(data), first
    while True:
        epoch, place = divmod(k, size)
        order = np.random.default_rng((recipe.seed, 1, epoch)).permutation(size)
        for i in order[place:]:
            sample = data[int(i)]
            if sample.label is None:
                raise ValueError(f"data: {sample.name} has no labels; training needs a labelled split")
            rng = np.random.default_rng((recipe.seed, 2, k))
            image, label = crop_and_mirror(sample.image, sample.label, recipe.crop, rng, recipe.mirror)
            yield to_input(image), torch.from_numpy(np.ascontiguousarray(label))
            k += 1


def batches(data: LabelledImages, recipe: Recipe, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of iterations `first`, `first` + 1, …: inputs (B, 3, S, S) and labels (B, S, S)."""
    samples = training_samples(data, recipe, first * recipe.batch)
    while True:
        inputs, labels = zip(*itertools.islice(samples, recipe.batch), strict=True)
        yield torch.stack(inputs), torch.stack(labels)
