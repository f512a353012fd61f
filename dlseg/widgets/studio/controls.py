"""The CRF's settings as sliders: one table says what each is called, its unit, its range, and its meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import ipywidgets

LABEL_WIDTH = "205px"


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


CONTROLS = {
    control.name: control
    for control in (
        Control(
            "w1",
            "w₁ appearance weight",
            "",
            0,
            20,
            0.5,
            "How strongly pixels of like colour, near or far, pull each other to one label",
        ),
        Control(
            "sigma_alpha",
            "σα appearance reach",
            "px",
            1,
            200,
            0.05,
            "How far apart two pixels of like colour may lie and still speak",
            log=True,
        ),
        Control(
            "sigma_beta",
            "σβ colour tolerance",
            "of 255",
            1,
            100,
            0.05,
            "How different two colours may be and still count as alike",
            log=True,
        ),
        Control(
            "w2",
            "w₂ smoothness weight",
            "",
            0,
            20,
            0.5,
            "How strongly close pixels pull each other to one label, whatever their colour",
        ),
        Control("sigma_gamma", "σγ smoothness reach", "px", 0.5, 20, 0.05, "How close is close", log=True),
        Control("iterations", "mean-field iterations", "", 1, 20, 1, "How often every pixel hears all others"),
    )
}


def slider(control: Control, value: int | float) -> Any:
    """A labelled slider for one setting; a value outside the usual range widens the range."""
    unit = f" ({control.unit})" if control.unit else ""
    shared = {
        "description": control.label + unit,
        "tooltip": control.meaning,
        "continuous_update": True,
        "style": {"description_width": LABEL_WIDTH},
        "layout": {"width": "auto", "flex": "1 1 400px"},
    }
    if control.name == "iterations":
        made = ipywidgets.IntSlider(value, int(control.low), int(control.high), **shared)
    elif control.log:
        made = ipywidgets.FloatLogSlider(
            math.sqrt(control.low * control.high),
            base=10,
            step=control.step,
            min=math.log10(control.low),
            max=math.log10(control.high),
            readout_format=".3g",
            **shared,
        )
    else:
        made = ipywidgets.FloatSlider(
            control.low, min=control.low, max=control.high, step=control.step, readout_format=".1f", **shared
        )
    put(made, value)
    return made


def put(made: Any, value: int | float) -> None:
    """Set a slider from code; a value outside its range widens the range.

    A logarithmic slider's steps are laid through the value: the page shows the nearest step, not the value itself.
    All goes in one message: between a new range and a new value the page would snap the old one and send it back.
    """
    with made.hold_sync():
        if isinstance(made, ipywidgets.FloatLogSlider):
            position = math.log10(value)
            steps = max(0, math.ceil((position - made.min) / made.step - 1e-6))
            made.min, made.max = position - steps * made.step, max(made.max, position)
        else:
            made.min, made.max = min(made.min, value), max(made.max, value)
        made.value = value
