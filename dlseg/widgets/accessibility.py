"""Names and values for screen readers, where ipywidgets leaves them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import ipywidgets

HERE = Path(__file__).parent


class Accessibility(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: in the page it ties each slider of its explorer to its label and to the value shown."""

    _esm = HERE / "accessibility.js"


def explorer_box(rows: list[Any]) -> Any:
    """The rows of an explorer, one under the other, with names and values that screen readers read out."""
    box = ipywidgets.VBox([*rows, Accessibility()])
    box.add_class("dlseg-explorer")
    return box
