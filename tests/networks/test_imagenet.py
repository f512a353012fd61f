"""VGG-16's public weights: their names and shapes, their scaling, and what a wrong file is told.

Tensors that must be of full size are one number seen many times (expand), which costs no memory on disk.
"""

import hashlib
from pathlib import Path

import pytest
import torch
from public_vgg import VGG16_CONVOLUTIONS
from torch import Tensor

from dlseg.networks import create
from dlseg.networks import imagenet as public

# as torchvision documents VGG-16: configuration D, 13 convolutions, 3 linear
LINEAR = {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for i, (o, c) in VGG16_CONVOLUTIONS.items():
        found |= {f"features.{i}.weight": (o, c, 3, 3), f"features.{i}.bias": (o,)}
    for i, (o, c) in LINEAR.items():
        found |= {f"classifier.{i}.weight": (o, c), f"classifier.{i}.bias": (o,)}
    return found


def state() -> dict[str, Tensor]:
    """Right names and shapes, each tensor a number of its own."""
    return {key: torch.tensor([0.001 * (i + 1)]).expand(shape) for i, (key, shape) in enumerate(shapes().items())}


def test_names_and_shapes() -> None:
    assert {k: tuple(v.shape) for k, v in public.public_shapes(state()).items()} == shapes()


def test_every_layer_comes_by_our_name() -> None:
    """All but conv1_1 as they are; conv1_1 is scaled, see the next test."""
    given, net = state(), create("vgg16", 10, width=1 / 64)
    found = public.from_imagenet(given)
    assert set(found) == set(net.state_dict())
    names = public.imagenet_names()
    for key, value in found.items():
        layer, _, kind = key.rpartition(".")
        if layer != "conv1_1":
            assert value is given[f"{names[layer]}.{kind}"]


def test_scaling_is_folded_in() -> None:
    """Their weights on their images (RGB / 255, normalised) and ours on ours give the same first map, away from
    the border, where padding means another colour. float64, tolerance 1e-9 on values of order 1."""
    photo = torch.randint(0, 256, (1, 3, 12, 12)).double()
    theirs = (photo / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    ours = photo - torch.tensor([122.675, 116.669, 104.008]).double().view(3, 1, 1)
    net = create("vgg16", 10, width=1 / 8).double()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    expected = net.conv1_1(theirs)
    net.load_state_dict(
        public.from_imagenet(
            {
                f"{public.imagenet_names()[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v
                for k, v in before.items()
            }
        )
    )
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(net.conv1_1(ours)[inner], expected[inner], rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_classes, new", [(1000, False), (21, True)])
def test_a_public_file_initialises_a_network(num_classes: int, new: bool, tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "vgg16.pth")
    net = create("deeplab-largefov", num_classes, weights=tmp_path / "vgg16.pth")
    given = state()
    assert torch.equal(net.conv3_2.weight, given["features.12.weight"])
    assert set(net.fc6.weight.unique().tolist()) == set(given["classifier.0.weight"][0, :1].tolist())
    assert bool(net.fc8.bias.any()) is not new


def change(**values: Tensor) -> dict[str, Tensor]:
    return {**state(), **{k.replace("_", "."): v for k, v in values.items()}}


@pytest.mark.parametrize(
    "given, words",
    [
        ({k: v for k, v in state().items() if k != "features.0.bias"}, r"missing features\.0\.bias"),
        (change(features_28_bias=torch.zeros(3)), r"features\.28\.bias is \(3,\), expected \(512,\)"),
        (change(features_30_weight=torch.zeros(3)), r"unexpected features\.30\.weight"),
        ({k: v for k, v in state().items() if k != "classifier.6.weight"}, r"missing classifier\.6\.weight"),
        (change(classifier_6_weight=torch.zeros(1000, 9)), r"classifier\.6\.weight is \(1000, 9\), expected"),
    ],
)
def test_a_wrong_public_file_says_what_is_off(given: dict, words: str, tmp_path: Path) -> None:
    torch.save(given, tmp_path / "vgg16.pth")
    with torch.device("meta"), pytest.raises(ValueError, match=f"(?s)is not VGG-16's public state dict.*{words}"):
        create("deeplab-largefov", weights=tmp_path / "vgg16.pth")


@pytest.mark.parametrize("name, width", [("deeplab-largefov", 1 / 8), ("alexnet", 1.0)])
def test_networks_it_does_not_fit(name: str, width: float, tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "vgg16.pth")
    with torch.device("meta"), pytest.raises(ValueError, match="VGG-16's fit a VGG network of width 1; got"):
        create(name, width=width, weights=tmp_path / "vgg16.pth")


def serve(folder: Path, content: dict[str, Tensor], wrong: bool = False) -> str:
    torch.save(content, folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    path = (folder / "w.pth").rename(folder / f"vgg16-{'00000000' if wrong else digest}.pth")
    return path.as_uri()


def test_a_download_is_checked_against_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    url = serve(tmp_path / "served", {"a": torch.ones(2)})
    assert torch.equal(public.download(url)["a"], torch.ones(2))
    with pytest.raises(ValueError, match="is not the file it should be"):
        public.download(serve(tmp_path / "served", {"a": torch.ones(3)}, wrong=True))
    with pytest.raises(ConnectionError, match="give the path of a copy"):
        public.download((tmp_path / "nowhere-12345678.pth").as_uri())
