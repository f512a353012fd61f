"""Table 2 as a chart: what each network measures here beside what the paper prints (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from dlseg.common.constants import BLUE, ORANGE, SKY, hex_colour
from dlseg.figures.panels import INK, Still
from dlseg.networks.table2 import Row

OURS, PAPER_COLOUR, THIRD = hex_colour(BLUE), hex_colour(ORANGE), hex_colour(SKY)
TITLES = (
    "what fc6 sees (px)",
    "parameters (millions)",
    "multiply-adds (10⁹)",
    "mean IoU, CRF (%)",
    "images a second",
)
SHORT = {"deeplab-7x7": "7×7", "deeplab": "4×4", "deeplab-4x4": "4×4, wide", "deeplab-largefov": "LargeFOV"}


def draw_fields(axes: Axes, rows: Sequence[Row]) -> None:
    """What fc6 sees in each row of table 2, in pixels: measured as the paper counts, the paper's, and truly."""
    _bars(
        axes,
        rows,
        [
            ("as the paper counts", [r.view for r in rows], OURS),
            ("paper", [r.paper.field for r in rows], PAPER_COLOUR),
            ("its whole field", [r.field for r in rows], THIRD),
        ],
        "{:.0f}",
    )


def draw_parameters(axes: Axes, rows: Sequence[Row]) -> None:
    """The parameters of each row of table 2, in millions: measured, and the paper's."""
    _bars(
        axes,
        rows,
        [
            ("here", [r.parameters / 1e6 for r in rows], OURS),
            ("paper", [r.paper.parameters for r in rows], PAPER_COLOUR),
        ],
        "{:.1f}",
    )


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
    figure = Still(10.4, 3.3)
    field, size, work, score, speed = figure.subplots(1, 5)
    draw_fields(field, rows)
    draw_parameters(size, rows)
    _bars(
        work,
        rows,
        [
            ("whole network", [r.macs / 1e9 for r in rows], OURS),
            ("fc6 alone", [r.fc6_macs / 1e9 for r in rows], THIRD),
        ],
        "{:.0f}",
    )
    _bars(score, rows, [("paper", [r.paper.mean_iou for r in rows], PAPER_COLOUR)], "{:.1f}")
    _bars(speed, rows, [("paper: training on a Titan GPU", [r.paper.speed for r in rows], PAPER_COLOUR)], "{:.1f}")
    for axes, title in zip(figure.axes, TITLES, strict=True):
        axes.set_title(title, fontsize=10.5, color=INK)
        if axes is not field:
            axes.set_yticks(range(len(rows)), [""] * len(rows))
    for label, row in zip(field.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.name == chosen else "normal")
    return figure


def _bars(
    axes: Axes, rows: Sequence[Row], series: Sequence[tuple[str, Sequence[int | float], str]], form: str
) -> None:
    height = 0.8 / len(series)
    for number, (name, values, colour) in enumerate(series):
        places = [place + (number - (len(series) - 1) / 2) * height for place in range(len(rows))]
        bars = axes.barh(places, values, height * 0.9, color=colour, label=name)
        axes.bar_label(bars, [form.format(value) for value in values], padding=2, fontsize=8.5, color=INK)
    axes.set_xlim(0, 1.42 * max(max(values) for _, values, _ in series))
    axes.set_yticks(range(len(rows)), [SHORT.get(row.name, row.name) for row in rows])
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.legend(fontsize=9, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02))
