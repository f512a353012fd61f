"""Holes on a grid: the cells painted are those that the library's own filter has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Circle

from dlseg.figures import Still, holes_1d
from dlseg.figures.holes import TAP

ColoursAt = Callable[..., np.ndarray]


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
    with pytest.raises(ValueError, match="cells: got 4, expected at least 5 for 3 taps at rate 2"):
        holes_1d(cells=4)
    with pytest.raises(ValueError, match="rate: got 0, expected a whole number of at least 1"):
        holes_1d(rate=0)
