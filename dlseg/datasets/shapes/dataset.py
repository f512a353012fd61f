"""The embedded data set: scenes of textured things told apart by their shape alone, made from a seed."""

from __future__ import annotations

from dlseg.datasets.shapes.generated import Generated
from dlseg.datasets.shapes.render import CLASSES, portrait, scene

VERSION = 3
SHAPES = Generated("shapes", VERSION, CLASSES, scene, portrait, side=128)
picture, classification, make, write = SHAPES.picture, SHAPES.classification, SHAPES.make, SHAPES.write
folder_name, file_name, jpeg = SHAPES.folder_name, SHAPES.file_name, SHAPES.jpeg
