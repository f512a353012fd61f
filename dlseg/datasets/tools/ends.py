"""Pictures of one end of a tool each: the first lesson of a classifier of whole tools.

Whole tools are learned slowly from random weights, for no end alone tells a class: after 600 iterations of 32 a
VGG-16 of 1/8 width names a quarter of them. From the convolutions of a classifier of ends, 98 of 100.
"""

from dataclasses import replace

from dlseg.datasets.tools import TOOLS
from dlseg.datasets.tools.parts import ENDS
from dlseg.datasets.tools.render import PORTRAIT, end_portrait

__all__ = ["CLASSES", "classification"]

CLASSES: tuple[str, ...] = ("background", *ENDS)
classification = replace(
    TOOLS, name="tools.ends", classes=CLASSES, portrait=end_portrait, side=PORTRAIT // 2
).classification
