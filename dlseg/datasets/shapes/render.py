"""Pictures from dice: surfaces, things, light, shadow, a camera; and their labels, with VOC's void ring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from dlseg.common.constants import VOID
from dlseg.datasets.shapes.outlines import OUTLINES, draw
from dlseg.datasets.shapes.polygons import GRID, fill, turn
from dlseg.datasets.shapes.rng import Dice
from dlseg.datasets.shapes.textures import Colour, Picture, colour, companion, paint, value_noise

CLASSES: tuple[str, ...] = ("background", *OUTLINES)
Coverage = Float[np.ndarray, "H W"]  # how much of each pixel a thing covers, 0 to 1


@dataclass(frozen=True)
class Camera:
    """What lies between the scene and the file, drawn once per picture."""

    noise: float
    blur: float

    @classmethod
    def drawn(cls, dice: Dice) -> Camera:
        return cls(noise=dice.real(4.0, 10.0), blur=dice.real(0.1, 0.6))


class Canvas:
    """A square picture that is painted from back to front, and which thing each pixel shows (0: none)."""

    def __init__(self, dice: Dice, size: int) -> None:
        self.dice, self.size = dice, size
        self.palette: list[Colour] = []
        self.thing: Int[np.ndarray, "H W"] = np.zeros((size, size), np.int64)
        self.classes, self.areas = [0], [0]
        self.picture = self._surface(40.0, 0.0)
        if dice.chance(0.5):
            self._mix(self._surface(40.0, 0.0), self._half_plane())
        angle = dice.real(0.0, 1.0)
        self.light = turn(angle)
        self.shade = dice.real(0.5, 0.8)

    def place(self, class_index: int, scale: float, x: float, y: float) -> Coverage:
        """How a new instance of a class would cover the picture: longer side `scale` pixels, middle at (x, y)."""
        outline = draw(CLASSES[class_index], self.dice)
        where = np.array([x, y])
        samples = fill([p * scale + where for p in outline.solid], self.size, self.size)
        if outline.holes:
            samples &= ~fill([p * scale + where for p in outline.holes], self.size, self.size)
        lines = np.add.reduce([samples[i::GRID] for i in range(GRID)], dtype=np.int64)
        return np.add.reduce([lines[:, i::GRID] for i in range(GRID)]) / (GRID * GRID)

    def add(self, class_index: int, coverage: Coverage) -> None:
        """Paint a thing over what is there, after its shadow."""
        distance = self.dice.real(2.0, 6.0)
        dx, dy = round(self.light[0] * distance), round(self.light[1] * distance)
        self.picture *= 1 - (1 - self.shade) * soften(shift(coverage, dx, dy))[:, :, None]
        apart = 55.0 if self.dice.chance(0.85) else 20.0
        self._mix(self._surface(55.0, apart), coverage)
        mine = coverage >= 0.5
        self.thing[mine] = len(self.classes)
        self.classes.append(class_index)
        self.areas.append(int(mine.sum()))

    def leaves_room(self, coverage: Coverage) -> bool:
        """Whether everything behind a thing so placed stays recognisable: 70 % of it in view."""
        visible = np.bincount(self.thing[coverage < 0.5], minlength=len(self.areas)).tolist()
        return all(seen >= 0.7 * area for seen, area in zip(visible[1:], self.areas[1:], strict=True))

    def develop(self, camera: Camera) -> UInt8[np.ndarray, "H W 3"]:
        """The picture that the camera takes: uneven light, a little blur, sensor noise."""
        glow = value_noise(self.dice, self.size, self.size, self.size * 0.7)
        picture = self.picture * (0.7 + 0.5 * glow)[:, :, None]
        picture = picture * (1 - camera.blur) + soften(picture) * camera.blur
        picture = picture + camera.noise * self.dice.grain(self.size, self.size)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    def label(self) -> UInt8[np.ndarray, "H W"]:
        """The class of what each pixel shows, 255 on the ring round things."""
        label = np.array(self.classes, np.uint8)[self.thing]
        label[ring(self.thing)] = VOID
        return label

    def _surface(self, reach: float, apart: float) -> Picture:
        """A new texture; its colours keep `apart` from those already in the picture, if a few tries find any."""
        best: tuple[float, Colour, Colour] | None = None
        for _ in range(24):
            first = colour(self.dice)
            second = companion(self.dice, first, reach)
            gap = min((distance(c, d) for c in (first, second) for d in self.palette), default=apart)
            if best is None or gap > best[0]:
                best = (gap, first, second)
            if gap >= apart:
                break
        assert best is not None
        self.palette += best[1:]
        return paint(self.dice, self.size, self.size, *best[1:])

    def _mix(self, surface: Picture, weight: Coverage) -> None:
        self.picture += (surface - self.picture) * weight[:, :, None]

    def _half_plane(self) -> Coverage:
        """One side of a line through the middle third: a wall above a floor, a table's edge."""
        c, s = turn(self.dice.real(0.0, 1.0))
        middle, along = self.size * self.dice.real(0.33, 0.67), np.arange(self.size, dtype=np.float64)
        return np.clip((along[None, :] - middle) * c + (along[:, None] - middle) * s + 0.5, 0, 1)


