"""The pairwise kernel (section 4.1) as a formula in the page, with the settings of now in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from dlseg.crf import CRFParams

HERE = Path(__file__).parent


class Formula(anywidget.AnyWidget):  # type: ignore[misc]
    """k(i, j) with a value at each setting; a setting that moves is lit, and its term.

    Args:
        params: the settings to begin with.
        sliders: by setting; the page keeps the formula at their values, without the kernel.
    """

    _esm = HERE / "formula.js"
    _css = HERE / "formula.css"

    w1 = traitlets.Float().tag(sync=True)
    sigma_alpha = traitlets.Float().tag(sync=True)
    sigma_beta = traitlets.Float().tag(sync=True)
    w2 = traitlets.Float().tag(sync=True)
    sigma_gamma = traitlets.Float().tag(sync=True)

    def __init__(self, params: CRFParams, sliders: Mapping[str, Any], **traits: Any) -> None:
        names = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma")
        super().__init__(**{name: getattr(params, name) for name in names}, **traits)
        for name in set(names) & set(sliders):
            ipywidgets.jslink((sliders[name], "value"), (self, name))
