"""The CRF's settings as sliders: one table says what each is called, its unit, its range, and its meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import ipywidgets

LABEL_WIDTH = "215px"


@dataclass(frozen=True)
class Control:
    """One setting of the CRF: its field in `CRFParams`, its words, its range; `log` for what acts by ratio."""

    name: str
    label: str
    unit: str
    low: int | float
    high: int | float
    step: int | float
    meaning: str
    log: bool = False


CONTROLS = {control.name: control for control in (
    Control("w1", "w₁ appearance weight", "", 0, 20, 0.5,
            "How strongly pixels of like colour, near or far, pull each other to one label"),
    Control("sigma_alpha", "σα appearance reach", "px", 1, 200, 0.05,
            "How far apart two pixels of like colour may lie and still speak", log=True),
    Control("sigma_beta", "σβ colour tolerance", "of 255", 1, 100, 0.05,
            "How different two colours may be and still count as alike", log=True),
    Control("w2", "w₂ smoothness weight", "", 0, 20, 0.5,
            "How strongly close pixels pull each other to one label, whatever their colour"),
    Control("sigma_gamma", "σγ smoothness reach", "px", 0.5, 20, 0.05,
            "How close is close", log=True),
    Control("iterations", "mean-field iterations", "", 1, 20, 1, "How often every pixel hears all others"),
)}


def slider(control: Control, value: int | float) -> Any:
    """A labelled slider for one setting; a value outside the usual range widens the range."""
    low, high = min(control.low, value), max(control.high, value)
    unit = f" ({control.unit})" if control.unit else ""
    shared = {"value": value, "description": control.label + unit, "tooltip": control.meaning,
              "continuous_update": True, "style": {"description_width": LABEL_WIDTH},
              "layout": {"width": "100%", "max_width": "720px"}}
    if control.name == "iterations":
        return ipywidgets.IntSlider(min=int(low), max=int(high), **shared)
    if control.log:
        return ipywidgets.FloatLogSlider(base=10, min=math.log10(low), max=math.log10(high), step=control.step,
                                         readout_format=".3g", **shared)
    return ipywidgets.FloatSlider(min=low, max=high, step=control.step, readout_format=".1f", **shared)