def distance(first: Colour, second: Colour) -> float:
    """Between two colours, Euclidean, in grey levels."""
    r, g, b = (float(x) for x in first - second)
    return float(np.sqrt(r * r + g * g + b * b))


def shift(field: Coverage, dx: int, dy: int) -> Coverage:
    """The field moved by a few whole pixels, 0 coming in."""
    height, width = field.shape
    reach = max(abs(dx), abs(dy))
    return np.pad(field, reach)[reach - dy : reach - dy + height, reach - dx : reach - dx + width]


def soften(field: np.ndarray) -> np.ndarray:
    """Blur by (1, 2, 1) / 4 along both axes, edges repeated."""
    for axis in (0, 1):
        wide = np.concatenate([field.take([0], axis), field, field.take([-1], axis)], axis)
        n = field.shape[axis]
        before, after = wide.take(range(n), axis), wide.take(range(2, n + 2), axis)
        field = 0.25 * before + 0.5 * field + 0.25 * after
    return field


def ring(thing: Int[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels of VOC's ring: those with a neighbour (of eight) that shows another thing.

    That is two pixels wide, one on either side of an outline. Where a thing is less than five pixels thick the
    inner pixel is spared, or legs, rims and handles would vanish from the label; what lies behind gives its own.
    """
    height, width = thing.shape
    wide = np.pad(thing, 1, mode="edge")
    around = np.stack([wide[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)])
    edge = (around != thing).any(axis=0)
    thin = (thing > 0) & ~_thick(thing)
    return edge & ~(thin & (around.max(axis=0) == thing))


def _thick(thing: Int[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels in some 5 × 5 block that shows one thing alone (beyond the border counts as more of it)."""
    height, width = thing.shape
    wide = np.pad(thing, 4, mode="edge")
    low, high = wide, wide
    for axis in (0, 1):
        low, high = _slide(low, axis, np.minimum), _slide(high, axis, np.maximum)
    inside = low == high
    for axis in (0, 1):
        inside = _slide(inside, axis, np.logical_or)
    assert inside.shape == (height, width)
    return inside


def _slide(field: np.ndarray, axis: int, combine: np.ufunc) -> np.ndarray:
    """Combine every five neighbours along an axis; four shorter."""
    n = field.shape[axis] - 4
    pieces = [field.take(range(i, i + n), axis) for i in range(5)]
    for piece in pieces[1:]:
        pieces[0] = combine(pieces[0], piece)
    return pieces[0]


def scene(dice: Dice, size: int = 128) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """One to three things in a picture, some in front of others, and the label of what is visible."""
    camera, canvas = Camera.drawn(dice), Canvas(dice, size)
    wanted = dice.pick((1, 1, 1, 1, 2, 2, 2, 3))
    high = 116.0 if wanted < 3 else 95.0
    for _ in range(wanted):
        for _ in range(8):
            scale = dice.real(64.0, high) * size / 128
            x, y = (dice.real(0.42 * scale, size - 0.42 * scale) for _ in range(2))
            class_index = 1 + dice.below(len(CLASSES) - 1)
            coverage = canvas.place(class_index, scale, x, y)
            if canvas.leaves_room(coverage):
                canvas.add(class_index, coverage)
                break
    return canvas.develop(camera), canvas.label()


def portrait(dice: Dice, size: int = 128) -> tuple[UInt8[np.ndarray, "H W 3"], int]:
    """One thing that fills most of a picture, and its class."""
    camera, canvas = Camera.drawn(dice), Canvas(dice, size)
    class_index = 1 + dice.below(len(CLASSES) - 1)
    scale = dice.real(0.5, 0.95) * size
    x, y = (size / 2 + dice.real(-0.5, 0.5) * (size - 0.85 * scale) for _ in range(2))
    canvas.add(class_index, canvas.place(class_index, scale, x, y))
    return canvas.develop(camera), class_index
