"""Bar charts in the page's own ink, whose numbers can be read by the cursor and by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets

from dlseg.figures.tables import BarChart

HERE = Path(__file__).parent


class Bars(anywidget.AnyWidget):  # type: ignore[misc]
    """Charts over the same rows, side by side; a row's values are read out under the cursor or by arrow keys."""

    _esm = HERE / "bars.js"
    _css = HERE / "bars.css"

    data = traitlets.Dict().tag(sync=True)

    def show(self, title: str, rows: Sequence[str], charts: Sequence[BarChart], chosen: int = -1) -> None:
        """Draw other charts.

        Args:
            title: what they are of, for those who listen.
            rows: the names of the rows.
            charts: side by side; each with a value for each row.
            chosen: the row whose name is bold; -1 for none.
        """
        drawn = []
        for chart in charts:
            most = max(max(values) for _, values, _ in chart.series)
            series = [
                {
                    "name": name,
                    "texts": [chart.form.format(value) for value in values],
                    "shares": [value / most for value in values],
                    "ink": ink,
                }
                for name, values, ink in chart.series
            ]
            drawn.append({"title": chart.title, "series": series})
        self.data = {"title": title, "rows": list(rows), "charts": drawn, "chosen": chosen}
