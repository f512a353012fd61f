"""Explorers in plain HTML files that need no Python, server or network: to be read, mailed, put online."""

from dlseg.widgets.webpage.explorers import (
    atrous_parts,
    field_parts,
    pooling_parts,
    table_1_parts,
    table_2_parts,
    training_parts,
)
from dlseg.widgets.webpage.page import page, studio_page, studio_parts

__all__ = [
    "atrous_parts",
    "field_parts",
    "page",
    "pooling_parts",
    "studio_page",
    "studio_parts",
    "table_1_parts",
    "table_2_parts",
    "training_parts",
]
