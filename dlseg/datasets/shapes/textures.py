"""What surfaces look like: pairs of colours mixed by a pattern. Nothing here knows which object it will cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dlseg.datasets.shapes.polygons import turn
from dlseg.datasets.shapes.rng import Dice

Field = Float[np.ndarray, "H W"]  # how much of the second colour, 0 to 1
Colour = Float[np.ndarray, "3"]
Picture = Float[np.ndarray, "H W 3"]


def _axis(dice: Dice, height: int, width: int) -> tuple[Field, Field]:
    """Coordinates in pixels along a random direction and across it."""
    c, s = turn(dice.real(0.0, 1.0))
    y, x = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)[None, :]
    return x * c + y * s, y * c - x * s


def _wave(position: Field, period: float, hardness: float) -> Field:
    """A triangle wave between 0 and 1, its slopes made steeper by `hardness`."""
    phase = position / period
    triangle = np.abs(2 * (phase - np.floor(phase)) - 1)
    return np.clip((triangle - 0.5) * hardness + 0.5, 0, 1)


def value_noise(dice: Dice, height: int, width: int, cell: float) -> Field:
    """Smooth random values: a coarse grid of them, blended in between."""
    y, x = np.arange(height) / cell, np.arange(width) / cell
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    grid = dice.uniform(int(top[-1]) + 2, int(left[-1]) + 2)
    fy, fx = y - top, x - left
    wy, wx = (fy * fy * (3 - 2 * fy))[:, None], (fx * fx * (3 - 2 * fx))[None, :]
    lines = grid[top] * (1 - wy) + grid[top + 1] * wy
    return lines[:, left] * (1 - wx) + lines[:, left + 1] * wx


def stripes(dice: Dice, height: int, width: int) -> Field:
    along, _ = _axis(dice, height, width)
    return _wave(along + dice.real(0.0, 40.0), dice.real(6.0, 22.0), dice.real(1.0, 5.0))


def checks(dice: Dice, height: int, width: int) -> Field:
    along, across = _axis(dice, height, width)
    period, hardness = dice.real(9.0, 26.0), dice.real(2.0, 6.0)
    a, b = (
        _wave(along + dice.real(0.0, 40.0), period, hardness),
        _wave(across + dice.real(0.0, 40.0), period, hardness),
    )
    return a + b - 2 * a * b


def dots(dice: Dice, height: int, width: int) -> Field:
    along, across = _axis(dice, height, width)
    period = dice.real(8.0, 18.0)
    u, v = (
        _wave(along + dice.real(0.0, 40.0), period, 1.0) - 0.5,
        _wave(across + dice.real(0.0, 40.0), period, 1.0) - 0.5,
    )
    return np.clip((dice.real(0.04, 0.1) - (u * u + v * v)) * 25 + 0.5, 0, 1)


def blobs(dice: Dice, height: int, width: int) -> Field:
    noise = value_noise(dice, height, width, dice.real(7.0, 22.0))
    return np.clip((noise - 0.5) * dice.real(2.0, 6.0) + 0.5, 0, 1)


def cloth(dice: Dice, height: int, width: int) -> Field:
    """Fine grain over coarse."""
    fine, coarse = (
        value_noise(dice, height, width, dice.real(1.5, 3.0)),
        value_noise(dice, height, width, dice.real(5.0, 9.0)),
    )
    return 0.5 * fine + 0.5 * coarse


def gradient(dice: Dice, height: int, width: int) -> Field:
    along, _ = _axis(dice, height, width)
    low, high = along.min(), along.max()
    return (along - low) / (high - low)


PATTERNS: tuple[Callable[[Dice, int, int], Field], ...] = (stripes, checks, dots, blobs, cloth, gradient)


def colour(dice: Dice) -> Colour:
    """Any colour but the extremes, where light and shadow could not show."""
    return np.array([float(30 + dice.below(196)) for _ in range(3)])


def companion(dice: Dice, first: Colour, reach: float) -> Colour:
    """A second colour at most `reach` away from the first in each channel."""
    return np.clip(first + np.array([dice.real(-reach, reach) for _ in range(3)]), 10, 245)


def paint(dice: Dice, height: int, width: int, first: Colour, second: Colour) -> Picture:
    """A surface: one pattern, drawn at random, in two colours."""
    weight = dice.pick(PATTERNS)(dice, height, width)[:, :, None]
    return first * (1 - weight) + second * weight
