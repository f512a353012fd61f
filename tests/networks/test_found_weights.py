"""Weights as people have them: wrapped, prefixed, misnamed, in part, and our own checkpoints."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from public_vgg import VGG16_CONVOLUTIONS
from torch import Tensor

from dlseg.cli import main
from dlseg.cli.train import start_network
from dlseg.datasets import load
from dlseg.networks import create, open_weights
from dlseg.training import Recipe, train

WIDTH = 1 / 16
State = dict[str, Tensor]


def wrapped(name: str) -> Callable[[State], object]:
    return lambda state: {"epoch": 7, name: state, "optimizer": {"lr": 0.1, "state": {}}}


WAYS: dict[str, Callable[[State], object]] = {
    "state_dict": wrapped("state_dict"),
    "model": wrapped("model"),
    "model_state": wrapped("model_state"),
    "model_state_dict": wrapped("model_state_dict"),
    "net": wrapped("net"),
    "unheard of": wrapped("my_best"),
    "two deep": lambda state: {"model": {"state_dict": state}},
    "module.": lambda state: {f"module.{key}": value for key, value in state.items()},
    "module.model.": lambda state: wrapped("model")({f"module.model.{k}": v for k, v in state.items()}),
    "with numbers": lambda state: state | {"epoch": 3},
}


@pytest.mark.parametrize("way", WAYS)
def test_wrappers_and_prefixes(way: str, tmp_path: Path) -> None:
    net = create("deeplab-largefov", 4, WIDTH)
    torch.save(WAYS[way](net.state_dict()), tmp_path / "net.pth")
    named = create("deeplab-largefov", 4, WIDTH, weights=tmp_path / "net.pth")
    again, info = open_weights(tmp_path / "net.pth")
    assert again.spec == net.spec and info["assumed"]
    assert torch.equal(named.fc8.weight, net.fc8.weight) and torch.equal(again.conv1_1.weight, net.conv1_1.weight)


@pytest.mark.parametrize("ending", [".pkl", ".bin", ".tar", "", ".weights"])
@pytest.mark.parametrize("old", [False, True])
def test_any_ending(ending: str, old: bool, tmp_path: Path) -> None:
    net, path = create("deeplab-largefov", 4, WIDTH), tmp_path / f"net{ending}"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not old)
    assert torch.equal(open_weights(path)[0].fc8.weight, net.fc8.weight)


@pytest.mark.parametrize(
    "name", ["vgg16", "deeplab-msc", "deeplab-msc-largefov", "fcn-32s", "fcn-8s", "deeplab-7x7"]
)
def test_the_network_is_told_by_its_layers(name: str, tmp_path: Path) -> None:
    net = create(name, 3, WIDTH)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    again, _ = open_weights(tmp_path / "net.pth")
    assert again.spec == net.spec
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in net.state_dict().items())


def test_blobs_without_a_classifier(tmp_path: Path) -> None:
    net = create("deeplab-largefov", 4, WIDTH)
    blobs = {
        f"{key.rpartition('.')[0]}/{int(key.endswith('bias'))}": value.numpy()
        for key, value in net.state_dict().items()
        if not key.startswith("fc8")
    }
    np.savez(tmp_path / "net.npz", **blobs)
    begun, words = start_network("deeplab-largefov", ["a", "b"], WIDTH, "paper", str(tmp_path / "net.npz"))
    assert torch.equal(begun.fc7.weight, net.fc7.weight) and words.endswith("fc7; new fc8")


@pytest.mark.parametrize("prefix", ["features.", "", "module.features."])
def test_the_features_of_a_public_vgg(prefix: str, tmp_path: Path) -> None:
    state = {
        f"{prefix}{i}.weight": torch.full((1,), 0.01 * i).expand(o, c, 3, 3)
        for i, (o, c) in VGG16_CONVOLUTIONS.items()
    }
    state |= {f"{prefix}{i}.bias": torch.zeros(1).expand(o) for i, (o, _) in VGG16_CONVOLUTIONS.items()}
    torch.save(state, tmp_path / "vgg16.pth")
    begun, words = start_network("deeplab-largefov", ["a", "b"], 1.0, "paper", str(tmp_path / "vgg16.pth"))
    assert words.endswith("conv5_3; new fc6, fc7, fc8")
    assert float(begun.conv5_3.weight.detach().mean()) == pytest.approx(0.28)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(crop=66, batch=2, iterations=2, lr=1e-3),
        Recipe(crop=66, batch=2, iterations=2, lr=1e-3, batch_norm=True, channels="bgr", precision="float64"),
    ],
)
@pytest.mark.parametrize("name", ["deeplab-largefov", "deeplab-msc-largefov"])
def test_a_checkpoint_gives_the_weights_so_far(name: str, recipe: Recipe, tmp_path: Path) -> None:
    data, path = load("shapes", "val"), tmp_path / "net.checkpoint"
    net = create(name, 13, WIDTH)
    train(net, data, replace(recipe), checkpoint=path, keep_checkpoint=True)
    again, info = open_weights(path)
    assert again.spec == net.spec and info["iterations_done"] == 2 and info["classes"] == list(data.classes)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    _, words = start_network(name, data.classes, WIDTH, "paper", str(path))
    assert "new nothing" in words


def test_what_cannot_label_says_so(tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.zeros(2), "layer2.weight": torch.zeros(2)}, tmp_path / "resnet.pth")
    unknown = (
        "resnet.pth has no conv1_1.weight, fc6.weight, fc8.weight; got layer1.weight, layer2.weight, …; "
        "expected a network of dlseg or of DeepLab's release"
    )
    whole = "got 'imagenet', a classifier of whole images, expected a trained segmentation network"
    for weights, message in (("imagenet", whole), (tmp_path / "resnet.pth", unknown)):
        told = CliRunner().invoke(main, ["evaluate", "--weights", str(weights)])
        assert told.exit_code == 1 and message in told.output, told.output
    told = CliRunner().invoke(
        main,
        [
            "train",
            "--init",
            str(tmp_path / "resnet.pth"),
            "--out",
            str(tmp_path / "o.safetensors"),
            "--split",
            "val",
            "--no-evaluate",
        ],
    )
    assert told.exit_code == 1 and "the first layer is layer1.weight there, conv1_1.weight here" in told.output
