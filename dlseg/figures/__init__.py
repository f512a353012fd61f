"""Pure functions for everything that is shown: arrays in, RGB arrays or matplotlib figures out."""

from dlseg.figures.heat import confidence, entropy, heat, scale_table
from dlseg.figures.labels import colour_labels, overlay, present
from dlseg.figures.stills import Bar, Panel, Still, heat_panel, label_panel, panels

__all__ = ["Bar", "Panel", "Still", "colour_labels", "confidence", "entropy", "heat", "heat_panel", "label_panel",
           "overlay", "panels", "present", "scale_table"]
