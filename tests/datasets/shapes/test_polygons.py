"""Filling equals the definition: a sample is inside where the winding number is not zero."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.datasets.shapes.polygons import GRID, UNIT, Polygon, arc, box, disc, fill, smooth, stroke, turn

points = st.tuples(st.floats(-4, 12), st.floats(-4, 12))


def winding(polygon: Polygon, x: int, y: int) -> int:
    """How often the rounded polygon runs round the point, in steps of 1 / (GRID · UNIT) pixel, by the slow loop."""
    corners = [tuple(int(v) for v in corner) for corner in np.rint(polygon * GRID * UNIT)]
    turns = 0
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if min(y0, y1) <= y < max(y0, y1):
            crossing = x0 + (y - y0) * (x1 - x0) // (y1 - y0)
            turns += (1 if y1 > y0 else -1) if crossing <= x else 0
    return turns


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(points, min_size=3, max_size=7), min_size=1, max_size=3))
def test_fill_is_the_union_of_windings(shapes: list[list[tuple[float, float]]]) -> None:
    polygons = [np.array(shape) for shape in shapes]
    filled = fill(polygons, 7, 9)
    assert filled.shape == (7 * GRID, 9 * GRID)
    oriented = [p if signed_area(p) >= 0 else p[::-1] for p in polygons]
    for j in range(0, 7 * GRID, 3):
        for i in range(0, 9 * GRID, 2):
            total = sum(winding(p, i * UNIT + UNIT // 2, j * UNIT + UNIT // 2) for p in oriented)
            assert filled[j, i] == (total != 0)


def signed_area(polygon: Polygon) -> int:
    x, y = np.rint(polygon * GRID * UNIT).astype(np.int64).T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def test_a_box_covers_its_area() -> None:
    filled = fill([box(1.0, 2.0, 4.0, 7.0)], 10, 10)
    assert filled.sum() == 3 * 5 * GRID**2
    assert filled[2 * GRID : 7 * GRID, GRID : 4 * GRID].all()


def test_overlapping_pieces_of_opposite_turn_do_not_cancel() -> None:
    square = box(1.0, 1.0, 5.0, 5.0)
    assert (fill([square, square[::-1]], 6, 6) == fill([square], 6, 6)).all()


def test_what_lies_outside_the_picture_is_cut() -> None:
    assert fill([box(-50.0, -50.0, 50.0, 50.0)], 3, 4).all()
    assert not fill([box(-9.0, -9.0, -1.0, -1.0), box(20.0, 0.0, 30.0, 5.0)], 3, 4).any()


def test_nothing_fills_nothing() -> None:
    assert not fill([], 3, 3).any()


@pytest.mark.parametrize(
    ("angle", "expected"), [(0.0, (1, 0)), (0.25, (0, 1)), (0.5, (-1, 0)), (0.125, (0.7071068, 0.7071068))]
)
def test_turn(angle: float, expected: tuple[float, float]) -> None:
    assert turn(angle) == pytest.approx(expected, abs=2**-24)
    assert all((value * 2**24).is_integer() for value in turn(angle))


def test_areas_of_curves() -> None:
    # sampled areas: a sample stands for 1/16 pixel, and the outline passes about 4 · 2π · 20 of them
    assert fill([disc(25.0, 25.0, 20.0)], 50, 50).sum() / GRID**2 == pytest.approx(np.pi * 400, rel=0.01)
    line = fill(stroke([(10.0, 10.0), (40.0, 10.0), (40.0, 30.0)], 6.0), 50, 50).sum() / GRID**2
    # two strips, two half discs at the ends, and at the corner a quarter disc instead of what the strips miss
    assert line == pytest.approx(30 * 6 + 20 * 6 - 9 + np.pi * 9 + np.pi * 9 / 4, rel=0.01)


def test_arc_runs_clockwise_from_the_right() -> None:
    path = arc(5.0, 5.0, 2.0, 1.0, 0.0, 0.25, 4)
    assert path[0] == pytest.approx([7, 5]) and path[-1] == pytest.approx([5, 6])


def test_smooth_cuts_corners() -> None:
    corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]
    once = smooth(corners, 1)
    assert sorted(map(tuple, once.tolist())) == sorted(
        [(1, 0), (3, 0), (4, 1), (4, 3), (3, 4), (1, 4), (0, 3), (0, 1)]
    )
