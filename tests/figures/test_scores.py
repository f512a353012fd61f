"""Score maps on one scale; differences and bands against loops over every pixel."""

from collections.abc import Callable

import numpy as np
import pytest

from dlseg.evaluation import trimap_band
from dlseg.figures import (
    Still,
    change_panel,
    difference_panel,
    entropy_panel,
    heat,
    panels,
    score_panels,
    trimap_panel,
)
from dlseg.figures.labels import faded, hatch
from dlseg.figures.overlays import BLUE, ORANGE, PURPLE, VERMILION

RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(0, 3, (8, 6, 7)).astype(np.float32)
IMAGE = RANDOM.integers(0, 256, (20, 24, 3), dtype=np.uint8)
TRUTH = RANDOM.integers(0, 3, (20, 24)).astype(np.uint8)
TRUTH[8:10] = 255
CLASSES = ("background", "stool", "cup", "key", "cat", "hat", "pan", "jug")


def test_the_highest_peaks_come_first_on_one_scale(readable: Callable[[Still], None]) -> None:
    figure = score_panels(SCORES, CLASSES)
    order = sorted(range(8), key=lambda c: -float(SCORES[c].max()))[:6]
    maps = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in maps] == [CLASSES[c] for c in order]
    low, high = float(SCORES[order].min()), float(SCORES[order].max())
    for axes, c in zip(maps, order, strict=True):
        assert np.array_equal(axes.images[0].get_array(), heat(SCORES[c], low, high))
    readable(figure)


def test_chosen_classes_are_shown_in_their_order_and_unknown_ones_named() -> None:
    figure = score_panels(SCORES, CLASSES, chosen=[4, 1])
    assert [axes.get_title() for axes in figure.axes][:2] == ["cat", "stool"]
    with pytest.raises(ValueError, match=r"chosen: expected classes 0 … 7, got \[8\]"):
        score_panels(SCORES, chosen=[8])


def test_entropy_goes_to_log2_of_the_classes() -> None:
    even = np.full((4, 2, 2), 0.25, np.float32)
    panel = entropy_panel("", even)
    assert panel.bar is not None and panel.bar.high == 2
    assert np.array_equal(panel.picture, heat(np.full((2, 2), 2.0), 0.0, 2.0, "magma"))


def test_change_is_white_where_nothing_changed_and_the_scale_is_even() -> None:
    before = SCORES[0]
    after = before.copy()
    after[0, 0] += 2
    after[1, 1] -= 1
    panel = change_panel("", after, before)
    assert panel.bar is not None and panel.bar.low == -panel.bar.high == pytest.approx(-2)
    still = panel.picture[3, 3].astype(int)
    assert still.min() >= 245 and np.ptp(still) <= 2
    (red, _, blue), (red_down, _, blue_down) = panel.picture[0, 0].astype(int), panel.picture[1, 1].astype(int)
    assert red > blue and blue_down > red_down


def test_differences_pixel_by_pixel() -> None:
    before, after = RANDOM.integers(0, 3, (2, 20, 24)).astype(np.uint8)
    for truth in (TRUTH, None):
        panel = difference_panel("", IMAGE, after, before, truth)
        for r, c in np.ndindex(20, 24):
            wanted = tuple(faded(IMAGE)[r, c])
            if after[r, c] != before[r, c]:
                right = None if truth is None else truth[r, c]
                wanted = BLUE if after[r, c] == right else VERMILION if before[r, c] == right else PURPLE
            assert tuple(panel.picture[r, c]) == wanted
        assert len(panel.keys) == (3 if truth is not None else 1)


def test_the_band_and_its_void() -> None:
    panel = trimap_panel("", IMAGE, TRUTH, 2)
    band = trimap_band(TRUTH, 2)
    assert band.any() and (panel.picture[band] == ORANGE).all()
    void = TRUTH == 255
    assert np.array_equal(panel.picture[void], hatch(20, 24)[void])
    rest = ~(band | void)
    assert np.array_equal(panel.picture[rest], faded(IMAGE)[rest])
    assert panel.labels == (255,) and panel.keys == (("band of 2 px", ORANGE),)


def test_marks_and_labels_share_a_legend(readable: Callable[[Still], None]) -> None:
    figure = panels([trimap_panel("band", IMAGE, TRUTH, 2), difference_panel("change", IMAGE, TRUTH * 0, TRUTH)])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["void", "band of 2 px", "relabelled"]
    readable(figure)


def test_mistakes_are_named(as_users_see_it: None) -> None:
    with pytest.raises(ValueError, match=r"before: expected shape \(20, 24\), got \(19, 24\)"):
        difference_panel("", IMAGE, TRUTH, TRUTH[1:])
