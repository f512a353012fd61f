"""Nine tools put together from five ends and a shaft: which two ends a shaft joins is all that tells a class.

Every end belongs to three classes, so that who sees one end of a tool and not the other can at best guess among
three; and an end on a broken shaft belongs to none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dlseg.datasets.shapes.outlines import Outline
from dlseg.datasets.shapes.polygons import Polygon, arc, disc, stroke, turn
from dlseg.datasets.shapes.rng import Dice

# name: its two ends; of every pair the first is drawn up or down with equal chance
TOOLS: dict[str, tuple[str, str]] = {
    "pan": ("round", "ring"),
    "spatula": ("square", "ring"),
    "fork": ("tines", "ring"),
    "shovel": ("round", "grip"),
    "spade": ("square", "grip"),
    "pitchfork": ("tines", "grip"),
    "dumbbell": ("round", "round"),
    "paddle": ("square", "square"),
    "spanner": ("tines", "tines"),
}
TILT = 20.0 / 360  # how far a tool leans to either side, in turns
WIDTHS = (0.085, 0.115)  # of a shaft, in lengths of the tool
OVERLAP = 0.03  # how far a shaft runs into an end, in lengths of the tool


def round_end(dice: Dice) -> Outline:
    """A disc, a little longer or wider."""
    rx, ry = dice.real(0.145, 0.18), dice.real(0.145, 0.18)
    return Outline([disc(0.0, -ry, rx, ry)])


def square_end(dice: Dice) -> Outline:
    """A blade with four corners, wider at one side or the other."""
    outer, inner, high = dice.real(0.115, 0.16), dice.real(0.115, 0.16), dice.real(0.27, 0.34)
    return Outline([np.array([(-outer, -high), (outer, -high), (inner, 0.0), (-inner, 0.0)])])


def tines_end(dice: Dice) -> Outline:
    """Two tines on a bow."""
    half, wire, high = dice.real(0.1, 0.13), dice.real(0.075, 0.09), dice.real(0.29, 0.35)
    bow = stroke(arc(0.0, -0.15, half, 0.11, 0.5, 0.0, 12), wire)
    tips = [(-half, -high), (half, -high)]
    return Outline([*bow, *stroke([tips[0], (-half, -0.15)], wire), *stroke([tips[1], (half, -0.15)], wire)])


def ring_end(dice: Dice) -> Outline:
    """A ring to hang the tool up by."""
    radius, wire = dice.real(0.085, 0.105), dice.real(0.07, 0.085)
    return Outline(stroke(arc(0.0, -radius, radius, radius, 0.0, 1.0, 24), wire))


def grip_end(dice: Dice) -> Outline:
    """A bar across, to hold with both hands."""
    half, wire = dice.real(0.12, 0.155), dice.real(0.085, 0.105)
    return Outline(stroke([(-half, -wire / 2), (half, -wire / 2)], wire))


ENDS: dict[str, Callable[[Dice], Outline]] = {
    "round": round_end,
    "square": square_end,
    "tines": tines_end,
    "ring": ring_end,
    "grip": grip_end,
}


def tool(name: str, dice: Dice) -> list[Outline]:
    """One instance: its shaft and its two ends, length 1, centred at (0, 0), tilted, either end up."""
    first, second = (ENDS[end](dice) for end in TOOLS[name])
    bow = dice.real(-0.02, 0.02)
    high, low = (0.5 - _height(end) + OVERLAP for end in (first, second))
    shaft = stroke([(0.0, -high), (bow, 0.0), (0.0, low)], dice.real(*WIDTHS))
    below = Outline([-p for p in second.solid], [-p for p in second.holes])
    parts = [
        Outline(shaft),
        _moved(first, 0.0, -high + OVERLAP),
        _moved(below, 0.0, low - OVERLAP),
    ]
    return _placed(parts, dice)


def piece(dice: Dice) -> list[Outline]:
    """What is left of a broken tool: an end with a stub of its shaft; now and then a bare shaft. No class."""
    wide = dice.real(*WIDTHS)
    if dice.chance(0.2):
        half = dice.real(0.12, 0.26)
        return _placed([Outline([*stroke([(0.0, -half), (0.0, half)], wide)])], dice)
    return broken_end(dice.pick(tuple(ENDS)), dice, wide)


def broken_end(name: str, dice: Dice, wide: float) -> list[Outline]:
    """An end with a stub of its shaft, `wide` lengths of a tool wide, centred at (0, 0)."""
    end = ENDS[name](dice)
    stub = dice.real(0.05, 0.24)
    jag = dice.real(-0.03, 0.03)
    broken = np.array(
        [
            (-wide / 2, -OVERLAP),
            (wide / 2, -OVERLAP),
            (wide / 2, stub + jag),
            (0.0, stub - 0.02),
            (-wide / 2, stub - jag),
        ]
    )
    middle = (stub - _height(end)) / 2
    return _placed([_moved(Outline([broken]), 0.0, -middle), _moved(end, 0.0, -middle)], dice)


def _height(end: Outline) -> float:
    return -float(min(p[:, 1].min() for p in end.solid))


def _moved(outline: Outline, dx: float, dy: float) -> Outline:
    by = np.array([dx, dy])
    return Outline([p + by for p in outline.solid], [p + by for p in outline.holes])


def _placed(parts: list[Outline], dice: Dice) -> list[Outline]:
    """Tilted, sheared a little, either end up."""
    up = -1 if dice.chance(0.5) else 1
    c, s = turn(dice.real(-TILT, TILT))
    shear, stretch = dice.real(-0.06, 0.06), dice.real(0.92, 1.08)

    def move(polygon: Polygon) -> Polygon:
        x, y = polygon[:, 0] * stretch + polygon[:, 1] * shear, polygon[:, 1]
        return up * np.stack([x * c - y * s, x * s + y * c], axis=1)

    return [Outline([move(p) for p in part.solid], [move(p) for p in part.holes]) for part in parts]
