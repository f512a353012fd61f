"""The hole ("à trous") algorithm: dense score maps from a strided network, exactly (paper, section 3.1)."""

from dlseg.atrous.window import Window, output_size

__all__ = ["Window", "output_size"]
