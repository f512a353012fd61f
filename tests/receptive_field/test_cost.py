"""Cost: against torch's own counter, and the paper's statements about fc6."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlseg.networks import create, variants
from dlseg.receptive_field import cost


@pytest.mark.parametrize("name", variants())
def test_macs_are_half_of_torchs_flops(name: str) -> None:
    with torch.device("meta"):
        net = create(name, width=1 / 16).eval()
        image = torch.empty(1, 3, *net.input_size)
    with FlopCounterMode(display=False) as counter:
        net(image)
    ours = cost(net, net.input_size)
    assert 2 * ours.macs == counter.get_total_flops()
    assert ours.parameters == sum(p.numel() for p in net.parameters())


def test_fc6_of_the_variants() -> None:
    """306 → 39: 7×7 to 4×4 takes fc6's multiplications down by 49/16, LargeFOV by 49/9 · 4."""
    macs = {}
    for name in ("deeplab-7x7", "deeplab", "deeplab-4x4", "deeplab-largefov"):
        with torch.device("meta"):
            macs[name] = cost(create(name), (306, 306))["fc6"].macs
    assert macs["deeplab-7x7"] == 39 * 39 * 7 * 7 * 512 * 4096
    assert macs["deeplab-7x7"] / macs["deeplab"] == 49 / 16
    assert macs["deeplab"] == macs["deeplab-4x4"]
    assert macs["deeplab-7x7"] / macs["deeplab-largefov"] == pytest.approx(49 / 9 * 4)


def test_activations() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.ReLU())
    layers = cost(net, (10, 8))
    assert [c.activations for c in layers.layers] == [4 * 8 * 6, 0, 4 * 4 * 3, 4 * 4 * 3]
    assert layers.activation_bytes == 4 * (4 * 8 * 6 + 2 * 4 * 4 * 3)
    assert "total" in str(layers) and "0.0 MB" in str(layers)


def test_mistakes_are_named() -> None:
    net = create("deeplab-largefov", width=1 / 64)
    with pytest.raises(ValueError, match=r"input_size: got \(0, 9\), expected \(height, width\) in pixels"):
        cost(net, (0, 9))
    with pytest.raises(ValueError, match="1×1 is too small"):
        cost(net, (1, 1))
    with pytest.raises(KeyError, match="no layer 'fc9'"):
        cost(net, (66, 66))["fc9"]
