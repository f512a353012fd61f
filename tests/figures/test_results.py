"""Curves, matrices and Table 2: the numbers drawn are the numbers given; every word can be read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps

from dlseg.evaluation.published import TRIMAP
from dlseg.figures import Still, confusion_figure, schedule_figure, table2_chart, trimap_figure
from dlseg.figures.curves import SMOOTH, draw_loss, draw_score
from dlseg.figures.tables import INKS, OURS, PAPER
from dlseg.networks.table2 import table2
from dlseg.training import Recipe

Readable = Callable[[Still], None]
CLASSES = ("background", "stool", "cup", "key")
COUNTS = np.array([[80, 10, 0, 0], [5, 20, 15, 0], [0, 0, 7, 0], [0, 0, 0, 0]])


def widths(axes: Any) -> list[list[float]]:
    return [[bar.get_width() for bar in container] for container in axes.containers]


def test_table2_draws_its_rows_and_the_papers_numbers(readable: Readable, colours_at: Any, near: Any) -> None:
    rows = table2()
    figure = table2_chart(rows, "deeplab-4x4")
    field, size, work, score, speed = figure.axes
    assert widths(field) == [[r.view for r in rows], [224, 128, 224, 224], [404, 308, 404, 404]]
    assert widths(size) == [[r.parameters / 1e6 for r in rows], [134.3, 65.1, 65.1, 20.5]]
    assert widths(work) == [[r.macs / 1e9 for r in rows], [r.fc6_macs / 1e9 for r in rows]]
    assert widths(score) == [[67.64, 63.74, 67.14, 67.64]] and widths(speed) == [[1.44, 2.9, 2.9, 4.84]]
    bold = [label.get_fontweight() == "bold" for label in field.get_yticklabels()]
    assert bold == [False, False, True, False]
    ours, theirs = colours_at(figure, size, [(10, -0.2), (10, 0.2)])  # of the first row
    assert near(ours, INKS[OURS]) and near(theirs, INKS[PAPER])
    readable(figure)


def test_loss_and_score_are_the_numbers_given(readable: Readable) -> None:
    losses = list(np.linspace(3, 1, 60))
    figure = Still(4.0, 4.0)
    loss, score = figure.subplots(2, 1)
    draw_loss(loss, losses)
    draw_score(score, {0: 0.1, 30: 0.4, 60: 0.5})
    assert loss.lines[0].get_ydata().tolist() == losses
    means = [np.mean(losses[max(0, n - SMOOTH) : n]) for n in range(1, 61)]
    np.testing.assert_allclose(loss.lines[1].get_ydata(), means)
    assert score.lines[0].get_xydata().tolist() == [[0, 10], [30, 40], [60, 50]]
    readable(figure)
    draw_loss(Still(2.0, 2.0).add_subplot(), [])


def test_the_schedule_is_the_recipes(readable: Readable) -> None:
    recipe = Recipe()
    figure = schedule_figure({"the paper": recipe, "flat": Recipe(iterations=10, classifier_lr_factor=1.0)})
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["the paper", "the paper: fc8", "flat"]
    rates = lines[0].get_ydata()
    assert rates[[0, 1999, 2000, 4000]].tolist() == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    np.testing.assert_allclose(lines[1].get_ydata(), 10 * rates)
    readable(figure)
    with pytest.raises(ValueError, match="recipes: got none, expected at least one"):
        schedule_figure({})


def test_the_confusion_matrix_by_rows(readable: Readable, colours_at: Any) -> None:
    figure = confusion_figure(COUNTS, CLASSES)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["background", "stool", "cup"]
    shares = {(1, 0): 12.5, (1, 1): 50.0, (1, 2): 37.5, (0, 0): 100 * 80 / 90, (2, 2): 100.0}
    written = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert written == {**{place: f"{share:.0f}" for place, share in shares.items()}, (0, 1): "11"}
    for (row, column), share in shares.items():
        drawn = colours_at(figure, axes, [(column + 0.4, row + 0.4)])[0]
        assert np.abs(drawn - 255 * np.array(colormaps["cividis"](share / 100)[:3])).max() <= 4
    readable(figure)
    with pytest.raises(ValueError, match="at least one counted pixel"):
        confusion_figure(COUNTS * 0)


def test_the_trimap_curve_beside_the_papers(readable: Readable) -> None:
    figure = trimap_figure({"ours": {5: 0.5, 1: 0.25}}, paper=["DeepLab"])
    ours, paper = figure.axes[0].lines
    assert ours.get_xydata().tolist() == [[1, 25], [5, 50]]
    assert paper.get_xydata().tolist() == [list(point) for point in TRIMAP["DeepLab"].items()]
    readable(figure)
    figure = trimap_figure({"low": {1: 0.1}, "high": {1: 0.99, 2: 0.9}}, paper=["DeepLab"])
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["high", "paper, VOC: DeepLab", "low"], "as they lie"
    figure.pixels()
    assert legend.get_window_extent().x0 >= figure.axes[0].get_window_extent().x1, "it covers no curve"
    with pytest.raises(ValueError, match=r"paper: got \['FCN'\], expected some of DeepLab"):
        trimap_figure({}, paper=["FCN"])
