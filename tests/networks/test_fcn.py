"""FCN-32s, 16s, 8s: bilinear kernels, what is learned, one score per pixel at any size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlseg.networks import create, load_trunk
from dlseg.networks.fcn import bilinear_kernel

NAMES = ("fcn-32s", "fcn-16s", "fcn-8s")


@given(st.integers(1, 12))
def test_the_kernel_upsamples_bilinearly(factor: int) -> None:
    """Each output phase weighs its inputs with a total of one; a ramp stays a ramp."""
    kernel = bilinear_kernel(factor).double()
    ramp = torch.arange(8.0, dtype=torch.float64).expand(1, 1, 8, 8)
    up = F.conv_transpose2d(ramp, kernel[None, None], stride=factor)[0, 0]
    inner = up[2 * factor : -2 * factor, 2 * factor : -2 * factor]
    steps = inner[:, 1:] - inner[:, :-1]
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / factor), rtol=0, atol=1e-6)
    torch.testing.assert_close(inner[1:], inner[:-1], rtol=0, atol=1e-6)


def test_the_kernel_of_factor_2() -> None:
    row = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(bilinear_kernel(2), torch.outer(row, row))


@pytest.mark.parametrize("name, learned, factor", [("fcn-32s", 0, 32), ("fcn-16s", 1, 16), ("fcn-8s", 2, 8)])
def test_only_the_last_upsampling_is_fixed(name: str, learned: int, factor: int) -> None:
    net = create(name, 4, width=1 / 64)
    assert [p.requires_grad for p in net.upsamplings.parameters()] == [True] * learned
    assert not net.last.weight.requires_grad
    assert net.last.stride == (factor, factor)
    assert len(net.skips) == learned
    for layer in (*net.skips.values(), net.main.fc8):
        assert not layer.weight.any() and not layer.bias.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (2, 33), (31, 64), (97, 102)])
def test_one_score_per_pixel(name: str, size: tuple[int, int]) -> None:
    net = create(name, 3, width=1 / 64).eval()
    nn.init.ones_(net.main.fc8.bias)
    scores = net(torch.zeros(1, 3, *size)).detach()
    assert scores.shape == (1, 3, *size)
    assert net.score_size(size) == size
    # a bias of one, upsampled, is one inside; at the border fewer positions have a say, in Caffe too
    inner = scores[..., 32:-32, 32:-32]
    torch.testing.assert_close(inner, torch.ones_like(inner), rtol=0, atol=1e-5)
    assert float(scores.min()) > 0 and float(scores.max()) < 1 + 1e-5


def test_vgg16_pours_in_whole() -> None:
    done = load_trunk(create("fcn-8s", 7, width=1 / 64), create("vgg16", 7, width=1 / 64))
    assert done.new == ("skips.pool4", "skips.pool3", "upsamplings.pool4", "upsamplings.pool3")


def test_no_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="image: got 0×5 pixels, expected at least one"):
        create("fcn-8s", width=1 / 64)(torch.zeros(1, 3, 0, 5))
