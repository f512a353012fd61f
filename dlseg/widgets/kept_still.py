"""An explorer's still in a page that was loaded anew: the explorer itself carries it there."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class KeptStill(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: in JupyterLab it puts `html` into the output below the widget `explorer` (a model's id)."""

    _esm = HERE / "kept_still.js"

    explorer = traitlets.Unicode().tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
