"""Analytic fields: the paper's numbers, hand-made cases that other tools get wrong, and gradients as the truth."""

from collections import OrderedDict

import pytest
import torch
from hypothesis import assume, event, given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.networks import convolutionalize, create
from dlseg.receptive_field import LayerField, classifier_view, effective_field, receptive_field


def layer(net: nn.Module, name: str) -> LayerField:
    return next(f for f in receptive_field(net) if f.name.split(".")[-1] == name)


@pytest.mark.parametrize(
    "name, geometry, size, centre",
    [
        ("deeplab", "paper", 308, 0.5),
        ("deeplab", "release", 323, 0.0),
        ("deeplab-7x7", "paper", 404, 0.5),
        ("deeplab-4x4", "paper", 404, 0.5),
        ("deeplab-largefov", "paper", 404, 0.5),
        ("deeplab-largefov", "release", 435, 0.0),
    ],
)
def test_the_papers_fields(name: str, geometry: str, size: int, centre: float) -> None:
    """Every map is centred where its network's grid says, but for half a pixel in the paper's geometry."""
    net = create(name, width=1 / 64, geometry=geometry)
    fc8 = receptive_field(net)[-1]
    assert (fc8.name, fc8.size, fc8.stride, fc8.centre) == ("fc8", (size,) * 2, (8, 8), (centre,) * 2)
    assert abs(net.grid.offset - centre) <= 0.5


def test_pool5_of_vgg16() -> None:
    """212 pixels, stride 32, padding 90: as google-research/receptive_field has it."""
    pool5 = layer(create("vgg16", width=1 / 64), "pool5")
    assert (pool5.size, pool5.stride, pool5.centre) == ((212, 212), (32, 32), (15.5, 15.5))
    assert pool5.box(0, 0) == (-90, -90, 121, 121)


def test_fc6_sees_404_pixels_or_the_classifiers_whole_224() -> None:
    fc6 = layer(create("vgg16", width=1 / 64), "fc6")
    assert fc6.size == (404, 404)
    assert fc6.box(0, 0, image=(224, 224)) == (0, 0, 223, 223)
    assert layer(convolutionalize(create("vgg16", width=1 / 64)), "fc6").size == (404, 404)


@pytest.mark.parametrize(
    "kernel, rate, stride, pixels",
    [(7, 4, 8, 224), (4, 4, 8, 128), (4, 8, 8, 224), (3, 12, 8, 224), (7, 1, 32, 224), (4, 1, 32, 128)],
)
def test_table_2_means_the_classifiers_view(kernel: int, rate: int, stride: int, pixels: int) -> None:
    assert classifier_view(kernel, rate, stride) == pixels


def test_krizhevsky() -> None:
    pool5 = layer(create("alexnet", width=1 / 32), "pool5")
    assert (pool5.size, pool5.stride) == ((195, 195), (32, 32))


@pytest.mark.parametrize("name", ["fcn-32s", "fcn-16s", "fcn-8s"])
def test_fcn_crops_put_every_score_on_its_pixel(name: str) -> None:
    """The released crops (19; 5 and 27; 5, 9 and 31) are exactly those that centre the answer."""
    output = receptive_field(create(name, width=1 / 64))[-1]
    assert (output.name, output.stride, output.centre) == ("output", (1, 1), (0.0, 0.0))


@pytest.mark.parametrize("geometry", ["paper", "release"])
def test_multi_scale_branches(geometry: str) -> None:
    """In the release all six maps are centred alike; in the paper's geometry within half a cell."""
    net = create("deeplab-msc", width=1 / 64, geometry=geometry)
    fields = {f.name: f for f in receptive_field(net)}
    main = fields["chain.fc8"]
    assert fields["output"].size == main.size
    for name in net.scores:
        branch = fields[f"scores.{name}"]
        assert branch.stride == (8, 8)
        assert abs(branch.centre[0] - main.centre[0]) <= (4 if geometry == "paper" else 0)


class Parallel(nn.Module):
    """3×3 beside 5×5 on one input: five pixels, which tools that add layer by layer report as seven."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.cat([self.small(x), self.large(x)], dim=1))


def test_parallel_branches_see_the_larger() -> None:
    fields = receptive_field(Parallel())
    assert [(f.name, f.size) for f in fields] == [("small", (3, 3)), ("large", (5, 5)), ("output", (5, 5))]


def test_dropout_identity_and_a_dilated_centre() -> None:
    net = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 1, 3, 2, padding=1),
            drop=nn.Dropout(),
            same=nn.Identity(),
            up=nn.Upsample(scale_factor=2),
            wide=nn.Conv2d(1, 1, 3, padding=12, dilation=12),
        )
    )
    fields = {f.name: f for f in receptive_field(net)}
    assert fields["drop"].size == fields["same"].size == (3, 3)
    assert (fields["up"].stride, fields["up"].size) == ((1, 1), (3, 3))
    assert fields["wide"].size == (27, 27)


def test_beside_a_resized_map_lies_padding() -> None:
    """The transposed convolution's first cell looks at the cell before the map too, which shows no pixel 0."""
    net = nn.Sequential(nn.Upsample(size=(2, 17), mode="bilinear"), nn.ConvTranspose2d(1, 1, (2, 1)))
    field = receptive_field(net, image=(12, 12))[-1]
    assert (field.size[0], field.box(0, 0)[0], field.box(1, 0)) == (8, -4, (2, 0, 9, 0))


