"""Dense networks against shift-and-stitch, in float64: the hole algorithm is exact when pools get holes too.

Tolerance 1e-10 absolute on scores of order one: both sides add the same products, in another order.
"""

from collections import OrderedDict
from dataclasses import replace
from math import gcd, prod

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlseg.atrous import Window, densify, shift_and_stitch
from dlseg.networks import create


def shifted_images(net: nn.Module, image: Tensor, stride: int, output_stride: int) -> Tensor:
    """The textbook: crop the image by every shift, run, interlace. Right everywhere without padding."""
    n = stride // output_stride
    maps = [[net(image[..., y * output_stride :, x * output_stride :]) for x in range(n)] for y in range(n)]
    size = sum(m.shape[2] for m in (row[0] for row in maps)), sum(m.shape[3] for m in maps[0])
    out = image.new_zeros(*maps[0][0].shape[:2], *size)
    for y in range(n):
        for x in range(n):
            out[..., y::n, x::n] = maps[y][x]
    return out


def valid_vgg_tail() -> nn.Sequential:
    """Two stages and a tail as VGG's, without padding."""
    return (
        nn.Sequential(
            nn.Conv2d(3, 5, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 6, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 4, 2),
            nn.Dropout(),
            nn.Conv2d(4, 3, 1),
        )
        .double()
        .eval()
    )


