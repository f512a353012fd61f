"""Pure functions for everything that is shown: arrays in, RGB arrays or matplotlib figures out."""

from dlseg.figures.heat import confidence, entropy, heat, scale_table
from dlseg.figures.labels import colour_labels, overlay, present
from dlseg.figures.stills import Panel, Still, label_panel, panels

__all__ = ["Panel", "Still", "colour_labels", "confidence", "entropy", "heat", "label_panel", "overlay", "panels",
           "present", "scale_table"]
