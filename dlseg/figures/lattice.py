"""Splat, blur, slice: how a lattice blurs without visiting pairs, drawn for one place axis and one grey axis."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from dlseg.common.constants import VERMILION, hex_colour
from dlseg.figures.panels import INK, Still

# columns: two sides of a triangle; its third is their difference
BASIS = np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])
AXES = np.array([[1, 0], [0, 1], [1, -1]])
COLOURS, PICKED = "YlGnBu", hex_colour(VERMILION)
MARGIN, BLUR_REACH = 1.2, 2

Features = Float[np.ndarray, "N 2"]
Corners = Integer[np.ndarray, "N 3 2"]
Weights = Float[np.ndarray, "N 3"]


def row_features(row: UInt8[np.ndarray, "W 3"], sigma_alpha: float, sigma_beta: float) -> Features:
    """Each pixel of an image's row as a point: its place in σα, its grey value in σβ."""
    if sigma_alpha <= 0 or sigma_beta <= 0:
        raise ValueError(f"sigma_alpha, sigma_beta: got {sigma_alpha:g}, {sigma_beta:g}, expected both > 0")
    grey = row.astype(np.float64).mean(axis=1)
    return np.stack([np.arange(len(row)) / sigma_alpha, grey / sigma_beta], axis=1)


def corners(features: Features) -> tuple[Corners, Weights]:
    """The corners of the triangle (side 1) around each point, and its barycentric weights: they add to 1."""
    sides = features @ np.linalg.inv(BASIS).T
    base = np.floor(sides).astype(np.int64)
    a, b = (sides - base).T
    upper = a + b > 1
    first = base + upper[:, None]
    found = np.stack([first, base + AXES[0], base + AXES[1]], axis=1)
    weights = [np.where(upper, a + b - 1, 1 - a - b), np.where(upper, 1 - b, a), np.where(upper, 1 - a, b)]
    return found, np.stack(weights, axis=1)


def splat_blur_slice(
    features: Features, pixel: int
) -> tuple[Float[np.ndarray, "I J"], Float[np.ndarray, "I J"], Float[np.ndarray, "N"], Integer[np.ndarray, "2"]]:
    """A 1 at one pixel: on the lattice, after the blur, read back by every pixel; and the lattice's first index.

    The blur is ¼ ½ ¼ along each of the three axes, as in Adams and others (2010).
    """
    if not 0 <= pixel < len(features):
        raise ValueError(f"pixel: got {pixel}, expected 0 to {len(features) - 1}")
    where, weights = corners(features)
    frame, _ = corners(np.stack(np.meshgrid(*_frame(features).T), axis=-1).reshape(-1, 2))
    origin = frame.min(axis=(0, 1)) - BLUR_REACH
    where = where - origin
    lattice = np.zeros(frame.max(axis=(0, 1)) - origin + 1 + BLUR_REACH)
    lattice[tuple(where[pixel].T)] = weights[pixel]
    blurred = lattice
    for axis in AXES:
        blurred = blurred / 2 + (np.roll(blurred, axis, (0, 1)) + np.roll(blurred, -axis, (0, 1))) / 4
    return lattice, blurred, (blurred[tuple(where.T)].T * weights).sum(axis=1), origin


def lattice_figure(row: UInt8[np.ndarray, "W 3"], pixel: int, sigma_alpha: float, sigma_beta: float) -> Still:
    """One row of an image, its pixels as points on a lattice of triangles: what one of them tells the others.

    Args:
        row: one row of an image, RGB, (W, 3) uint8.
        pixel: the column of the pixel whose weights are shown.
        sigma_alpha: the position scale, in pixels.
        sigma_beta: the colour scale, in levels of 0 to 255.

    Returns:
        The figure.
    """
    features = row_features(row, sigma_alpha, sigma_beta)
    splat, blurred, heard, origin = splat_blur_slice(features, pixel)
    figure = Still(12.0, 4.6)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    words = (
        "splat: a pixel's 1 goes to the\nthree corners around it",
        "blur: corners share with their\nneighbours",
        "slice: every pixel reads the\ncorners around it",
    )
    top = float(blurred.max())
    for axes, title, values in zip(panels, words, (splat, blurred, blurred), strict=True):
        _mesh(axes, origin, values, top, faint=axes is panels[2])
        axes.set_title(title, fontsize=11, color=INK)
        axes.set_xlabel("place along the row, in σα")
        reads = heard if axes is panels[2] else np.zeros(len(features))
        axes.scatter(
            *features.T, c=reads, cmap=COLOURS, vmin=0, vmax=top, s=22, edgecolors=INK, linewidths=0.5, zorder=3
        )
        axes.scatter(*features[pixel], s=110, facecolors="none", edgecolors=PICKED, linewidths=2, zorder=4)
    panels[0].set_ylabel("grey value, in σβ")
    (left, bottom), (right, top_edge) = _frame(features)
    panels[0].set(xlim=(left, right), ylim=(bottom, top_edge))
    scale = ScalarMappable(Normalize(0, top), COLOURS)
    figure.colorbar(scale, ax=list(panels), label="how much of the pixel's 1 arrives", fraction=0.03, extend="max")
    return figure


def _frame(features: np.ndarray) -> np.ndarray:
    """What is shown: the points and a little around them; [[left, bottom], [right, top]]."""
    return np.stack([features.min(axis=0) - MARGIN, features.max(axis=0) + MARGIN])


def _mesh(axes: Axes, origin: np.ndarray, values: np.ndarray, top: float, faint: bool) -> None:
    """The lattice's triangles, and its corners as large as what they hold."""
    index = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), axis=-1).reshape(-1, 2)
    x, y = ((index + origin) @ BASIS.T).T
    axes.triplot(x, y, _triangles(values.shape), color="#c8c8c8", linewidth=0.6, zorder=1)
    held = values.ravel()
    full = held > 1e-3 * top
    if not faint:
        axes.scatter(
            x[full],
            y[full],
            c=held[full],
            cmap=COLOURS,
            vmin=0,
            vmax=top,
            s=60,
            marker="s",
            edgecolors=INK,
            linewidths=0.8,
            zorder=2,
        )


def _triangles(shape: tuple[int, ...]) -> np.ndarray:
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    here, right, up, far = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack([here, right, up], -1), np.stack([far, right, up], -1)]
    return np.concatenate([half.reshape(-1, 3) for half in halves])
