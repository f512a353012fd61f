"""A shed in a picture: tools and pieces of tools before a wall, light and shadow, a camera; and its label."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import maximum_filter, minimum_filter

from dlseg.common.constants import VOID
from dlseg.datasets.shapes.outlines import Outline
from dlseg.datasets.shapes.polygons import GRID, fill, turn
from dlseg.datasets.shapes.render import shift, soften
from dlseg.datasets.shapes.rng import Dice
from dlseg.datasets.shapes.textures import PATTERNS, Colour, Field, Picture, value_noise
from dlseg.datasets.tools.parts import ENDS, TOOLS, broken, piece, tool

CLASSES: tuple[str, ...] = ("background", *TOOLS)
SIZE = 321  # 41 × 41 scores at stride 8, as the released networks have
PORTRAIT = 224  # what the classifier sees
INSIDE, OUTSIDE = 2, 3  # how far the void ring reaches on either side of an outline: five pixels, as VOC's
APART = 18.0  # grey levels between the mean colours of a tool and of what is behind it
# what tools, walls and floors alike are made of, so that colour does not tell thing from ground
MATERIALS: tuple[tuple[float, float, float], ...] = (
    (178, 142, 98),  # pine
    (128, 92, 60),  # oak
    (84, 62, 46),  # old wood
    (150, 154, 160),  # steel
    (84, 86, 90),  # iron
    (196, 188, 172),  # plaster
    (142, 138, 130),  # concrete
    (150, 86, 66),  # brick
    (126, 78, 52),  # rust
    (88, 110, 84),  # green paint
    (84, 108, 134),  # blue paint
    (176, 140, 70),  # ochre
)
Window = tuple[slice, slice]
Coverage = Float[np.ndarray, "_ _"]  # how much of each pixel of a window a part covers, 0 to 1


def wood(dice: Dice, height: int, width: int) -> Field:
    """Thin lines of grain along one direction, bent by smooth noise."""
    c, s = turn(dice.real(0.0, 1.0))
    y, x = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)[None, :]
    bend = value_noise(dice, height, width, dice.real(30.0, 60.0))
    phase = (x * c + y * s + dice.real(20.0, 60.0) * bend) / dice.real(9.0, 24.0)
    return np.abs(2 * (phase - np.floor(phase)) - 1) ** 3


def stone(dice: Dice, height: int, width: int) -> Field:
    """Noise of four sizes, as plaster, concrete or rust has it."""
    cell, total = dice.real(40.0, 70.0), np.zeros((height, width))
    for octave, weight in enumerate((0.4, 0.3, 0.2, 0.1)):
        total += weight * value_noise(dice, height, width, cell / 2.5**octave)
    return np.clip((total - 0.5) * 2.5 + 0.5, 0, 1)


def printed(dice: Dice, height: int, width: int) -> Field:
    """One of the patterns of the shapes, at twice their size."""
    small = dice.pick(PATTERNS)(dice, height // 2 + 2, width // 2 + 2)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    return soften(large)[1 : height + 1, 1 : width + 1]


SURFACES = (wood, wood, stone, stone, printed)


def material(dice: Dice) -> Colour:
    """The colour of a material, fresh or worn."""
    tint = np.array([dice.real(-10.0, 10.0) for _ in range(3)])
    return np.clip(np.array(dice.pick(MATERIALS)) * dice.real(0.75, 1.2) + tint, 15, 240)


class Shed:
    """A square picture that is painted from back to front, and which tool each pixel shows (0: none)."""

    def __init__(self, dice: Dice, size: int) -> None:
        self.dice, self.size = dice, size
        self.thing: Int[np.ndarray, "H W"] = np.zeros((size, size), np.int64)
        self.classes, self.areas = [0], [0]
        whole = (slice(0, size), slice(0, size))
        self.picture = np.zeros((size, size, 3))
        self._mix(self._surface(whole, None), np.ones((size, size)), whole)
        if dice.chance(0.7):
            self._mix(self._surface(whole, None), self._floor(), whole)
        self.light = turn(dice.real(0.0, 1.0))
        self.shade = dice.real(0.5, 0.8)

    def cover(self, outline: Outline, scale: float, x: float, y: float) -> tuple[Coverage, Window] | None:
        """How an outline covers the pixels of a window: `scale` pixels a length, its origin at (x, y)."""
        where = np.array([x, y])
        solid = [p * scale + where for p in outline.solid]
        corners = np.concatenate(solid)
        left, top = (max(0, int(v)) for v in np.floor(corners.min(axis=0)))
        right, bottom = (min(self.size, int(v) + 1) for v in np.ceil(corners.max(axis=0)))
        if right - left < 2 or bottom - top < 2:
            return None
        origin = np.array([left, top])
        height, width = bottom - top, right - left
        samples = fill([p - origin for p in solid], height, width)
        if outline.holes:
            samples &= ~fill([p * scale + where - origin for p in outline.holes], height, width)
        lines = np.add.reduce([samples[i::GRID] for i in range(GRID)], dtype=np.int64)
        covered = np.add.reduce([lines[:, i::GRID] for i in range(GRID)]) / (GRID * GRID)
        return covered, (slice(top, bottom), slice(left, right))

    def covers(self, parts: list[Outline], scale: float, x: float, y: float) -> list[tuple[Coverage, Window]]:
        """`cover` of every part that is in the picture."""
        return [found for part in parts if (found := self.cover(part, scale, x, y)) is not None]

    def add(self, class_index: int, parts: list[tuple[Coverage, Window]], scale: float) -> None:
        """Paint a tool, or a piece that has no class (0), over what is there, after its shadow.

        The first part, the shaft, has a surface of its own; each end has that one or another.
        """
        self._shadow(parts, self.dice.real(0.015, 0.05) * scale)
        shaft: tuple[Colour, Colour] | None = None
        number = len(self.classes)
        area = 0
        behind = self.picture.copy()
        for coverage, window in parts:
            around = behind[window][coverage > 0.5]
            mean = around.mean(axis=0) if len(around) else None
            same = shaft is not None and self.dice.chance(0.1)
            colours = shaft if same and shaft is not None else self._colours(mean)
            shaft = shaft or colours
            surface = self._painted(window, *colours) * self._relief(window)
            self._mix(surface, coverage, window)
            mine = coverage >= 0.5
            area += int((self.thing[window][mine] != number).sum())
            self.thing[window][mine] = number if class_index else 0
        if class_index:
            self.classes.append(class_index)
            self.areas.append(area)

    def leaves_room(self, parts: list[tuple[Coverage, Window]]) -> bool:
        """Whether every tool behind stays recognisable: 80 % of it in view."""
        hidden = np.zeros((self.size, self.size), bool)
        for coverage, window in parts:
            hidden[window] |= coverage >= 0.5
        visible = np.bincount(self.thing[~hidden], minlength=len(self.areas)).tolist()
        return all(seen >= 0.8 * area for seen, area in zip(visible[1:], self.areas[1:], strict=True))

    def develop(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture that the camera takes: uneven light, blur, sensor noise."""
        dice, size = self.dice, self.size
        glow = value_noise(dice, size, size, size * 0.6)
        picture = self.picture * (0.7 + 0.7 * glow)[:, :, None]
        blur = dice.real(0.3, 1.0)
        picture = picture * (1 - blur) + soften(soften(picture)) * blur
        picture = picture + dice.real(5.0, 12.0) * dice.grain(size, size)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    def label(self) -> UInt8[np.ndarray, "H W"]:
        """The class of what each pixel shows, 255 on the ring round tools."""
        label = np.array(self.classes, np.uint8)[self.thing]
        label[ring(self.thing)] = VOID
        return label

    def _colours(self, behind: Colour | None) -> tuple[Colour, Colour]:
        """Two shades of a material whose mean keeps `APART` from what is behind, if a few tries find any."""
        best: tuple[float, Colour, Colour] | None = None
        for _ in range(12):
            first = material(self.dice)
            lighter = 1 + self.dice.real(0.2, 0.5) * (1 if self.dice.chance(0.5) else -0.8)
            tint = np.array([self.dice.real(-12.0, 12.0) for _ in range(3)])
            second = np.clip(first * lighter + tint, 10, 245)
            r, g, b = ((first + second) / 2 - (first if behind is None else behind)).tolist()
            gap = float(np.sqrt(r * r + g * g + b * b))
            if best is None or gap > best[0]:
                best = (gap, first, second)
            if behind is None or gap >= APART:
                break
        assert best is not None
        return best[1], best[2]

    def _painted(self, window: Window, first: Colour, second: Colour) -> Picture:
        height, width = (axis.stop - axis.start for axis in window)
        weight = self.dice.pick(SURFACES)(self.dice, height, width)[:, :, None]
        return first * (1 - weight) + second * weight

    def _surface(self, window: Window, behind: Colour | None) -> Picture:
        return self._painted(window, *self._colours(behind))

    def _relief(self, window: Window) -> Float[np.ndarray, "h w 1"]:
        """Brighter towards the light."""
        height, width = (axis.stop - axis.start for axis in window)
        y, x = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)[None, :]
        return (1 - self.dice.real(0.1, 0.4) * (x * self.light[0] + y * self.light[1]))[:, :, None]

    def _shadow(self, parts: list[tuple[Coverage, Window]], distance: float) -> None:
        whole = np.zeros((self.size, self.size))
        for coverage, window in parts:
            whole[window] = np.maximum(whole[window], coverage)
        dark = shift(whole, round(self.light[0] * distance), round(self.light[1] * distance))
        for _ in range(3):
            dark = soften(dark)
        self.picture *= 1 - (1 - self.shade) * dark[:, :, None]

    def _mix(self, surface: Picture, weight: Coverage, window: Window) -> None:
        self.picture[window] += (surface - self.picture[window]) * weight[:, :, None]

    def _floor(self) -> Coverage:
        """What lies below a line that is nearly level."""
        c, s = turn(0.25 + self.dice.real(-0.03, 0.03))
        along, level = np.arange(self.size, dtype=np.float64), self.size * self.dice.real(0.55, 0.9)
        return np.clip((along[None, :] - self.size / 2) * c + (along[:, None] - level) * s + 0.5, 0, 1)


