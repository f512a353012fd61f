"""Weights files: round trips, and one clear error for every way they can be wrong."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlseg.networks import create, save_weights
from dlseg.networks import weights as weights_file


def test_round_trip(tmp_path: Path) -> None:
    net = create("deeplab-largefov", 4, width=1 / 16)
    path = save_weights(net, tmp_path / "a" / "net.safetensors", {"steps": 7})
    again = create("deeplab-largefov", 4, width=1 / 16, weights=path)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "variant": "deeplab-largefov", "num_classes": 4, "width": 1 / 16, "geometry": "paper", "steps": 7}
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_shapes_lies_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "WEIGHTS", tmp_path)
    net = create("deeplab-largefov", 4, width=1 / 16)
    with pytest.raises(FileNotFoundError, match=r"deeplab-largefov-shapes\.safetensors"):
        create("deeplab-largefov", 4, width=1 / 16, weights="shapes")
    save_weights(net, tmp_path / "deeplab-largefov-shapes.safetensors")
    assert torch.equal(create("deeplab-largefov", 4, 1 / 16, weights="shapes").fc8.weight, net.fc8.weight)


def test_another_network_is_named(tmp_path: Path) -> None:
    path = save_weights(create("deeplab-largefov", 4, width=1 / 16), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"num_classes=4 \(asked for 21\), width=0\.0625 \(asked for 1\.0\)"):
        create("deeplab-largefov", weights=path)


def test_every_key_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = save_weights(create("deeplab-largefov", 4, width=1 / 16), tmp_path / "net.safetensors")
    tensors = load_file(path)
    del tensors["conv1_1.bias"]
    tensors["extra.weight"] = torch.zeros(1)
    tensors["fc8.weight"] = torch.zeros(5, 64, 1, 1)
    tensors["fc7.bias"][0] = torch.nan
    save_file(tensors, path)
    with pytest.raises(ValueError) as caught:
        create("deeplab-largefov", 4, width=1 / 16, weights=path)
    for words in ("missing conv1_1.bias", "unexpected extra.weight",
                  "fc8.weight is (5, 64, 1, 1), expected (4, 64, 1, 1)",
                  "fc7.bias holds values that are not finite"):
        assert words in str(caught.value)


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = save_weights(create("deeplab-largefov", 4, width=1 / 16), tmp_path / "net.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"net\.safetensors is not a whole safetensors file"):
        create("deeplab-largefov", 4, width=1 / 16, weights=path)


def test_info_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    net = create("deeplab-largefov", 4, width=1 / 16)
    with pytest.raises(TypeError):
        save_weights(net, tmp_path / "net.safetensors", {"a": object()})
    with pytest.raises(ValueError, match="must not contradict"):
        save_weights(net, tmp_path / "net.safetensors", {"width": 1.0})
    with pytest.raises(ValueError, match="must end in"):
        save_weights(net, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []
