"""The whole path learns: a few pictures by heart, from reading them to measuring."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg.datasets import Dataset, Sample, load
from dlseg.datasets.protocols import InMemory
from dlseg.networks import create, load_trunk, open_weights
from dlseg.predict.evaluate import evaluate
from dlseg.training import Recipe, train


def test_two_scenes_by_heart(small_set: Callable[[int], Path]) -> None:
    """What comes with the checkout will do."""
    data = load(small_set(2), "train")
    torch.manual_seed(0)
    net = create("deeplab-largefov", data.num_classes, width=1 / 8)
    load_trunk(net, open_weights("shapes", "vgg16-20m")[0])
    before = evaluate(net, data)["net"].whole.mean_iou("present")
    train(net, InMemory(data), Recipe.shapes(batch=2, iterations=120, lr=0.03, mirror=False, dropout=0.0))
    after = evaluate(net, data)["net"].whole.mean_iou("present")
    assert before < 0.3 and after > 0.85


class Middles:
    """The middle 130 × 130 px of the first eight pictures of a data set."""

    def __init__(self, data: Dataset) -> None:
        self.classes, self.num_classes = data.classes, data.num_classes
        self.samples = [self.cut(data[i]) for i in range(8)]

    @staticmethod
    def cut(sample: Sample) -> Sample:
        top, left = ((n - 130) // 2 for n in sample.label.shape)
        window = np.s_[top : top + 130, left : left + 130]
        return Sample(sample.name, sample.image[window], sample.label[window])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


@pytest.mark.slow
def test_eight_real_pictures_by_heart(samples: Path) -> None:
    """benchmarks/overfit.py goes on, with whole pictures, to nine tenths."""
    data = Middles(load(samples / "voc", "train"))
    torch.manual_seed(0)
    net = create("deeplab-largefov", data.num_classes, width=1 / 8)
    load_trunk(net, open_weights("shapes", "vgg16-20m")[0])
    train(net, data, Recipe.shapes(batch=8, iterations=150, lr=0.05, mirror=False, dropout=0.0))
    assert evaluate(net, data)["net"].whole.mean_iou("present") > 0.75
