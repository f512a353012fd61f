"""The effective field of every network of the paper: inside the analytic one, and up to its edges."""

import pytest
import torch
from torch import Tensor, nn

from dlseg.networks import create, variants
from dlseg.receptive_field import effective_field, receptive_field


def bowl(size: int, centre: tuple[float, float]) -> Tensor:
    """Brighter the further from the centre: in every max pool the outermost cell wins, so edges are reached."""
    y, x = (torch.arange(size, dtype=torch.float64) - c for c in centre)
    return (1 + y.abs()[:, None] + x.abs()[None, :]).expand(3, -1, -1) / size


def positive(net: nn.Module) -> nn.Module:
    """Positive weights and no biases: nothing cancels, no ReLU is off. Scaled so that sums stay of order one."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.uniform_(0.5, 1.5).div_(module.weight[0].numel())
                module.bias.zero_()
    return net.double()


def units(scores: tuple[int, ...]) -> list[tuple[int, int]]:
    height, width = scores[-2:]
    return [(height // 2, width // 2), (height // 2 + 1, width // 2 - 3), (height // 2 - 5, width // 2 + 2)]


@pytest.mark.parametrize("geometry", ["paper", "release"])
@pytest.mark.parametrize("name", [n for n in variants() if n not in ("vgg16", "alexnet")])
def test_support_fills_the_analytic_field(name: str, geometry: str) -> None:
    torch.manual_seed(0)
    net, size = positive(create(name, 2, width=1 / 64, geometry=geometry)), 505
    if name == "vgg16-20m":
        net = nn.Sequential(*net)  # the score map, not its mean
    field = receptive_field(net, image=(size, size))[-1]
    with torch.no_grad():
        shape = net(torch.zeros(1, 3, size, size).double()).shape
    for unit in units(shape)[: 2 if "fcn" in name else 1]:
        top, left, bottom, right = field.box(*unit)
        assert top >= 0 and left >= 0 and bottom < size and right < size
        middle = (top + bottom) / 2, (left + right) / 2
        seen = effective_field(net, bowl(size, middle), unit).nonzero()
        low, high = seen.min(0).values.tolist(), seen.max(0).values.tolist()
        assert (*low, *high) == (top, left, bottom, right)


@pytest.mark.parametrize("name, size", [("vgg16", 224), ("alexnet", 227)])
def test_classifiers_see_no_more_than_their_image(name: str, size: int) -> None:
    net = positive(create(name, 2, width=1 / 64))
    field = receptive_field(net)[-1]
    middle = (size - 1) / 2
    seen = effective_field(net, bowl(size, (middle, middle)), (1,)).nonzero()
    top, left, bottom, right = field.box(0, 0, image=(size, size))
    low, high = seen.min(0).values.tolist(), seen.max(0).values.tolist()
    assert low[0] >= top and low[1] >= left and high[0] <= bottom and high[1] <= right
    if name == "vgg16":
        assert (*low, *high) == (0, 0, 223, 223)


def test_holes_are_seen() -> None:
    """A 3×3 of rate 4 sees nine pixels, four apart."""
    net = nn.Conv2d(1, 1, 3, dilation=4).double()
    nn.init.ones_(net.weight)
    seen = effective_field(net, torch.ones(1, 20, 20).double(), (2, 3))
    assert seen.nonzero().tolist() == [[y, x] for y in (2, 6, 10) for x in (3, 7, 11)]
    assert seen.sum() == 9


def test_one_class_or_all() -> None:
    net, image = create("deeplab-largefov", 3, width=1 / 64).double(), torch.randn(1, 3, 66, 66).double()
    one = effective_field(net, image, (2, 4, 4))
    scores = net.eval()(image.requires_grad_())
    scores[0, 2, 4, 4].backward()
    torch.testing.assert_close(one, image.grad[0].abs().sum(0), rtol=0, atol=0)
    assert not torch.equal(effective_field(net, image, (4, 4)), one)


def test_modes_and_gradients_stay() -> None:
    net = create("deeplab-largefov", 3, width=1 / 64).train()
    net.drop6.eval()
    first = effective_field(net, torch.ones(3, 66, 66), (4, 4))
    assert torch.equal(first, effective_field(net, torch.ones(3, 66, 66), (4, 4)))  # no dropout in it
    assert net.training and not net.drop6.training and net.drop7.training
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("unit", [(99, 0), (0,), (9, 0, 0), (0, 0, 0, 0)])
def test_units_outside_are_named(unit: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"unit: got .*, expected \(row, column\) or .* in the scores \(3, 9, 9\)"):
        effective_field(create("deeplab-largefov", 3, width=1 / 64), torch.ones(3, 66, 66), unit)


def test_one_image_only() -> None:
    with pytest.raises(ValueError, match=r"image: got \(2, 3, 9, 9\), expected one image"):
        effective_field(create("deeplab-largefov", width=1 / 64), torch.ones(2, 3, 9, 9), (0, 0))


def test_the_image_takes_the_networks_type() -> None:
    net = create("deeplab-largefov", 3, width=1 / 64).double()
    assert effective_field(net, torch.ones(3, 66, 66), (4, 4)).dtype == torch.float64
