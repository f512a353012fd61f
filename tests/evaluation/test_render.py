"""The same table five ways, each read back; and the published curves as the paper tells their story."""

import csv
import io
import json

import pytest

from dlseg.evaluation import FORMATS, TRIMAP, render
from dlseg.evaluation.published import WIDTHS

NAN = float("nan")
COLUMNS = {"network": {"mean IoU": 0.62251, "a & b": None}, "with CRF": {"mean IoU": 0.67641, "a & b": NAN}}


def test_text_and_markdown() -> None:
    assert render(COLUMNS) == (
        "per cent  network  with CRF\nmean IoU     62.3      67.6\na & b           –         –"
    )
    assert render(COLUMNS, "markdown", 2).splitlines() == [
        "| per cent | network | with CRF |",
        "| --- | ---: | ---: |",
        "| mean IoU | 62.25 | 67.64 |",
        "| a & b | – | – |",
    ]


def test_csv_and_json_keep_every_digit() -> None:
    rows = list(csv.reader(io.StringIO(render(COLUMNS, "csv"))))
    assert rows == [["measure", "network", "with CRF"], ["mean IoU", "0.62251", "0.67641"], ["a & b", "", ""]]
    assert json.loads(render(COLUMNS, "json")) == {
        "network": {"mean IoU": 0.62251, "a & b": None},
        "with CRF": {"mean IoU": 0.67641, "a & b": None},
    }


def test_a_latex_row_each() -> None:
    assert render({"A_B & C": {"x": 0.5, "y": None}, "D": {"x": 1, "y": 0.25}}, "latex") == (
        "A\\_B \\& C & 50.0 & -- \\\\\nD & 100.0 & 25.0 \\\\"
    )


@pytest.mark.usefixtures("as_users_see_it")
def test_what_cannot_be_rendered() -> None:
    with pytest.raises(ValueError, match="format: got 'html', expected one of text, markdown, csv, latex, json"):
        render(COLUMNS, "html")
    for form in FORMATS:
        with pytest.raises(ValueError, match="expected the same measures in each"):
            render({"a": {"x": 0.1}, "b": {"y": 0.1}}, form)


def test_the_published_curves_rise_and_the_crf_gains_most_at_the_boundary() -> None:
    """6.7 points within one pixel, 3.2 within forty. (The very largest gain is within two pixels: 6.9.)"""
    for curve in TRIMAP.values():
        values = [curve[width] for width in sorted(curve)]
        assert values == sorted(values) and len(set(values)) == len(values)
    gain = [TRIMAP["DeepLab-CRF"][w] - TRIMAP["DeepLab"][w] for w in WIDTHS]
    assert round(gain[0], 1) == 6.7 and round(gain[-1], 1) == 3.2
    assert gain[1:] == sorted(gain[1:], reverse=True) and gain[0] > gain[2]
