"""Marks against slow loops over every pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.figures import Mark, dots, enlarged, grid_lines, outline, paint

SIZE = (11, 14)
EDGE = st.integers(-4, 16)


@settings(deadline=None, max_examples=60)
@given(EDGE, EDGE, st.integers(0, 12), st.integers(0, 12), st.integers(1, 4))
def test_outline_equals_a_loop(top: int, left: int, high: int, wide: int, thickness: int) -> None:
    bottom, right = top + high, left + wide
    mask = outline(SIZE, (top, left, bottom, right), thickness)
    for r, c in np.ndindex(SIZE):
        inside = top <= r <= bottom and left <= c <= right
        depth = min(r - top, bottom - r, c - left, right - c)
        assert mask[r, c] == (inside and depth < thickness)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-5, 20), st.floats(-5, 20)), max_size=4), st.floats(0, 5))
def test_dots_equal_a_loop(places: list[tuple[float, float]], radius: float) -> None:
    mask = dots(SIZE, places, radius)
    for r, c in np.ndindex(SIZE):
        assert mask[r, c] == any((r - y) ** 2 + (c - x) ** 2 <= radius**2 for y, x in places)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(-9, 9))
def test_grid_lines_lie_where_cells_begin(stride: int, offset: int) -> None:
    mask = grid_lines(SIZE, stride, offset)
    for r, c in np.ndindex(SIZE):
        assert mask[r, c] == ((r - offset) % stride == 0 or (c - offset) % stride == 0)


def test_enlarged_repeats_each_cell() -> None:
    values = np.arange(12).reshape(2, 2, 3)
    large = enlarged(values, 3)
    assert large.shape == (6, 6, 3)
    for r, c in np.ndindex(6, 6):
        assert (large[r, c] == values[r // 3, c // 3]).all()


def test_later_marks_lie_on_earlier_ones_and_the_picture_stays() -> None:
    picture = np.full((4, 4, 3), 7, np.uint8)
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    first[:2], second[1:3] = True, True
    painted = paint(picture, [Mark("a", (1, 2, 3), first), Mark("b", (9, 8, 7), second)])
    assert (painted[0] == (1, 2, 3)).all() and (painted[1:3] == (9, 8, 7)).all() and (painted[3] == 7).all()
    assert (picture == 7).all()


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"box: got .*, expected"):
        outline(SIZE, (5, 0, 4, 3))
    with pytest.raises(ValueError, match=r"stride: got .*, expected at least 1"):
        grid_lines(SIZE, 0)
    with pytest.raises(ValueError, match=r"times: got .*, expected"):
        enlarged(np.zeros((2, 2)), 0)
    with pytest.raises(ValueError, match=r"marks: 'a' is \(2, 2\)"):
        paint(np.zeros((3, 3, 3), np.uint8), [Mark("a", (0, 0, 0), np.zeros((2, 2), bool))])
