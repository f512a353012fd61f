"""The twelve things in the pictures, drawn as outlines in a unit square (y downwards). No colour is decided here.

Every outline varies from one instance to the next, within what a person still calls by the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dlseg.datasets.shapes.polygons import Polygon, arc, box, disc, smooth, stroke, turn
from dlseg.datasets.shapes.rng import Dice


@dataclass(frozen=True)
class Outline:
    """What is filled, and what is cut out of it."""

    solid: list[Polygon]
    holes: list[Polygon] = field(default_factory=list)


def aeroplane(dice: Dice) -> Outline:
    """From above, nose up."""
    sweep, span, girth = dice.real(0.1, 0.28), dice.real(0.42, 0.5), dice.real(0.075, 0.1)
    chord, tail = dice.real(0.2, 0.27), dice.real(0.18, 0.23)
    solid = [smooth([(-girth, 0.5), (-girth, -0.42), (0.0, -0.56), (girth, -0.42), (girth, 0.5)], 2)]
    for side in (-1, 1):
        solid.append(
            np.array(
                [
                    (0.0, -0.14),
                    (side * span, -0.14 + sweep),
                    (side * span, -0.02 + sweep),
                    (0.0, -0.14 + chord + 0.06),
                ]
            )
        )
        solid.append(np.array([(0.0, 0.3), (side * tail, 0.41), (side * tail, 0.48), (0.0, 0.46)]))
    return Outline(solid)


def cat(dice: Dice) -> Outline:
    """Sitting, seen from behind, tail to one side."""
    head, fat, ear = dice.real(0.15, 0.18), dice.real(0.2, 0.26), dice.real(0.46, 0.52)
    body = smooth([(-0.09, -0.2), (0.09, -0.2), (fat, 0.15), (fat + 0.03, 0.5), (-fat - 0.03, 0.5), (-fat, 0.15)])
    ears = [np.array([(s * head * 1.02, -0.2), (s * head * 0.92, -ear), (s * head * 0.1, -0.31)]) for s in (-1, 1)]
    end = dice.real(-0.25, 0.02)
    tail = stroke(arc(fat, end / 2 + 0.225, 0.2, 0.225 - end / 2, 0.25, -0.2, 14), dice.real(0.08, 0.105))
    return Outline([body, disc(0.0, -0.23, head, head * 0.86), *ears, *tail])


def chair(dice: Dice) -> Outline:
    """A kitchen chair, a little from the side: four legs, seat, slatted back."""
    leg, slats, lean = dice.real(0.1, 0.125), 2, dice.real(0.0, 0.06)
    left, right, fx, fy = -0.27, dice.real(0.1, 0.16), dice.real(0.13, 0.18), dice.real(0.12, 0.16)
    seat = np.array([(left, 0.0), (right, 0.0), (right + fx, fy), (left + fx, fy)])
    solid = [seat, *stroke([*map(tuple, seat), tuple(seat[0])], leg)]
    for x, y, foot in [(left, 0.0, 0.38), (right, 0.0, 0.38), (left + fx, fy, 0.5), (right + fx, fy, 0.5)]:
        solid += stroke([(x, y), (x, foot)], leg)
    for x in (left, right):
        solid += stroke([(x, 0.0), (x - lean, -0.48)], leg)
    for i in range(slats):
        y = -0.44 + 0.21 * i
        shift = lean * y / 0.48
        solid.append(box(left + shift, y - 0.05, right + shift, y + 0.075))
    return Outline(solid)


def fish(dice: Dice) -> Outline:
    """From the side, swimming left."""
    belly, fork, fin = dice.real(0.17, 0.24), dice.real(0.16, 0.24), dice.real(0.12, 0.18)
    body = smooth(
        [(-0.54, 0.0), (-0.3, -belly), (0.0, -belly), (0.32, -0.03), (0.32, 0.03), (0.0, belly), (-0.3, belly)]
    )
    tail = np.array([(0.2, 0.0), (0.5, -fork), (0.41, 0.0), (0.5, fork)])
    back = np.array([(-0.22, -belly * 0.7), (0.02, -belly - fin * 0.75), (0.12, -belly * 0.5)])
    under = np.array([(-0.12, belly * 0.7), (0.04, belly + fin * 0.5), (0.08, belly * 0.5)])
    return Outline([body, tail, back, under])


def hammer(dice: Dice) -> Outline:
    """Claw to the right, handle down."""
    grip, depth, face = dice.real(0.11, 0.15), dice.real(0.2, 0.26), dice.real(0.26, 0.33)
    top = -0.5
    head = [box(-face + 0.06, top + 0.02, 0.1, top + depth - 0.02), box(-face, top, -face + 0.09, top + depth)]
    claw = smooth(
        [(0.05, top + 0.01), (0.24, top + 0.02), (0.42, top + 0.32), (0.2, top + 0.22), (0.05, top + depth)], 2
    )
    return Outline([*head, claw, *stroke([(0.0, top + 0.1), (0.0, 0.45)], grip)])


def house(dice: Dice) -> Outline:
    """Gable roof, chimney; one sees through the door and the window."""
    wall, eaves, ridge = dice.real(0.3, 0.38), dice.real(0.08, 0.12), dice.real(-0.5, -0.38)
    roof = np.array([(-wall - eaves, -0.02), (0.0, ridge), (wall + eaves, -0.02)])
    chimney = box(wall * 0.5, ridge - 0.02, wall * 0.5 + 0.11, 0.0)
    door = box(-0.2, 0.16, -0.05, 0.5)
    window = box(0.06, 0.12, dice.real(0.19, 0.24), 0.29)
    return Outline([box(-wall, -0.05, wall, 0.45), roof, chimney], [door, window])


def key(dice: Dice) -> Outline:
    """A ring, a shaft, two or three teeth."""
    ring, wire, teeth = dice.real(0.17, 0.2), dice.real(0.125, 0.155), 2 + dice.below(2)
    solid = stroke(arc(0.0, -0.34, ring * dice.real(0.9, 1.25), ring, 0.0, 1.0, 28), wire)
    solid += stroke([(0.0, -0.34 + ring), (0.0, 0.47)], wire)
    for i in range(teeth):
        y = 0.45 - 0.16 * i
        solid.append(box(0.0, y - 0.048, dice.real(0.19, 0.27), y + 0.048))
    return Outline(solid)


def ladder(dice: Dice) -> Outline:
    """Two rails, three or four rungs."""
    top, foot, rail = dice.real(0.2, 0.26), dice.real(0.26, 0.34), dice.real(0.11, 0.135)
    rungs = 3 + dice.below(2)
    solid = stroke([(-top, -0.5), (-foot, 0.5)], rail) + stroke([(top, -0.5), (foot, 0.5)], rail)
    for i in range(rungs):
        y = -0.5 + (i + 0.5) / rungs
        half = top + (foot - top) * (y + 0.5)
        solid += stroke([(-half, y), (half, y)], rail * 0.9)
    return Outline(solid)


def mug(dice: Dice) -> Outline:
    """A cylinder with a handle on the right."""
    top, foot, low = dice.real(0.28, 0.33), dice.real(0.24, 0.31), dice.real(0.32, 0.42)
    body = [
        np.array([(-top, -low), (top, -low), (foot, low), (-foot, low)]),
        disc(0.0, -low, top, 0.06),
        disc(0.0, low, foot, 0.06),
    ]
    bulge, reach = dice.real(0.18, 0.24), dice.real(0.18, 0.24)
    handle = stroke(
        arc((top + foot) / 2 - 0.02, dice.real(-0.06, 0.04), bulge, reach, -0.25, 0.25, 18), dice.real(0.08, 0.11)
    )
    return Outline([*body, *handle])


def scissors(dice: Dice) -> Outline:
    """Blades up, more or less open."""
    gap, loop, wire = dice.real(0.15, 0.25), dice.real(0.13, 0.155), dice.real(0.1, 0.12)
    solid: list[Polygon] = [disc(0.0, 0.0, 0.09)]
    for side in (-1, 1):
        low = gap * 0.5
        solid.append(
            np.array(
                [(-side * 0.07, 0.05), (side * gap, -0.5), (side * (gap * 0.6 + 0.07), -0.25), (side * 0.1, 0.0)]
            )
        )
        solid += stroke([(0.0, 0.0), (-side * (low + 0.03), 0.2)], 0.12)
        solid += stroke(arc(-side * (low + 0.1), 0.33, loop, loop * 1.3, 0.0, 1.0, 24), wire)
    return Outline(solid)


def umbrella(dice: Dice) -> Outline:
    """Open, scalloped rim, crook handle."""
    high, scallops, stick = dice.real(0.3, 0.38), 4, dice.real(0.085, 0.105)
    rim = -0.08
    dome = arc(0.0, rim, 0.5, high, 0.5, 1.0, 28)
    step = 1.0 / scallops
    hem = [arc(0.5 - step * (i + 0.5), rim, step / 2, 0.06, 0.0, -0.5, 8) for i in range(scallops)]
    crook = arc(0.07, 0.4, 0.07, 0.08, 0.5, 0.0, 10)
    handle = stroke([(0.0, rim - high - 0.05), (0.0, 0.4), *map(tuple, crook[1:])], stick)
    return Outline([np.concatenate([dome, *hem]), *handle])


def wineglass(dice: Dice) -> Outline:
    """Bowl, thin stem, foot."""
    mouth, bowl, stem = dice.real(0.18, 0.23), dice.real(-0.04, 0.06), dice.real(0.085, 0.105)
    cup = smooth(
        [
            (-mouth, -0.5),
            (-mouth * 1.3, -0.2),
            (-mouth * 0.6, bowl),
            (mouth * 0.6, bowl),
            (mouth * 1.3, -0.2),
            (mouth, -0.5),
        ],
        2,
    )
    rim = box(-mouth * 0.98, -0.5, mouth * 0.98, -0.4)
    foot = arc(0.0, 0.5, dice.real(0.19, 0.24), 0.11, 0.5, 1.0)
    return Outline([cup, rim, *stroke([(0.0, -0.1), (0.0, 0.46)], stem), foot])


# name: (outline, how far it may be tilted to either side, in degrees)
OUTLINES: dict[str, tuple[Callable[[Dice], Outline], float]] = {
    "aeroplane": (aeroplane, 45.0),
    "cat": (cat, 10.0),
    "chair": (chair, 12.0),
    "fish": (fish, 25.0),
    "hammer": (hammer, 45.0),
    "house": (house, 8.0),
    "key": (key, 45.0),
    "ladder": (ladder, 20.0),
    "mug": (mug, 15.0),
    "scissors": (scissors, 45.0),
    "umbrella": (umbrella, 25.0),
    "wineglass": (wineglass, 15.0),
}


def draw(name: str, dice: Dice) -> Outline:
    """One instance of a thing: mirrored or not, stretched, sheared, tilted; longer side 1, centred at (0, 0)."""
    make, limit = OUTLINES[name]
    outline = make(dice)
    c, s = turn(dice.real(-limit, limit) / 360)
    mirror, stretch, shear = (-1 if dice.chance(0.5) else 1), dice.real(0.88, 1.14), dice.real(-0.1, 0.1)

    def move(polygon: Polygon) -> Polygon:
        x = polygon[:, 0] * mirror * stretch + polygon[:, 1] * shear
        y = polygon[:, 1] / stretch
        return np.stack([x * c - y * s, x * s + y * c], axis=1)

    solid = [move(p) for p in outline.solid]
    corners = np.concatenate(solid)
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, size = (low + high) / 2, float((high - low).max())
    return Outline([(p - middle) / size for p in solid], [(move(p) - middle) / size for p in outline.holes])
