"""A line chart in the page's own ink: numbers travel, the browser draws. No matplotlib while sliders move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Curves:
    """Lines over one axis: `lines` maps each line's name to its values at `x`; NaN leaves a gap."""

    title: str
    x_label: str
    x: Sequence[int] | Sequence[float]
    lines: Mapping[str, Sequence[float]]


class Chart(anywidget.AnyWidget):  # type: ignore[misc]
    """Shows `Curves`; `marker` is a place on the x axis, or -1 for none.

    Where it is `pickable`, `picked` follows clicks on it (or Enter): the place on the x axis, and how many clicks
    yet.
    """

    _esm = HERE / "chart.js"
    _css = HERE / "chart.css"

    data = traitlets.Dict().tag(sync=True)
    marker = traitlets.Int(-1).tag(sync=True)
    pickable = traitlets.Bool(False).tag(sync=True)
    picked = traitlets.Tuple((0.0, 0)).tag(sync=True)

    def show(self, curves: Curves) -> None:
        """Draw other curves."""
        lines = [
            {"name": name, "values": [float(value) if isfinite(value) else None for value in values]}
            for name, values in curves.lines.items()
        ]
        self.data = {"title": curves.title, "x_label": curves.x_label, "x": list(curves.x), "lines": lines}
