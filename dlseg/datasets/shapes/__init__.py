"""The embedded data set: scenes of textured things told apart by their shape alone, made from a seed."""

from dlseg.datasets.shapes.generated import SPLITS, Generated
from dlseg.datasets.shapes.render import CLASSES, portrait, scene

__all__ = [
    "CLASSES",
    "SHAPES",
    "SPLITS",
    "VERSION",
    "classification",
    "file_name",
    "folder_name",
    "jpeg",
    "make",
    "picture",
    "write",
]

VERSION = 3
SHAPES = Generated("shapes", VERSION, CLASSES, scene, portrait, side=128)
picture, classification, make, write = SHAPES.picture, SHAPES.classification, SHAPES.make, SHAPES.write
folder_name, file_name, jpeg = SHAPES.folder_name, SHAPES.file_name, SHAPES.jpeg
