"""Caffe's own files: every generation of the format gives the network back; damaged and foreign ones are named."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from dlseg.cli import main
from dlseg.cli.train import start_network
from dlseg.networks import create, open_weights
from dlseg.networks.caffe import read_blobs

WIDTH = 1 / 16
Blob = Callable[[np.ndarray], bytes]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def new_blob(array: np.ndarray) -> bytes:
    """shape = 7, its dimensions packed; data = 5, packed."""
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(5, array.astype("<f4").tobytes())


def old_blob(array: np.ndarray) -> bytes:
    """num, channels, height, width = 1 … 4, filled up with ones in front."""
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(whole(i + 1, n) for i, n in enumerate(sizes)) + message(5, array.astype("<f4").tobytes())


def unpacked_blob(array: np.ndarray) -> bytes:
    """A field a number, and dimensions that are not packed either."""
    numbers = b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in array.ravel())
    return message(7, b"".join(whole(1, n) for n in array.shape)) + numbers


def double_blob(array: np.ndarray) -> bytes:
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(8, array.astype("<f8").tobytes())


def new_layer(name: str, blobs: list[bytes]) -> bytes:
    kind = message(2, b"Convolution") + message(3, b"below") + whole(10, 1)
    return message(100, message(1, name.encode()) + kind + b"".join(message(7, blob) for blob in blobs))


def old_layer(name: str, blobs: list[bytes]) -> bytes:
    rates = b"".join(varint(7 << 3 | 5) + struct.pack("<f", rate) for rate in (1, 2))
    return message(
        2,
        message(2, b"below")
        + message(4, name.encode())
        + whole(5, 4)
        + b"".join(message(6, blob) for blob in blobs)
        + rates,
    )


def oldest_layer(name: str, blobs: list[bytes]) -> bytes:
    return message(
        2,
        message(1, message(1, name.encode()) + message(2, b"conv") + b"".join(message(50, blob) for blob in blobs)),
    )


FORMATS: dict[str, tuple[Callable[[str, list[bytes]], bytes], Blob]] = {
    "layer": (new_layer, new_blob),
    "layers": (old_layer, old_blob),
    "oldest": (oldest_layer, old_blob),
    "doubles": (new_layer, double_blob),
}


def caffemodel(net: torch.nn.Module, form: str, without: tuple[str, ...] = (), fc8: str = "fc8_voc12") -> bytes:
    """`net` as Caffe would save it: BGR, layers without weights in between."""
    layer, blob = FORMATS[form]
    parts = [message(1, b"VGG"), layer("data", [])]
    for name, module in net.named_children():
        if hasattr(module, "weight") and name not in without:
            weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy()
            weight = weight[:, ::-1] if name == "conv1_1" else weight
            parts.append(layer(fc8 if name == "fc8" else name, [blob(weight), blob(bias)]))
            parts.append(layer(f"relu of {name}", []))
    return b"".join(parts)


def trained(name: str = "deeplab-largefov", classes: int = 5, geometry: str = "release") -> torch.nn.Module:
    net = create(name, classes, WIDTH, geometry)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.rand_like(parameter) * 0.01)
    return net.eval()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["deeplab-largefov", "deeplab", "deeplab-7x7"])
def test_the_same_scores_as_the_network_it_was_written_from(tmp_path: Path, form: str, name: str) -> None:
    net = trained(name)
    (tmp_path / "train_iter_6000.caffemodel").write_bytes(caffemodel(net, form))
    again, info = open_weights(tmp_path / "train_iter_6000.caffemodel")
    assert again.spec == net.spec and info["assumed"]
    image = 50 * torch.randn(1, 3, 65, 73)
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(image), net(image), rtol=1e-6, atol=1e-6)


def test_numbers_one_by_one(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    (tmp_path / "net.caffemodel").write_bytes(new_layer("a", [unpacked_blob(array), new_blob(array[0])]))
    found = read_blobs(tmp_path / "net.caffemodel")
    assert list(found) == ["a/0", "a/1"] and np.array_equal(found["a/0"], array)
    assert np.array_equal(found["a/1"], array[0])


def test_the_released_start_of_a_training(tmp_path: Path) -> None:
    """A network as vgg16_20M.caffemodel: fc6 and fc7 are small convolutions, no classifier for the data."""
    net = trained()
    path = tmp_path / "vgg16_20M.caffemodel"
    path.write_bytes(caffemodel(net, "layers", without=("fc8",)))
    begun, words = start_network("deeplab-largefov", ["a", "b"], WIDTH, "release", str(path))
    assert words.endswith("fc6, fc7; new fc8") and torch.equal(begun.conv1_1.weight, net.conv1_1.weight)
    with pytest.raises(ValueError, match=r"vgg16_20M.caffemodel has no classifier fc8 .*\(as --init these weights"):
        open_weights(path)


def test_vgg16_as_its_authors_gave_it_out(tmp_path: Path) -> None:
    """Fully connected layers of the old shape (1, 1, O, I): begun in as the paper did, fc6 decimated."""
    vgg = create("vgg16", 9, 1 / 64)
    (tmp_path / "VGG_ILSVRC_16_layers.caffemodel").write_bytes(caffemodel(vgg, "layers", fc8="fc8"))
    path = str(tmp_path / "VGG_ILSVRC_16_layers.caffemodel")
    begun, words = start_network("deeplab-largefov", ["a", "b"], 1 / 64, "release", path)
    whole = vgg.fc6.weight.reshape(64, 8, 7, 7)
    assert torch.equal(begun.fc6.weight, whole[::4, :, ::3, ::3]) and words.endswith("new fc8")
    assert torch.equal(begun.conv1_1.weight, vgg.conv1_1.weight)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(caffemodel(trained(classes=21), "layers"))  # and no ending at all
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "photo.png")
    told = CliRunner().invoke(
        main,
        [
            "predict",
            str(tmp_path / "photo.png"),
            "--weights",
            str(tmp_path / "model"),
            "--out",
            str(tmp_path / "labels.png"),
        ],
    )
    assert told.exit_code == 0 and (tmp_path / "labels.png").is_file(), told.output
    assert "taken for deeplab-largefov, 21 classes, width 0.0625, geometry release" in told.stderr


@pytest.mark.parametrize(
    ("content", "message_"),
    [
        (b"", r"holds no layer with weights"),
        (b"name: 'VGG'\nlayer { name: 'conv1_1' }", r"is not a whole .caffemodel \("),
        (new_layer("data", []), r"holds no layer with weights; expected a trained .caffemodel \(a .prototxt"),
        (new_layer("a", [message(7, message(1, b"\x05")) + message(5, bytes(8))]), r"shape \(5,\) has 2 numbers"),
        (new_layer("a", [new_blob(np.ones(9))])[:-5], r"field 100 needs \d+ bytes at byte \d, \d+ are left"),
        (b"\x0a\x03VGG\x0b", r"wire type 3"),
    ],
)
def test_files_that_are_no_caffemodel(tmp_path: Path, content: bytes, message_: str) -> None:
    (tmp_path / "net.caffemodel").write_bytes(content)
    with pytest.raises(ValueError, match=rf"weights: net.caffemodel .*{message_}"):
        open_weights(tmp_path / "net.caffemodel")


def test_any_cut_is_noticed(tmp_path: Path) -> None:
    content = caffemodel(trained(classes=2), "layers")
    for share in np.linspace(0.02, 0.98, 13):
        (tmp_path / "net.caffemodel").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"weights: net.caffemodel"):
            open_weights(tmp_path / "net.caffemodel")
