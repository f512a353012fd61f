"""The embedded data set at the paper's scale: tools told apart by the two ends of their shafts alone."""

from dlseg.datasets.shapes.generated import Generated
from dlseg.datasets.tools.render import CLASSES, PORTRAIT, portrait, scene

__all__ = ["CLASSES", "TOOLS", "VERSION", "classification", "file_name", "folder_name", "jpeg", "make", "picture"]

VERSION = 2
TOOLS = Generated("tools", VERSION, CLASSES, scene, portrait, side=PORTRAIT, quality=85, halved=True)
picture, classification, make, write = TOOLS.picture, TOOLS.classification, TOOLS.make, TOOLS.write
folder_name, file_name, jpeg = TOOLS.folder_name, TOOLS.file_name, TOOLS.jpeg
