"""Weights files: round trips, and one clear error for every way they can be wrong."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlseg.networks import create, open_weights, save_weights
from dlseg.networks import weights as weights_file

State = dict[str, Tensor]


def narrow(weights: Path | str | None = None):
    return create("deeplab-largefov", 4, width=1 / 16, weights=weights)


def test_round_trip(tmp_path: Path) -> None:
    net = narrow()
    path = save_weights(net, tmp_path / "a" / "net.safetensors", {"steps": 7})
    assert all(torch.equal(v, narrow(path).state_dict()[k]) for k, v in net.state_dict().items())
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "variant": "deeplab-largefov",
        "num_classes": 4,
        "width": 1 / 16,
        "geometry": "paper",
        "steps": 7,
    }
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]


@pytest.mark.parametrize("name", ["deeplab-msc-largefov", "fcn-8s", "vgg16"])
def test_every_kind_of_network_is_saved(name: str, tmp_path: Path) -> None:
    net = create(name, 4, width=1 / 64)
    again = create(name, 4, width=1 / 64, weights=save_weights(net, tmp_path / "net.safetensors"))
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())


def test_a_pth_of_our_names(tmp_path: Path) -> None:
    net, path = narrow(), tmp_path / "net.pth"
    torch.save(net.state_dict(), path)
    assert torch.equal(narrow(path).fc8.weight, net.fc8.weight)


def test_shapes_lies_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "WEIGHTS", tmp_path)
    net = narrow()
    with pytest.raises(FileNotFoundError, match=r"weights: got deeplab-largefov of shapes, expected one of none"):
        narrow("shapes")
    save_weights(net, tmp_path / "deeplab-largefov-shapes.safetensors")
    assert torch.equal(narrow("shapes").fc8.weight, net.fc8.weight)


def test_a_shipped_network_is_named_by_data_and_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "WEIGHTS", tmp_path)
    save_weights(create("deeplab-msc", 4, 1 / 64), tmp_path / "deeplab-msc-tools.safetensors")
    save_weights(create("deeplab", 4, 1 / 64), tmp_path / "deeplab-tools.safetensors")
    assert open_weights("tools:deeplab-msc")[0].spec.variant == "deeplab-msc"
    assert open_weights("tools", "deeplab")[0].spec.variant == "deeplab"
    with pytest.raises(
        FileNotFoundError, match=r"weights: got deeplab-7x7 of tools, expected one of deeplab, deeplab-msc$"
    ):
        open_weights("tools:deeplab-7x7")


def test_half_the_size(tmp_path: Path) -> None:
    net = narrow()
    full, half = (save_weights(net, tmp_path / f"{half}.safetensors", half=half) for half in (False, True))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    again = narrow(half)
    assert again.fc8.weight.dtype == torch.float32
    for key, value in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=2**-11, atol=6e-8)
    with torch.no_grad():
        net.fc8.bias[0] = 1e5
    with pytest.raises(ValueError, match="half: got a weight of 100000, expected at most 65504"):
        save_weights(net, tmp_path / "large.safetensors", half=True)
    assert not (tmp_path / "large.safetensors").exists()


def test_another_network_is_named(tmp_path: Path) -> None:
    path = save_weights(narrow(), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"num_classes=4 \(asked for 9\), width=0\.0625 \(asked for 0\.125\)"):
        create("deeplab-largefov", 9, 1 / 8, weights=path)


def caffe(state: State) -> dict[str, np.ndarray]:
    """Our state dict as Caffe would keep it: BGR first, biases and fully connected shapes filled up with ones."""
    blobs = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        array = value.flip(1).numpy() if key == "conv1_1.weight" else value.numpy()
        layer = "fc8_voc12" if layer == "fc8" else layer
        blobs[f"{layer}/{int(kind == 'bias')}"] = array.reshape(1, 1, 1, -1) if kind == "bias" else array
    return blobs


def test_caffe_blobs(tmp_path: Path) -> None:
    net = narrow()
    np.savez(tmp_path / "net.npz", **caffe(net.state_dict()))
    again = narrow(tmp_path / "net.npz")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())


def test_old_caffe_shapes_of_fully_connected_layers(tmp_path: Path) -> None:
    net = create("vgg16", 4, width=1 / 64)
    blobs = caffe(net.state_dict())
    blobs["fc6/0"] = blobs["fc6/0"][None, None]
    np.savez(tmp_path / "net.npz", **blobs)
    assert torch.equal(create("vgg16", 4, width=1 / 64, weights=tmp_path / "net.npz").fc6.weight, net.fc6.weight)


def spoil(change: Callable[[State], None]) -> Callable[[Path], Path]:
    """A safetensors file of the right network, its tensors changed."""

    def write(folder: Path) -> Path:
        path = save_weights(narrow(), folder / "net.safetensors")
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
        return path

    return write


def bytes_of(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut(name: str) -> Callable[[Path], Path]:
    """A whole file of the right network, its second half gone."""

    def write(folder: Path) -> Path:
        path, net = folder / name, narrow()
        if path.suffix == ".safetensors":
            save_weights(net, path)
        elif path.suffix == ".npz":
            np.savez(path, **caffe(net.state_dict()))
        else:
            torch.save(net.state_dict(), path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return write


def blobs(**arrays: np.ndarray) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "net.npz", **arrays)
        return folder / "net.npz"

    return write


def saved(thing: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(thing, folder / "net.pth")
        return folder / "net.pth"

    return write


def with_note(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = save_weights(narrow(), folder / "net.safetensors")
        path.with_suffix(".json").write_text(text)
        return path

    return write


class RunsCode:
    """What a hostile pickle holds: opening it would call something."""

    def __reduce__(self) -> tuple:
        return Path.write_text, (Path("ran"), "")


MALFORMED = [
    (spoil(lambda t: t.pop("conv1_1.bias")), r"does not fit deeplab-largefov.*\n  missing conv1_1\.bias$"),
    (spoil(lambda t: t.update(extra=torch.zeros(1))), "\n  unexpected extra$"),
    (
        spoil(lambda t: t.update({"fc8.weight": torch.zeros(5, 64, 1, 1)})),
        r"\n  fc8\.weight is \(5, 64, 1, 1\), expected \(4, 64, 1, 1\)$",
    ),
    (spoil(lambda t: t["fc7.bias"].fill_(torch.nan)), r"\n  fc7\.bias holds values that are not finite$"),
    (
        spoil(lambda t: t.update({"fc7.bias": torch.zeros(64, dtype=torch.int32)})),
        r"\n  fc7\.bias holds int32, expected float$",
    ),
    (cut("net.safetensors"), r"net\.safetensors is not a whole safetensors file"),
    (cut("net.pth"), r"net\.pth is not a whole \.pth file"),
    (cut("net.npz"), r"net\.npz is not a whole \.npz of numbers"),
    (bytes_of("net.safetensors", b""), r"net\.safetensors is not a whole safetensors file"),
    (bytes_of("net.pth", b""), r"net\.pth is not a whole \.pth file"),
    (bytes_of("net.pth", b"<html>not found</html>"), r"net\.pth (is not a whole|holds more than tensors)"),
    (bytes_of("net.h5", b"x"), r"net\.h5 is no weights file that is known here; expected safetensors, PyTorch"),
    (bytes_of("net.h5", b"\x89HDF\r\n\x1a\n"), r"net\.h5 is an HDF5 file; expected safetensors, PyTorch"),
    (
        saved({"a": {"x": torch.zeros(1)}, "b": {"y": torch.zeros(1)}}),
        r"net\.pth holds several sets of tensors \(a, b\); expected one, or one that is called state_dict",
    ),
    (bytes_of("net.pth", pickle.dumps(RunsCode(), protocol=2)), r"net\.pth holds more than tensors; it is not"),
    (saved([torch.zeros(1)]), r"net\.pth holds no tensors by name; got list"),
    (saved({"epoch": 3}), r"net\.pth holds no tensors by name; got dict"),
    (blobs(conv1=np.zeros(3)), r"net\.npz holds 'conv1'; expected layer/0 \(weights\) and layer/1 \(bias\)"),
    (blobs(**{"conv1_1/0": np.array([{}], dtype=object)}), r"net\.npz is not a whole \.npz of numbers"),
    (blobs(**{"conv1_1/0": np.array(["a"])}), r"net\.npz: conv1_1/0 holds <U1, expected numbers"),
    (with_note("{"), r"weights: .*net\.json: not JSON"),
    (with_note("[1, 2]"), r"weights: .*net\.json: got a JSON list, expected an object"),
]


@pytest.mark.parametrize("write, words", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_files_are_named(
    write: Callable[[Path], Path], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    with pytest.raises(ValueError, match=words):
        narrow(path)
    assert not (tmp_path / "ran").exists()


def test_a_wrong_file_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    net = narrow()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ValueError):
        weights_file.load_weights(net, spoil(lambda t: t.pop("fc8.bias"))(tmp_path))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.safetensors"):
        narrow(tmp_path / "none.safetensors")


def test_info_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    net = narrow()
    with pytest.raises(TypeError):
        save_weights(net, tmp_path / "net.safetensors", {"a": object()})
    with pytest.raises(
        ValueError, match=r"info: got \{'width': 1\.0\}, expected nothing that contradicts the network"
    ):
        save_weights(net, tmp_path / "net.safetensors", {"width": 1.0})
    with pytest.raises(ValueError, match=r"path: got 'net\.pth', expected a name that ends in \.safetensors"):
        save_weights(net, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []
