"""Polygons and how they become pixels. Exact: corners are rounded to integers before any pixel is decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

Polygon = Float[np.ndarray, "_ 2"]  # corners (x, y), y downwards

GRID = 4  # samples per pixel and axis
UNIT = 64  # integer steps between two samples


def turn(angle: float) -> tuple[float, float]:
    """(cos, sin) of an angle in turns, rounded to 2⁻²⁴: the last bit of libm's results differs between machines."""
    radians = 2 * math.pi * angle
    return round(math.cos(radians) * 2**24) / 2**24, round(math.sin(radians) * 2**24) / 2**24


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, steps: int = 24) -> Polygon:
    """Points on an ellipse from `start` to `stop`, in turns clockwise from the right."""
    rays = [turn(start + (stop - start) * i / steps) for i in range(steps + 1)]
    return np.array([(x + rx * c, y + ry * s) for c, s in rays])


def disc(x: float, y: float, rx: float, ry: float | None = None) -> Polygon:
    """A filled ellipse."""
    return arc(x, y, rx, rx if ry is None else ry, 0.0, 1.0, 32)[:-1]


def box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """A filled upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def stroke(points: Sequence[tuple[float, float]] | Polygon, width: float) -> list[Polygon]:
    """A line of this width through the points, with round ends and joints."""
    pieces = [disc(float(x), float(y), width / 2) for x, y in points]
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
        nx, ny = (y0 - y1) / length * width / 2, (x1 - x0) / length * width / 2
        pieces.append(np.array([(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]))
    return pieces


def smooth(points: Sequence[tuple[float, float]], rounds: int = 3) -> Polygon:
    """Round the corners of a closed polygon: each round cuts every corner at a quarter of its sides (Chaikin)."""
    corners = np.array(points, dtype=np.float64)
    for _ in range(rounds):
        after = np.roll(corners, -1, axis=0)
        corners = np.stack([0.75 * corners + 0.25 * after, 0.25 * corners + 0.75 * after], axis=1).reshape(-1, 2)
    return corners


def fill(polygons: Sequence[Polygon], height: int, width: int) -> Bool[np.ndarray, "rows columns"]:
    """The union of the polygons, sampled `GRID` × `GRID` times in every pixel.

    A sample is inside where the winding number is not zero; every polygon is turned the same way round first, so
    overlapping pieces add up instead of cancelling.
    """
    rows, columns = height * GRID, width * GRID
    ups, downs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for polygon in polygons:
        corners = np.rint(polygon * (GRID * UNIT)).astype(np.int64)
        up, down = _crossings(corners, rows, columns)
        if _area(corners) < 0:
            up, down = down, up
        ups.append(up)
        downs.append(down)
    cells = rows * (columns + 1)
    winding = np.bincount(np.concatenate(ups), minlength=cells) - np.bincount(
        np.concatenate(downs), minlength=cells
    )
    return np.cumsum(winding.reshape(rows, columns + 1), axis=1, dtype=np.int16)[:, :columns] != 0


def _area(corners: Int[np.ndarray, "N 2"]) -> int:
    after = np.roll(corners, -1, axis=0)
    return int((corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]).sum())


def _crossings(
    corners: Int[np.ndarray, "N 2"], rows: int, columns: int
) -> tuple[Int[np.ndarray, " U"], Int[np.ndarray, " D"]]:
    """Where edges cross the sample rows, as flat indices row · (columns + 1) + first sample to the right."""
    after = np.roll(corners, -1, axis=0)
    half = UNIT // 2
    # sample row j lies at height UNIT · j + half; an edge owns the rows from its upper end (included) to its lower
    first = np.clip(-((half - np.minimum(corners[:, 1], after[:, 1])) // UNIT), 0, rows)
    last = np.clip(-((half - np.maximum(corners[:, 1], after[:, 1])) // UNIT), 0, rows)
    edge = np.repeat(np.arange(len(corners)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    (x0, y0), (x1, y1) = corners[edge].T, after[edge].T
    x = x0 + (row * UNIT + half - y0) * (x1 - x0) // (y1 - y0)
    index = row * (columns + 1) + np.clip(-((half - x) // UNIT), 0, columns)
    return index[y1 > y0], index[y1 < y0]
