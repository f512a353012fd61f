"""The hole ("à trous") algorithm: dense score maps from a strided network, exactly (paper, section 3.1)."""

from dlseg.atrous.conv import atrous_conv2d, insert_holes
from dlseg.atrous.densify import densify
from dlseg.atrous.pool import AtrousPool2d
from dlseg.atrous.stitch import shift_and_stitch
from dlseg.atrous.window import Window, output_size

__all__ = ["AtrousPool2d", "Window", "atrous_conv2d", "densify", "insert_holes", "output_size", "shift_and_stitch"]
