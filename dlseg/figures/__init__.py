"""Pure functions for everything that is shown: arrays in, RGB arrays or matplotlib figures out."""

from dlseg.figures.colormaps import confidence, entropy, heat, heat_over, scale_table
from dlseg.figures.curves import schedule_figure, training_curves
from dlseg.figures.fields import field_marks, field_panel
from dlseg.figures.holes import holes_1d, holes_2d
from dlseg.figures.labels import colour_labels, overlay, present
from dlseg.figures.lattice import lattice_figure
from dlseg.figures.overlays import Mark, dots, enlarged, grid_lines, outline, paint
from dlseg.figures.panels import Bar, Chart, Panel, Still, heat_panel, label_panel, panels
from dlseg.figures.results import confusion_figure, trimap_figure
from dlseg.figures.scores import change_panel, difference_panel, entropy_panel, score_panels, trimap_panel
from dlseg.figures.tables import table2_chart

__all__ = [
    "Bar",
    "Chart",
    "Mark",
    "Panel",
    "Still",
    "change_panel",
    "colour_labels",
    "confidence",
    "confusion_figure",
    "difference_panel",
    "dots",
    "enlarged",
    "entropy",
    "entropy_panel",
    "field_marks",
    "field_panel",
    "grid_lines",
    "heat",
    "heat_over",
    "heat_panel",
    "holes_1d",
    "holes_2d",
    "label_panel",
    "lattice_figure",
    "outline",
    "overlay",
    "paint",
    "panels",
    "present",
    "scale_table",
    "schedule_figure",
    "score_panels",
    "table2_chart",
    "training_curves",
    "trimap_figure",
    "trimap_panel",
]
