"""The whole path learns: a few pictures by heart, from reading them to measuring."""

from collections.abc import Callable
from pathlib import Path

import torch

from dlseg.datasets import load
from dlseg.datasets.memory import InMemory
from dlseg.networks import create, load_trunk
from dlseg.networks.saved import open_weights
from dlseg.scoring import evaluate
from dlseg.training import Recipe, train


def test_two_scenes_by_heart(small_set: Callable[[int], Path]) -> None:
    """benchmarks/overfit.py does it with eight real VOC images; this is its small form, on two scenes."""
    data = load(small_set(2), "train")
    torch.manual_seed(0)
    net = create("deeplab-largefov", data.num_classes, width=1 / 8)
    load_trunk(net, open_weights("shapes", "vgg16-20m")[0])
    before = evaluate(net, data)["net"].whole.mean_iou("present")
    train(net, InMemory(data), Recipe.shapes(batch=2, iterations=120, lr=0.03, mirror=False, dropout=0.0))
    after = evaluate(net, data)["net"].whole.mean_iou("present")
    assert before < 0.3 and after > 0.85
