"""Single ends of tools: a first lesson for a classifier of whole tools, which learns slowly from nothing.

A picture shows one end with a stub of its shaft, about as large as on a tool in a picture of twice the size.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from dlseg.datasets.shapes.generated import Generated
from dlseg.datasets.shapes.rng import Dice
from dlseg.datasets.tools.parts import ENDS, WIDTHS, broken_end
from dlseg.datasets.tools.render import Shed, scene, strew

CLASSES = ("background", *ENDS)
SIDE = 112


def portrait(dice: Dice, size: int = SIDE) -> tuple[UInt8[np.ndarray, "H W 3"], int]:
    """A picture of one end, sometimes with a piece of another tool behind it, and its class (from 1)."""
    shed = Shed(dice, size)
    class_index = 1 + dice.below(len(ENDS))
    scale = dice.real(0.78, 1.0) * 2 * size
    if dice.chance(0.5):
        strew(shed, 1, scale, scale + 1.0)
    x, y = (size / 2 + dice.real(-0.15, 0.15) * size for _ in range(2))
    end = broken_end(CLASSES[class_index], dice, dice.real(*WIDTHS))
    shed.add(class_index, shed.covers(end, scale, x, y), scale)
    return shed.develop(), class_index


classification = Generated("tools-ends", 1, CLASSES, scene, portrait, side=SIDE).classification