def close(ours: Tensor, truth: Tensor) -> None:
    assert float(truth.detach().abs().max()) > 1e-3  # there is something to compare
    torch.testing.assert_close(ours, truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize("output_stride", [8, 4, 2, 1])
@pytest.mark.parametrize("size", [(47, 52), (43, 40)])
def test_both_are_the_shifted_image(output_stride: int, size: tuple[int, int]) -> None:
    net, image = valid_vgg_tail(), torch.randn(2, 3, *size).double()
    truth = shifted_images(net, image, 8, output_stride)
    close(shift_and_stitch(net, image, output_stride), truth)
    close(densify(net, output_stride)(image), truth)


def spread(net: nn.Module) -> nn.Module:
    """Biases too, so that zero padding is visible."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.bias, std=0.3)
    nn.init.kaiming_normal_(net.fc8.weight)
    return net.double().eval()


@pytest.mark.parametrize(
    "output_stride, size",
    [(32, (97, 66)), (16, (97, 130)), (16, (64, 101)), (8, (97, 130)), (8, (64, 65)), (4, (40, 37))],
)
def test_narrow_vgg_with_its_padding(output_stride: int, size: tuple[int, int]) -> None:
    net = spread(create("vgg16-20m", 4, width=1 / 32))
    image = torch.randn(1, 3, *size).double()
    truth, dense = shift_and_stitch(net, image, output_stride), densify(net, output_stride)
    close(dense(image), truth)
    step = 32 // output_stride
    close(truth[..., ::step, ::step], net.score_map(image))


def test_the_decimated_classifier_becomes_largefov() -> None:
    dense, largefov = densify(create("vgg16-20m", width=1 / 64), 8), create("deeplab-largefov", width=1 / 64)
    for name in ("conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7", "fc8"):
        assert Window.of(getattr(dense, name)) == Window.of(getattr(largefov, name)), name
    for name in ("pool4", "pool5"):  # the paper's sizes need padding in the pools; kernel, stride and rate agree
        assert replace(Window.of(getattr(largefov, name)), padding=(0, 0)) == Window.of(getattr(dense, name))


def test_the_released_pool5_is_not_exact() -> None:
    """The same network but for a 3×3 pool5 without holes, the maps aligned where the two centres agree best."""
    net = spread(create("vgg16-20m", 4, width=1 / 32))
    image = torch.randn(1, 3, 96, 96).double()
    truth = shift_and_stitch(net, image, 8)
    released = densify(net, 8, pools="released")
    assert (released.pool5.kernel_size, released.pool5.padding, released.pool5.dilation) == ((3, 3), (1, 1), (1, 1))
    scores = released(image)
    height, width = truth.shape[2:]
    aligned = [
        scores[..., y : y + height, x : x + width]
        for y in (0, 1, 2)
        for x in (0, 1, 2)
        if y + height <= scores.shape[2] and x + width <= scores.shape[3]
    ]
    off = min(float((a - truth).detach().abs().max()) for a in aligned)
    assert off > 0.1 * float(truth.detach().std())


@st.composite
def chains(draw: st.DrawFn) -> nn.Sequential:
    """Two to five layers of random kernels, strides, paddings and rates, along each axis apart."""
    sides, layers, channels, total = st.integers(1, 3), OrderedDict(), 2, 1
    strides = st.sampled_from([(1, 1), (2, 2), (2, 1), (3, 3)])
    for i in range(draw(st.integers(2, 4))):
        kernel = draw(st.tuples(sides, sides))
        stride = draw(strides) if total < 6 else (1, 1)
        total *= max(stride)
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        rate = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        kind = draw(st.sampled_from(["conv", "max", "average", "average, padding not counted"]))
        if kind == "conv":
            layers[f"conv{i}"] = nn.Conv2d(channels, channels + 1, kernel, stride, padding, rate)
            channels += 1
            layers[f"relu{i}"] = nn.LeakyReLU(0.3)
        elif kind == "max":
            layers[f"pool{i}"] = nn.MaxPool2d(kernel, stride, padding, rate)
        else:
            layers[f"pool{i}"] = nn.AvgPool2d(kernel, stride, padding, count_include_pad=kind == "average")
    return nn.Sequential(layers).double().eval()


@settings(max_examples=100, deadline=None)
@given(chains(), st.integers(0, 99), st.tuples(st.integers(12, 40), st.integers(12, 40)), st.data())
def test_random_chains(net: nn.Sequential, seed: int, size: tuple[int, int], data: st.DataObject) -> None:
    strides = [getattr(layer, "stride", (1, 1)) for layer in net]
    common = gcd(prod(s[0] for s in strides), prod(s[1] for s in strides))
    output_stride = data.draw(st.sampled_from([d for d in range(1, common + 1) if common % d == 0]))
    torch.manual_seed(seed)
    image = torch.randn(1, 2, *size).double()
    try:
        truth = shift_and_stitch(net, image, output_stride)
    except ValueError as error:
        assert "too small" in str(error)
        reject()
    torch.testing.assert_close(densify(net, output_stride)(image), truth, rtol=0, atol=1e-10)


def test_in_two_steps() -> None:
    net, image = spread(create("vgg16-20m", 3, width=1 / 32)), torch.randn(1, 3, 90, 70).double()
    close(densify(densify(net, 16), 4)(image), densify(net, 4)(image))


def test_names_weights_and_nesting_stay() -> None:
    net = nn.Sequential(
        OrderedDict(
            block=nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3, 2), relu=nn.ReLU())), last=nn.Conv2d(4, 2, 3)
        )
    )
    dense = densify(net, 1)
    assert dense.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(v, dense.state_dict()[k]) for k, v in net.state_dict().items())
    assert (dense.block.conv.stride, dense.last.dilation) == ((1, 1), (2, 2))
    assert (net.block.conv.stride, net.last.dilation) == ((2, 2), (1, 1))
    with torch.no_grad():
        dense.last.weight.zero_()
    assert float(net.last.weight.detach().abs().max()) > 0


def test_modes_stay() -> None:
    """A chain in training mode around layers in evaluation mode, as nn.Sequential(*layers) makes it."""
    net = nn.Sequential(*nn.Sequential(nn.Conv2d(2, 2, 3, 2), nn.Dropout()).eval())
    assert net.training
    assert [m.training for m in densify(net, 1).modules()] == [True, False, False]


def test_a_layer_used_twice_counts_twice() -> None:
    pool = nn.MaxPool2d(2)
    net = nn.Sequential(pool, nn.Conv2d(2, 2, 3), pool, nn.Conv2d(2, 2, 3)).double().eval()
    image = torch.randn(1, 2, 30, 33).double()
    close(densify(net, 1)(image), shift_and_stitch(net, image, 1))


@pytest.mark.parametrize(
    "layers, stride, words",
    [
        ([nn.Conv2d(3, 3, 3, 2)], 3, "output_stride: got 3, expected a divisor of the network's stride, 2×2"),
        ([nn.Conv2d(3, 3, 3, 2)], 0, "output_stride: got 0, expected a whole number >= 1"),
        ([nn.MaxPool2d(2, ceil_mode=True)], 1, "cannot make 0 dense: ceil_mode"),
        ([nn.MaxPool2d(2, return_indices=True)], 1, "cannot make 0 dense: return_indices"),
        ([nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")], 1, "1 dense: padding_mode"),
        (
            [nn.MaxPool2d(2), nn.Conv2d(3, 3, 2, padding="same")],
            1,
            "padding='same' of .* pads one side more than the other",
        ),
        ([nn.Flatten(), nn.Linear(3, 3)], 1, r"0 \(Flatten\) is neither .* convolutionalize"),
        ([nn.Upsample(scale_factor=2)], 1, r"0 \(Upsample\) is neither"),
    ],
)
def test_what_cannot_be_dense_says_why(layers: list, stride: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        densify(nn.Sequential(*layers), stride)


def test_same_padding_is_read() -> None:
    net = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding="same")).double().eval()
    image = torch.randn(1, 2, 11, 12).double()
    close(densify(net, 1)(image), shift_and_stitch(net, image, 1))


def test_only_chains() -> None:
    with pytest.raises(Exception, match="Sequential"):
        densify(nn.Conv2d(3, 3, 3), 1)


def test_a_random_truth_is_refused() -> None:
    net = nn.Sequential(nn.MaxPool2d(2), nn.Dropout())
    with pytest.raises(
        ValueError, match=r"net: got 1 in training mode, expected evaluation mode, .*: 1 would differ"
    ):
        shift_and_stitch(net, torch.randn(1, 2, 8, 8), 1)


def test_too_small_is_named() -> None:
    net = create("vgg16-20m", width=1 / 64).eval()
    with pytest.raises(ValueError, match="an input of 9×40 is too small: nothing is left of it at pool4"):
        shift_and_stitch(net, torch.randn(1, 3, 9, 40), 8)


def test_a_pool_with_nothing_but_padding_is_refused() -> None:
    net = nn.Sequential(nn.MaxPool2d(4), nn.MaxPool2d(2, 1, 1))
    with pytest.raises(ValueError, match=r"a map of 1×1 is too small for a pool of rate \(4, 4\)"):
        densify(net, 1)(torch.randn(1, 1, 4, 4))