def test_axes_are_told_apart() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, (3, 5), (2, 1), (0, 2)), nn.MaxPool2d((1, 2), (1, 3)))
    field = receptive_field(net)[-1]
    assert (field.size, field.stride, field.centre) == ((3, 6), (2, 3), (1.0, 0.5))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: torch.flip(x, (2,)), "cannot follow flip"),
        (lambda x: x.transpose(2, 3), "cannot follow transpose"),
        (lambda x: torch.cat([x, x], 2), "cannot follow cat"),
        (lambda x: x[:, :, 0], "cannot follow indexing"),
        (lambda x: x + F.max_pool2d(x, 3, 3).repeat(1, 1, 3, 3), "cannot follow repeat"),
        (lambda x: x.chunk(2, 2), "cannot follow chunk, which gives several tensors"),
    ],
)
def test_what_cannot_be_followed_is_named(change, words: str) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return change(x)

    with pytest.raises(ValueError, match=words):
        receptive_field(Odd(), image=(12, 12))


def test_branches_of_different_strides() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[..., ::2, ::2] + x[..., :6, :6]

    with pytest.raises(ValueError, match="branches of strides 1, 2 meet"):
        receptive_field(Odd(), image=(12, 12))


def test_the_network_stays_as_it_was() -> None:
    net = create("deeplab-largefov", width=1 / 64)
    receptive_field(net)
    assert net.training and not any(m._forward_hooks for m in net.modules())
    assert all(p.device.type == "cpu" for p in net.parameters())


@st.composite
def linear_chains(draw: st.DrawFn) -> nn.Sequential:
    """Layers that let every tap through: convolutions of positive weights, averages, upsampling."""
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        kernel, padding = draw(st.tuples(st.integers(1, 4), st.integers(1, 4))), draw(st.integers(0, 2))
        stride, rate = draw(st.tuples(st.integers(1, 2), st.integers(1, 3))), draw(st.integers(1, 3))
        kind = draw(st.sampled_from(["conv", "average", "transposed", "bilinear", "nearest", "adaptive"]))
        if kind == "conv":
            layers.append(nn.Conv2d(1, 1, kernel, stride, padding, rate, bias=False))
        elif kind == "average":
            layers.append(nn.AvgPool2d(kernel, stride, min(padding, min(kernel) // 2)))
        elif kind == "transposed":
            wide = tuple(max(k, s) for k, s in zip(kernel, stride, strict=True))  # no output without an input
            layers.append(nn.ConvTranspose2d(1, 1, wide, stride, min(padding, 1), bias=False))
        elif kind == "adaptive":
            layers.append(nn.AdaptiveAvgPool2d((5, 4)))
        else:
            align = {"align_corners": draw(st.booleans())} if kind == "bilinear" else {}
            layers.append(nn.Upsample(size=(draw(st.integers(2, 30)), 17), mode=kind, **align))
    net = nn.Sequential(*layers).double()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1.0)
    return net


@settings(max_examples=120, deadline=None)
@given(linear_chains(), st.tuples(st.integers(12, 40), st.integers(12, 40)), st.data())
def test_gradients_lie_inside_and_reach_the_edges(
    net: nn.Sequential, size: tuple[int, int], data: st.DataObject
) -> None:
    """Inside always; up to all four edges for a unit that sees no padding. (Padding a resized map repeats no
    pattern of the image, so its numbers say nothing; those chains are held to lying inside.)"""
    try:
        scores = net(torch.ones(1, 1, *size).double())
    except RuntimeError:  # the layers do not fit the image
        reject()
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in scores.shape[2:])
    field = receptive_field(net, image=size)[-1]
    seen = effective_field(net, torch.ones(1, *size).double(), unit).nonzero()
    top, left, bottom, right = field.box(*unit, image=size)
    assume(len(seen) > 0)  # not a unit of nothing but padding
    low, high = seen.min(0).values.tolist(), seen.max(0).values.tolist()
    assert low[0] >= top and low[1] >= left and high[0] <= bottom and high[1] <= right
    resizes = any(isinstance(m, nn.Upsample | nn.AdaptiveAvgPool2d | nn.ConvTranspose2d) for m in net)
    pads = any(getattr(m, "padding", 0) not in (0, (0, 0)) for m in net)
    if field.box(*unit) == (top, left, bottom, right) and not (resizes and pads):
        event("reaches all four edges")
        assert (low[0], low[1], high[0], high[1]) == (top, left, bottom, right)
