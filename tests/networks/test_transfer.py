"""Fully connected → convolution, decimation, and the paper's way from a classifier to a segmentation network."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from dlseg.atrous import densify, shift_and_stitch
from dlseg.networks import convolutionalize, create, decimate, load_trunk
from dlseg.networks.decimation import decimation
from dlseg.networks.transfer import decimated_for

VGG_VARIANTS = (
    "deeplab",
    "deeplab-4x4",
    "deeplab-7x7",
    "deeplab-largefov",
    "deeplab-msc",
    "deeplab-msc-largefov",
    "fcn-8s",
)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_vgg16_dense_with_its_own_7x7_fc6(output_stride: int) -> None:
    conv = convolutionalize(create("vgg16", 4, width=1 / 32)).double().eval()
    image = torch.randn(1, 3, 251, 230).double()
    truth = shift_and_stitch(conv, image, output_stride)
    assert truth.shape[2] >= 32 // output_stride
    torch.testing.assert_close(densify(conv, output_stride)(image), truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "name, size, width", [("vgg16", 224, 1.0), ("vgg16", 224, 1 / 64), ("alexnet", 227, 1 / 8)]
)
def test_convolutional_equals_fully_connected(name: str, size: int, width: float) -> None:
    """1e-5 of the largest score, in float32: the same sums (25,088 terms at full width) in another order."""
    net = create(name, 30, width=width).eval()
    image = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        ours, truth = convolutionalize(net)(image), net(image)
    assert ours.shape == (2, 30, 1, 1)
    torch.testing.assert_close(ours.flatten(1), truth, rtol=0, atol=1e-5 * float(truth.abs().max()))


def test_convolutional_is_fully_connected_but_for_rounding() -> None:
    """The same in float64, to 1e-12."""
    net = create("vgg16", 30, width=1 / 32).double().eval()
    image = torch.randn(2, 3, 224, 224).double()
    with torch.inference_mode():
        torch.testing.assert_close(convolutionalize(net)(image).flatten(1), net(image), rtol=0, atol=1e-12)


def test_convolutional_takes_larger_images_and_becomes_dense() -> None:
    """A classifier slid over a larger image: every position is the classifier on its own crop."""
    net = create("alexnet", 4, width=1 / 32).double().eval()  # its padding is inside: compare the middle only
    conv = convolutionalize(net)
    image = torch.randn(1, 3, 291, 259).double()
    assert conv(image).shape == (1, 4, 3, 2)
    torch.testing.assert_close(densify(conv, 16)(image), shift_and_stitch(conv, image, 16), rtol=0, atol=1e-10)


@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_alexnet_dense_at_its_strides(output_stride: int) -> None:
    conv = convolutionalize(create("alexnet", 4, width=1 / 16)).double().eval()
    for layer in conv:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.bias, std=0.3)
    image = torch.randn(1, 3, 263, 243).double()
    truth = shift_and_stitch(conv, image, output_stride)
    assert truth.shape[2] > 32 // output_stride
    torch.testing.assert_close(densify(conv, output_stride)(image), truth, rtol=0, atol=1e-10)


def test_the_convolutional_copy_is_a_copy() -> None:
    net = create("vgg16", 4, width=1 / 64)
    conv = convolutionalize(net)
    with torch.no_grad():
        conv.fc6.weight.zero_()
        conv.conv1_1.weight.zero_()
    assert [m.training for m in conv.children()] == [True] * len(conv)
    assert [m.training for m in convolutionalize(nn.Sequential(*net.eval())).children()] == [False] * len(conv)
    assert net.fc6.weight.any() and net.conv1_1.weight.any()


@pytest.mark.parametrize(
    "taps, kept, which",
    [
        (7, 4, [0, 2, 4, 6]),
        (7, 3, [0, 3, 6]),
        (6, 3, [0, 2, 4]),
        (7, 7, list(range(7))),
        (7, 1, [3]),
        (4096, 1024, list(range(0, 4096, 4))),
    ],
)
def test_which_taps_decimation_keeps(taps: int, kept: int, which: list[int]) -> None:
    assert decimation(taps, kept) == which


@pytest.mark.parametrize("kept", [0, 8])
def test_more_than_there_are_cannot_be_kept(kept: int) -> None:
    with pytest.raises(ValueError, match=f"kept: got {kept}, expected a whole number from 1 to 7"):
        decimation(7, kept)


@pytest.mark.parametrize("kernel, rate", [(4, 2), (3, 3)])
def test_decimation_is_the_kernel_with_the_other_taps_zero(kernel: int, rate: int) -> None:
    conv = convolutionalize(create("vgg16", 6, width=1 / 32)).double().eval()
    image = torch.randn(1, 3, 256, 288).double()
    small = decimate(conv, kernel, rate=rate)
    with torch.no_grad():
        dropped = [i for i in range(7) if i not in decimation(7, kernel)]
        conv.fc6.weight[:, :, dropped] = 0
        conv.fc6.weight[:, :, :, dropped] = 0
    torch.testing.assert_close(small(image), conv(image), rtol=0, atol=1e-12)


def test_decimation_keeps_every_fourth_channel() -> None:
    conv = convolutionalize(create("vgg16", 6, width=1 / 32))
    small = decimate(conv, 3, 32)
    assert torch.equal(small.fc6.weight, conv.fc6.weight[::4, :, ::3, ::3])
    assert torch.equal(small.fc6.bias, conv.fc6.bias[::4])
    assert torch.equal(small.fc7.weight, conv.fc7.weight[::4, ::4])
    assert torch.equal(small.fc8.weight, conv.fc8.weight[:, ::4])
    assert torch.equal(small.fc8.bias, conv.fc8.bias)
    assert small(torch.zeros(1, 3, 224, 224)).shape == (1, 6, 5, 5)


def test_the_papers_initialisation() -> None:
    """vgg16 → convolutions → 3×3×1024 → LargeFOV with 21 new classes, all but fc8 taken over."""
    conv = convolutionalize(create("vgg16", 1000, width=1 / 64))
    net = create("deeplab-largefov", width=1 / 64)
    before = net.fc8.weight.clone()
    done = load_trunk(net, decimate(conv, 3, 16))
    assert done.new == ("fc8",)
    assert torch.equal(net.fc6.weight, conv.fc6.weight[::4, :, ::3, ::3])
    assert torch.equal(net.fc8.weight, before)


@pytest.mark.parametrize(
    "classifier, variant", [("vgg16", v) for v in VGG_VARIANTS] + [("alexnet", "deeplab-alexnet")]
)
@pytest.mark.parametrize("width", [1 / 64, 0.05])
def test_every_variant_begins_from_its_classifier(classifier: str, variant: str, width: float) -> None:
    """All but fc8: fc6 and fc7 are decimated, at widths that round channels too."""
    source, net = create(classifier, 30, width), create(variant, 21, width)
    new = load_trunk(net, decimated_for(net, source.state_dict())).new
    assert [layer for layer in new if hasattr(net.main, layer)] == ["fc8"]
    kernel, channels = net.main.fc6.kernel_size[0], net.main.fc6.out_channels
    small = decimate(convolutionalize(source), kernel, channels)
    assert torch.equal(net.main.fc6.weight, small.fc6.weight) and torch.equal(net.main.fc7.weight, small.fc7.weight)


@pytest.mark.parametrize("classifier, variant", [("alexnet", "deeplab-largefov"), ("vgg16", "deeplab-alexnet")])
def test_a_classifier_of_another_trunk_fits_nothing(classifier: str, variant: str) -> None:
    net, state = create(variant, 21, 1 / 64), create(classifier, 30, 1 / 64).state_dict()
    assert decimated_for(net, state) is state
    with pytest.raises(ValueError, match="no layer of that network fits"):
        load_trunk(net, decimated_for(net, state))


def test_a_linear_layer_that_saw_no_square_map() -> None:
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), flatten=nn.Flatten(), fc6=nn.Linear(8, 2)))
    with pytest.raises(ValueError, match="fc6 takes 8 numbers, which is no square map of 4 channels"):
        convolutionalize(net)


def test_a_layer_without_a_convolutional_form() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(196, 2))
    with pytest.raises(ValueError, match=r"1 \(AdaptiveAvgPool2d\) has no convolutional form"):
        convolutionalize(net)


def test_only_convolutions_are_decimated() -> None:
    with pytest.raises(ValueError, match="convolutions fc6, fc7, fc8"):
        decimate(create("vgg16", width=1 / 64), 3)
