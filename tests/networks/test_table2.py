"""Table 2, computed from the modules, says what the paper's says."""

import pytest

from dlseg.networks.table2 import show, table2


def test_ours_is_the_papers() -> None:
    rows = table2()
    assert [(r.name, r.kernel, r.input_stride) for r in rows] == [
        ("deeplab-7x7", 7, 4),
        ("deeplab", 4, 4),
        ("deeplab-4x4", 4, 8),
        ("deeplab-largefov", 3, 12),
    ]
    for row in rows:
        assert row.view == row.paper.field
        assert round(row.parameters / 1e6, 1) == row.paper.parameters


def test_what_fc6_really_sees() -> None:
    assert [r.field for r in table2()] == [404, 308, 404, 404]
    assert [r.field for r in table2("release")] == [419, 323, 419, 435]


def test_fc6_costs() -> None:
    by_name = {r.name: r for r in table2()}
    assert by_name["deeplab-7x7"].fc6_macs == 39 * 39 * 49 * 512 * 4096
    assert by_name["deeplab-7x7"].macs / by_name["deeplab-largefov"].macs == pytest.approx(4.70, abs=0.01)


def test_shown() -> None:
    text = show(table2())
    assert "| deeplab-largefov | 3×3 | 12 | 224 / 224 | 404 | 20.5 M / 20.5 M |" in text
    assert len(text.splitlines()) == 6
