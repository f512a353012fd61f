"""Drives a real JupyterLab in Chromium: the server process, the page of one notebook, its sliders and pictures."""

from labdriver.page import Notebook, Picture, Slider
from labdriver.server import LabServer, Settings

__all__ = ["LabServer", "Notebook", "Picture", "Settings", "Slider"]
