"""Dropout belongs to the sample: not to the batch, the order, the memory layout or the process."""

import pytest
import torch
from torch import nn

from dlseg.networks import create
from dlseg.training.dropout import SampleDropout, drawn_by_sample


def dropped(x: torch.Tensor, numbers: list[int], p: float = 0.5, seed: int = 0, layer: int = 0) -> torch.Tensor:
    dropout = SampleDropout(p, seed, layer).train()
    dropout.numbers = numbers
    return dropout(x)


def test_a_sample_has_its_own_mask_in_any_batch_and_layout() -> None:
    x = torch.ones(4, 6, 5, 3)
    whole = dropped(x, [7, 8, 9, 10])
    assert torch.equal(whole[2:], dropped(x[2:], [9, 10]))
    assert torch.equal(whole[[3, 0]], dropped(x[:2], [10, 7]))
    assert torch.equal(whole, dropped(x.to(memory_format=torch.channels_last), [7, 8, 9, 10]))
    assert torch.equal(whole[:1], dropped(x[:1].to(memory_format=torch.channels_last), [7]))
    for other in (dropped(x, [1, 2, 3, 4]), dropped(x, [7, 8, 9, 10], seed=1), dropped(x, [7, 8, 9, 10], layer=1)):
        assert not torch.equal(whole, other)


def test_it_drops_as_many_as_it_should_and_keeps_the_mean() -> None:
    """Of 10⁵ units a share p is dropped; three deviations are 0.5 %."""
    x = torch.ones(1, 100_000)
    for p in (0.1, 0.5):
        y = dropped(x, [3], p)
        assert abs(float((y == 0).float().mean()) - p) < 0.005
        assert set(y.unique().tolist()) == {0.0, float(torch.tensor(1.0).div(1 - p))}


def test_evaluation_and_no_dropout_change_nothing() -> None:
    x = torch.randn(2, 3)
    assert SampleDropout(0.5, 0, 0).eval()(x) is x
    assert SampleDropout(0.0, 0, 0).train()(x) is x
    with pytest.raises(ValueError, match="zip"):
        dropped(x, [1])


def test_the_networks_own_come_back() -> None:
    net = create("deeplab-msc-largefov", 3, width=1 / 16)
    own = [m for m in net.modules() if isinstance(m, nn.Dropout)]
    with pytest.raises(KeyError), drawn_by_sample(net, 0.3, 1) as drawn:
        assert len(drawn) == len(own) == 12 and len({d.layer for d in drawn}) == 12
        assert all(isinstance(m, SampleDropout) and m.p == 0.3 for m in net.modules() if isinstance(m, nn.Dropout))
        raise KeyError
    assert all(a is b for a, b in zip(own, [m for m in net.modules() if isinstance(m, nn.Dropout)], strict=True))
