"""Sizes and blind windows of a layer, against what torch does and against counting."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from dlseg.atrous import Window, output_size

SMALL = st.integers(1, 4)


@given(SMALL, SMALL, SMALL, st.integers(0, 2), st.booleans(), st.integers(1, 30))
def test_output_size_is_torchs(kernel: int, stride: int, rate: int, padding: int, ceil: bool, size: int) -> None:
    assume(2 * padding <= kernel)
    pool = nn.MaxPool2d(kernel, stride, padding, rate, ceil_mode=ceil)
    window = Window.of(pool)
    ours = window.output_size((size, size + 3))
    assume(min(ours) >= 1)
    assert pool(torch.zeros(1, 1, size, size + 3)).shape[2:] == ours


@given(SMALL, SMALL, SMALL, st.integers(0, 4), st.integers(1, 12), st.integers(0, 3))
def test_blind_windows_are_those_without_a_cell(
    kernel: int, stride: int, rate: int, padding: int, size: int, shift: int
) -> None:
    window = Window((kernel, 1), (stride, 1), (padding, 0), (rate, 1))
    count = window.output_size((size - shift, 1))[0]
    blind = False
    for i in range(count):
        cells = [shift - padding + i * stride + tap * rate for tap in range(kernel)]
        blind |= not any(0 <= c < size for c in cells)
    assert window.blind((size, 1), (shift, 0)) == blind


def test_same_padding_of_two_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"padding='same' of .* pads one side more"):
        Window.of(nn.Conv2d(1, 1, 2, padding="same"))


def test_the_layer_where_a_map_vanishes_is_named() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2))
    assert output_size(net, (6, 9)) == (2, 3)
    with pytest.raises(ValueError, match="an input of 3×9 is too small: nothing is left of it at 1"):
        output_size(net, (3, 9))