def ring(thing: Int[np.ndarray, "H W"]) -> np.ndarray:
    """The void ring, five pixels wide: two inside of every outline and three outside."""
    wide = 2 * INSIDE + 1
    edge = maximum_filter(thing, wide, mode="nearest") != minimum_filter(thing, wide, mode="nearest")
    near = maximum_filter(thing, 2 * OUTSIDE + 1, mode="nearest") > 0
    return edge | (near & (thing == 0))


def strew(shed: Shed, count: int, low: float, high: float) -> None:
    """Lay `count` pieces of tools anywhere."""
    for _ in range(count):
        scale = shed.dice.real(low, high)
        x, y = (shed.dice.real(0.0, float(shed.size)) for _ in range(2))
        parts = shed.covers(piece(shed.dice), scale, x, y)
        if parts:
            shed.add(0, parts, scale)


def scene(dice: Dice, size: int = SIZE) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """One or two whole tools among pieces, and the label of what is visible."""
    shed, low, high = Shed(dice, size), 205.0 * size / SIZE, 300.0 * size / SIZE
    strew(shed, 2 + dice.below(4), low, high)
    for _ in range(dice.pick((1, 1, 2, 2, 2))):
        for _ in range(8):
            scale = dice.real(low, high)
            x = dice.real(0.2 * scale, size - 0.2 * scale)
            y = dice.real(0.45 * scale, size - 0.45 * scale)
            class_index = 1 + dice.below(len(CLASSES) - 1)
            parts = shed.covers(tool(CLASSES[class_index], dice), scale, x, y)
            if shed.leaves_room(parts):
                shed.add(class_index, parts, scale)
                break
    return shed.develop(), shed.label()


