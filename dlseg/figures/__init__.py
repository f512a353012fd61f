"""Pure functions for everything that is shown: arrays in, RGB arrays or matplotlib figures out."""

from dlseg.figures.curves import training_curves
from dlseg.figures.heat import confidence, entropy, heat, heat_over, scale_table
from dlseg.figures.labels import colour_labels, overlay, present
from dlseg.figures.marks import Mark, dots, enlarged, grid_lines, outline, paint
from dlseg.figures.stills import Bar, Chart, Panel, Still, heat_panel, label_panel, panels
from dlseg.figures.tables import table2_chart

__all__ = [
    "Bar", "Chart", "Mark", "Panel", "Still", "colour_labels", "confidence", "dots", "enlarged", "entropy",
    "grid_lines", "heat", "heat_over", "heat_panel", "label_panel", "outline", "overlay", "paint", "panels",
    "present", "scale_table", "table2_chart", "training_curves",
]
