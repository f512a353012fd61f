"""Tools: only which two ends a shaft joins tells the class, and every end belongs to three of them."""

from collections import Counter

import numpy as np
import pytest
from scipy.ndimage import label as components

from dlseg.datasets.shapes.outlines import Outline
from dlseg.datasets.shapes.polygons import GRID, fill
from dlseg.datasets.shapes.rng import Dice
from dlseg.datasets.tools.parts import ENDS, TOOLS, piece, tool


def corners(parts: list[Outline]) -> np.ndarray:
    return np.concatenate([polygon for part in parts for polygon in part.solid])


def filled(parts: list[Outline], scale: float) -> np.ndarray:
    """The union of the parts; what is cut out of one may be covered by another."""
    side = int(1.4 * scale)
    out = np.zeros((GRID * side, GRID * side), bool)
    for part in parts:
        solid = fill([p * scale + side / 2 for p in part.solid], side, side)
        out |= solid & ~fill([p * scale + side / 2 for p in part.holes], side, side) if part.holes else solid
    return out


def test_every_end_belongs_to_three_classes() -> None:
    assert len(TOOLS) == 9 and len({tuple(sorted(pair)) for pair in TOOLS.values()}) == 9
    of = Counter(end for pair in TOOLS.values() for end in set(pair))
    assert of == dict.fromkeys(ENDS, 3)


@pytest.mark.parametrize("name", list(TOOLS))
def test_a_tool_is_in_one_piece_and_about_one_long(name: str) -> None:
    for number in range(8):
        parts = tool(name, Dice(3, number))
        points = corners(parts)
        low, high = points.min(axis=0), points.max(axis=0)
        assert 0.9 < high[1] - low[1] < 1.15 and high[0] - low[0] < 0.75
        assert np.abs(low + high).max() < 0.2
        assert components(filled(parts, 60.0), np.ones((3, 3)))[1] == 1


def test_the_ends_lie_further_apart_than_half_of_the_tool() -> None:
    """Of a tool of 205 px, the smallest in a scene, no 128 px view has more than both ends' inner halves."""
    for name in TOOLS:
        for number in range(8):
            _, first, second = tool(name, Dice(4, number))
            middles = [
                np.mean([corners([end]).min(axis=0), corners([end]).max(axis=0)], axis=0) for end in (first, second)
            ]
            assert np.abs(middles[0] - middles[1]).max() * 205 > 128


def test_either_end_is_up_as_often() -> None:
    up = 0
    for number in range(200):
        _, first, second = tool("shovel", Dice(5, number))
        up += corners([first])[:, 1].mean() < corners([second])[:, 1].mean()
    assert 75 < up < 125  # 100 ± 7


def test_pieces_have_one_end_or_none() -> None:
    counts = Counter(len(piece(Dice(6, number))) for number in range(200))
    assert set(counts) == {1, 2} and 15 < counts[1] < 70  # 40 ± 6 bare shafts
    for number in range(40):
        points = corners(piece(Dice(6, number)))
        assert (points.max(axis=0) - points.min(axis=0)).max() < 0.75