def portrait(dice: Dice, size: int = PORTRAIT) -> tuple[UInt8[np.ndarray, "H W 3"], int]:
    """One tool that fills most of a picture, a piece or two behind it, and its class."""
    shed = Shed(dice, size)
    class_index = 1 + dice.below(len(CLASSES) - 1)
    scale = dice.real(0.78, 1.0) * size
    strew(shed, dice.below(3), 0.78 * size, float(size))
    x, y = size / 2 + dice.real(-0.2, 0.2) * size, size / 2 + dice.real(-0.5, 0.5) * (size - 0.95 * scale)
    shed.add(class_index, shed.covers(tool(CLASSES[class_index], dice), scale, x, y), scale)
    return shed.develop(), class_index


def end_portrait(dice: Dice, size: int = PORTRAIT // 2) -> tuple[UInt8[np.ndarray, "H W 3"], int]:
    """One end on a broken shaft, as large as in a portrait of twice this size, and which end it is (from 1)."""
    shed, scale = Shed(dice, size), dice.real(0.78, 1.0) * 2 * size
    if dice.chance(0.5):
        strew(shed, 1, 0.78 * 2 * size, 2.0 * size)
    index = dice.below(len(ENDS))
    x, y = (size / 2 + dice.real(-0.15, 0.15) * size for _ in range(2))
    shed.add(1, shed.covers(broken(tuple(ENDS)[index], dice), scale, x, y), scale)
    return shed.develop(), index + 1
