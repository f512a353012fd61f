"""Table 2 as a chart: what each network measures here beside what the paper prints (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from dlseg.common.constants import BLUE, ORANGE, SKY, hex_colour
from dlseg.figures.panels import INK, Still
from dlseg.networks.table2 import Row

INKS = hex_colour(BLUE), hex_colour(ORANGE), hex_colour(SKY)  # of ours, of the paper's, and of a third number
OURS, PAPER, THIRD = range(3)
SHORT = {"deeplab-7x7": "7×7", "deeplab": "4×4", "deeplab-4x4": "4×4, wide", "deeplab-largefov": "LargeFOV"}


@dataclass(frozen=True)
class BarChart:
    """One column of a table as bars: each series has a name, a value for each row, and an ink of INKS."""

    title: str
    series: tuple[tuple[str, tuple[int | float, ...], int], ...]
    form: str


def short_name(row: Row) -> str:
    """What a variant is called where there is little room."""
    return SHORT.get(row.name, row.name)


def table2_bars(rows: Sequence[Row]) -> tuple[BarChart, ...]:
    """Table 2's columns: field, parameters, multiply-adds, the paper's mean IoU and speed.

    >>> from dlseg.networks.table2 import table2
    >>> [chart.title for chart in table2_bars(table2())][:2]
    ['what fc6 sees (px)', 'parameters (millions)']
    """
    return (
        BarChart(
            "what fc6 sees (px)",
            (
                ("as the paper counts", tuple(r.view for r in rows), OURS),
                ("paper", tuple(r.paper.field for r in rows), PAPER),
                ("its whole field", tuple(r.field for r in rows), THIRD),
            ),
            "{:.0f}",
        ),
        BarChart(
            "parameters (millions)",
            (
                ("here", tuple(r.parameters / 1e6 for r in rows), OURS),
                ("paper", tuple(r.paper.parameters for r in rows), PAPER),
            ),
            "{:.1f}",
        ),
        BarChart(
            "multiply-adds (10⁹)",
            (
                ("whole network", tuple(r.macs / 1e9 for r in rows), OURS),
                ("fc6 alone", tuple(r.fc6_macs / 1e9 for r in rows), THIRD),
            ),
            "{:.0f}",
        ),
        BarChart("mean IoU, CRF (%)", (("paper", tuple(r.paper.mean_iou for r in rows), PAPER),), "{:.1f}"),
        BarChart(
            "images a second",
            (("paper: training on a Titan GPU", tuple(r.paper.speed for r in rows), PAPER),),
            "{:.1f}",
        ),
    )


def draw_fields(axes: Axes, rows: Sequence[Row]) -> None:
    """What fc6 sees in each row of table 2, in pixels: measured as the paper counts, the paper's, and truly."""
    _bars(axes, rows, table2_bars(rows)[0])


def draw_parameters(axes: Axes, rows: Sequence[Row]) -> None:
    """The parameters of each row of table 2, in millions: measured, and the paper's."""
    _bars(axes, rows, table2_bars(rows)[1])


def table2_chart(rows: Sequence[Row], chosen: str | None = None) -> Still:
    """Five small charts over the rows of table 2: field, parameters, multiply-adds, the paper's mean IoU and speed.

    Measured numbers are blue, the paper's orange.

    Args:
        rows: of the table.
        chosen: the name of the variant that is set in bold.

    Returns:
        The figure.
    """
    if not rows:
        raise ValueError("rows: got none, expected at least one row of table 2")
    charts = table2_bars(rows)
    figure = Still(10.4, 3.3)
    places = figure.subplots(1, len(charts))
    for axes, chart in zip(places, charts, strict=True):
        _bars(axes, rows, chart)
        axes.set_title(chart.title, fontsize=10.5, color=INK)
        if axes is not places[0]:
            axes.set_yticks(range(len(rows)), [""] * len(rows))
    for label, row in zip(places[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.name == chosen else "normal")
    return figure


def _bars(axes: Axes, rows: Sequence[Row], chart: BarChart) -> None:
    height = 0.8 / len(chart.series)
    for number, (name, values, ink) in enumerate(chart.series):
        places = [place + (number - (len(chart.series) - 1) / 2) * height for place in range(len(rows))]
        bars = axes.barh(places, values, height * 0.9, color=INKS[ink], label=name)
        axes.bar_label(bars, [chart.form.format(value) for value in values], padding=2, fontsize=8.5, color=INK)
    axes.set_xlim(0, 1.42 * max(max(values) for _, values, _ in chart.series))
    axes.set_yticks(range(len(rows)), [short_name(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.legend(fontsize=9, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02))
