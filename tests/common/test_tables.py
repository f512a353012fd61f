"""One table in four forms."""

import csv
import io

import pytest

from dlseg.common.tables import table

HEAD, ROWS = ["method", "IoU, %"], [["a,b", 59.8], ["100%_x", None]]


def test_markdown() -> None:
    assert table(HEAD, ROWS).splitlines() == [
        "| method | IoU, % |",
        "| --- | ---: |",
        "| a,b | 59.8 |",
        "| 100%_x | – |",
    ]


def test_csv_reads_back() -> None:
    assert list(csv.reader(io.StringIO(table(HEAD, ROWS, "csv")))) == [HEAD, ["a,b", "59.8"], ["100%_x", ""]]


def test_latex_escapes() -> None:
    assert table(HEAD, ROWS, "latex").splitlines() == [r"a,b & 59.8 \\", r"100\%\_x & -- \\"]


def test_text_is_aligned_and_an_empty_table_is_a_head() -> None:
    assert table(HEAD, ROWS, "text").splitlines()[1] == "a,b       59.8"
    assert table(HEAD, [], "text") == "method  IoU, %"


def test_a_ragged_row_and_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="rows: got a row of 1 cells, expected 2"):
        table(HEAD, [["a"]])
    with pytest.raises(ValueError, match="format: got 'html'"):
        table(HEAD, ROWS, "html")


def test_signs_that_mean_something_stay_what_they_are() -> None:
    assert table(["a"], [["x|y"], ["two\nlines"]]).splitlines()[2:] == [r"| x\|y |", "| two lines |"]
    assert table(["a"], [["\\"], ["{~^}"]], "latex").splitlines() == [
        r"\textbackslash{} \\",
        r"\{\textasciitilde{}\textasciicircum{}\} \\",
    ]
