"""Holes on a grid: the cells painted are those that the library's own filter has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.patches import Circle

from dlseg.atrous import insert_holes
from dlseg.figures import Still, holes_1d, holes_2d
from dlseg.figures.holes import HOLE, TAP, WORDS

ColoursAt = Callable[..., np.ndarray]


@pytest.mark.parametrize(("kernel", "rates"), [(3, (1, 2, 4)), (4, (8,)), (2, (3, 5)), (1, (2,))])
def test_two_axes(
    kernel: int, rates: tuple[int, ...], colours_at: ColoursAt, near: Any, readable: Callable[[Still], None]
) -> None:
    figure, left = holes_2d(kernel, rates), 0.0
    for rate in rates:
        wanted = insert_holes(torch.ones(1, 1, kernel, kernel), rate)[0, 0].numpy() > 0
        side = len(wanted)
        place = max(side, WORDS) + 1
        # a corner of each cell: its middle may hold a 0
        cells = [(left + (place - side) / 2 + c + 0.15, r + 0.15) for r in range(side) for c in range(side)]
        drawn = colours_at(figure, figure.axes[0], cells)
        assert np.array_equal(near(drawn, TAP).reshape(side, side), wanted)
        assert np.array_equal(near(drawn, HOLE).reshape(side, side), ~wanted)
        left += place
    readable(figure)


@pytest.mark.parametrize(("kernel", "rate", "stride", "cells"), [(3, 2, 1, 9), (3, 1, 2, 9), (2, 4, 1, 7)])
def test_one_axis(
    kernel: int,
    rate: int,
    stride: int,
    cells: int,
    colours_at: ColoursAt,
    near: Any,
    readable: Callable[[Still], None],
) -> None:
    figure = holes_1d(kernel, rate, stride, cells)
    axes = figure.axes[0]
    outputs = sorted(c.center[0] for c in axes.patches if isinstance(c, Circle) and c.center[1] == 1)
    windows = [[start + tap * rate for tap in range(kernel)] for start in range(0, cells, stride)]
    windows = [window for window in windows if window[-1] < cells]
    assert outputs == [np.mean([window[0], window[-1]]) for window in windows]
    orange = near(colours_at(figure, axes, [(cell, 0) for cell in range(cells)]), TAP)
    assert np.flatnonzero(orange).tolist() == windows[len(windows) // 2]
    assert len(axes.lines) == kernel * len(windows)
    readable(figure)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="cells: expected at least 5 for 3 taps at rate 2, got 4"):
        holes_1d(cells=4)
    with pytest.raises(ValueError, match="rate: expected a whole number of at least 1, got 0"):
        holes_2d(rates=(0,))
    with pytest.raises(ValueError, match="rates: expected at least one"):
        holes_2d(rates=())
