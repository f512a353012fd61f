"""Pure functions for everything that is shown: arrays in, RGB arrays or matplotlib figures out."""

from dlseg.figures.colormaps import entropy, heat, scale_table
from dlseg.figures.curves import schedule_figure
from dlseg.figures.fields import field_marks
from dlseg.figures.holes import holes_1d
from dlseg.figures.labels import colour_labels, overlay, present
from dlseg.figures.lattice import lattice_figure
from dlseg.figures.overlays import Mark, dots, enlarged, grid_lines, outline, paint
from dlseg.figures.panels import Bar, Chart, Panel, Still, heat_panel, label_panel, panels
from dlseg.figures.results import confusion_figure, trimap_figure
from dlseg.figures.tables import table2_chart
from dlseg.figures.themes import figure_html, show_in_notebooks

__all__ = [
    "Bar",
    "Chart",
    "Mark",
    "Panel",
    "Still",
    "colour_labels",
    "confusion_figure",
    "dots",
    "enlarged",
    "entropy",
    "field_marks",
    "figure_html",
    "grid_lines",
    "heat",
    "heat_panel",
    "holes_1d",
    "label_panel",
    "lattice_figure",
    "outline",
    "overlay",
    "paint",
    "panels",
    "present",
    "scale_table",
    "schedule_figure",
    "show_in_notebooks",
    "table2_chart",
    "trimap_figure",
]
