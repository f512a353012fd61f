"""The embedded data set: scenes of textured things told apart by their shape alone, made from a seed."""

from dlseg.datasets.shapes.dataset import (
    SHAPES,
    VERSION,
    classification,
    file_name,
    folder_name,
    jpeg,
    make,
    picture,
    write,
)
from dlseg.datasets.shapes.generated import SPLITS
from dlseg.datasets.shapes.render import CLASSES

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
