"""The samples: each a function of (seed, number), each picture once a round, image and labels always together."""

from dataclasses import replace

import numpy as np
import torch

from dlseg.datasets.transforms import crop_and_mirror, pad_to, to_input
from dlseg.training import Recipe
from dlseg.training.batches import TrainingSamples, batches
from dlseg.training.distributed import Processes

RECIPE = Recipe(crop=42, batch=4, iterations=30)


def test_samples_can_be_taken_up_anywhere(colours: object) -> None:
    def some(first: int, count: int) -> list[torch.Tensor]:
        samples = TrainingSamples(colours, RECIPE)
        return [samples.make(k)[0] for k in range(first, first + count)]

    whole = some(0, 13)  # more than two rounds of the five images
    for first in (1, 4, 5, 11):
        assert all(torch.equal(a, b) for a, b in zip(whole[first:], some(first, 13 - first), strict=True))
    images, labels = next(batches(colours, RECIPE, 1))
    assert torch.equal(images, torch.stack(whole[4:8])) and labels.shape == (4, 42, 42)


def test_each_image_comes_once_an_epoch(colours: object) -> None:
    samples = TrainingSamples(colours, replace(RECIPE, mirror=False))
    darkest = [int((samples.make(k)[0][0].min() + 122.675).round()) for k in range(10)]
    assert sorted(darkest[:5]) == sorted(darkest[5:]) == [30, 35, 40, 45, 50]


def test_processes_share_every_batch_without_overlap(colours: object) -> None:
    """Together they see what one sees alone, in its order: so each picture comes once a round here too."""
    alone = [images for images, _ in batches(colours, replace(RECIPE, batch=5, iterations=3))]
    for size in (2, 3, 5):
        shares = [
            batches(colours, replace(RECIPE, batch=5, iterations=3), share=Processes(rank, size).share(5))
            for rank in range(size)
        ]
        for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
            assert torch.equal(whole, torch.cat([images for images, _ in parts]))


def test_workers_make_the_same_batches(colours: object) -> None:
    recipe = replace(RECIPE, iterations=6)
    alone, helped = list(batches(colours, recipe, 2)), list(batches(colours, recipe, 2, workers=2))
    assert len(alone) == len(helped) == 4
    assert all(
        torch.equal(a, b) for one, other in zip(alone, helped, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_pad_is_the_mean_pixel_and_void() -> None:
    image, label = pad_to(np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8), 4)
    assert image.shape == (4, 4, 3) and (label[2:] == 255).all() and (label[:, 3:] == 255).all()
    assert to_input(image)[:, 3, 3].abs().max() < 0.5  # the mean pixel, up to rounding to a byte
    whole = np.zeros((5, 4, 3), np.uint8), np.zeros((5, 4), np.uint8)
    assert all(a is b for a, b in zip(pad_to(*whole, 4), whole, strict=True))


def test_bgr_input_has_the_mean_pixel_in_its_own_order() -> None:
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    assert torch.allclose(to_input(red, "bgr").flatten(), torch.tensor([-104.008, -116.669, 255 - 122.675]))


def test_crop_and_mirror_keep_image_and_label_together() -> None:
    label = np.arange(30 * 20, dtype=np.uint16).reshape(30, 20).astype(np.uint8)
    image = np.repeat(label[..., None], 3, axis=2)
    for seed in range(20):
        i, lab = crop_and_mirror(image, label, 9, np.random.default_rng(seed))
        assert lab.shape == (9, 9) and np.array_equal(i[..., 1], lab)
