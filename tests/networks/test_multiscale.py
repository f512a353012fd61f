"""DeepLab-MSc: its size, that only the branches train, and that adding scores is joining features."""

import pytest
import torch

from dlseg.networks import create, load_trunk


def narrow(name: str = "deeplab-msc-largefov", geometry: str = "release"):
    return create(name, 5, width=1 / 16, geometry=geometry).double().eval()


@pytest.mark.parametrize("name, alone", [("deeplab-msc", "deeplab"), ("deeplab-msc-largefov", "deeplab-largefov")])
def test_the_branches_add_1206121_parameters(name: str, alone: str) -> None:
    with torch.device("meta"):
        count = [sum(p.numel() for p in create(n).parameters()) for n in (name, alone)]
        trained = sum(p.numel() for p in create(name).parameters() if p.requires_grad)
    assert count[0] - count[1] == trained == 1_206_121


def test_640_channels_join_the_main_network() -> None:
    net = create("deeplab-msc", width=1 / 4).eval()
    assert net.features(torch.zeros(1, 3, 58, 58)).shape[1] == (4096 + 640) // 4


@pytest.mark.parametrize("geometry", ["paper", "release"])
def test_adding_scores_is_one_classifier_over_joined_features(geometry: str) -> None:
    """float64; the same products added in another order, so 1e-12 on scores of order one."""
    net = narrow(geometry=geometry)
    for parameter in net.scores.parameters():
        torch.nn.init.normal_(parameter)
    for branch in net.branches.parameters():
        torch.nn.init.normal_(branch, std=0.2)
    image = torch.randn(2, 3, 73, 66).double()
    scores = net(image).detach()
    torch.testing.assert_close(net.concatenated()(net.features(image)), scores, rtol=0, atol=1e-12)
    assert float((scores - net.main(image)).abs().max()) > 0.01  # the branches have a say


def test_main_is_the_network_it_was() -> None:
    plain = create("deeplab-largefov", 5, width=1 / 16).eval()
    net = create("deeplab-msc-largefov", 5, width=1 / 16).eval()
    assert all(name.startswith(("branches.", "scores.")) for name in load_trunk(net, plain).new)
    for head in net.scores.parameters():
        torch.nn.init.zeros_(head)
    image = torch.randn(1, 3, 50, 58)
    assert torch.equal(net(image), plain(image))


def test_only_the_branches_learn() -> None:
    net = create("deeplab-msc-largefov", 5, width=1 / 16)
    net(torch.randn(1, 3, 41, 41)).square().sum().backward()
    assert all(p.grad is None for p in net.main.parameters())
    assert all(p.grad is not None for p in [*net.branches.parameters(), *net.scores.parameters()])


@pytest.mark.parametrize("geometry", ["paper", "release"])
@pytest.mark.parametrize("size", [(10, 10), (11, 31), (64, 65), (66, 50)])
def test_every_size_fits(geometry: str, size: tuple[int, int]) -> None:
    net = narrow(geometry=geometry)
    assert net(torch.zeros(1, 3, *size).double()).shape == (1, 5, *net.score_size(size))


@pytest.mark.parametrize("geometry, crop, scores", [("paper", 306, 39), ("release", 321, 41)])
def test_crops(geometry: str, crop: int, scores: int) -> None:
    net = create("deeplab-msc", width=1 / 64, geometry=geometry).eval()
    assert net(torch.zeros(1, 3, crop, crop)).shape == (1, 21, scores, scores)
