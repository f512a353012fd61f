"""Layers against loops over every pixel; what a still shows of them."""

import numpy as np
import pytest

from dlseg.common.constants import BLUE, PURPLE, VERMILION, VOID
from dlseg.figures import Bar, Mark, overlay, scale_table
from dlseg.figures.labels import faded
from dlseg.widgets.layers import (
    LIGHT,
    RIM,
    Picture,
    decimated,
    difference_layer,
    entropy_layer,
    heat_layer,
    label_layer,
    photo_layer,
    scribble_layer,
)

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 256, (20, 24, 3), dtype=np.uint8)
TRUTH = RANDOM.integers(0, 3, (20, 24)).astype(np.uint8)
TRUTH[8:10] = VOID
NAMES = ("background", "stool", "cup")


def test_labels_over_a_photo_are_the_figures_overlay() -> None:
    panel = Picture("t", IMAGE, label_layer(TRUTH, NAMES)).panel()
    assert np.array_equal(panel.picture, overlay(IMAGE, TRUTH)) and panel.labels == (0, 1, 2, VOID)


@pytest.mark.parametrize("known", [True, False])
def test_a_difference_and_whether_it_is_for_the_better(known: bool) -> None:
    after, before = RANDOM.integers(0, 3, (20, 24)), RANDOM.integers(0, 3, (20, 24))
    picture = Picture("t", IMAGE, difference_layer(after, before, TRUTH if known else None)).panel().picture
    for r, c in np.ndindex(20, 24):
        colour = faded(IMAGE)[r, c]
        if after[r, c] != before[r, c]:
            colour = np.array(PURPLE)
            if known and before[r, c] == TRUTH[r, c]:
                colour = np.array(VERMILION)
            if known and after[r, c] == TRUTH[r, c]:
                colour = np.array(BLUE)
        wanted = IMAGE[r, c] + (colour - IMAGE[r, c].astype(float)) * 0.75
        assert np.abs(picture[r, c] - wanted).max() <= 0.51


def test_numbers_that_fade_let_the_photo_through_at_their_low_end_only() -> None:
    values = np.linspace(0, 1, 480).reshape(20, 24)
    picture = Picture("t", IMAGE, heat_layer(values, Bar("", 0.0, 1.0, "viridis", True))).panel().picture
    for r, c in ((0, 0), (5, 7), (10, 20), (19, 23)):
        step = int(values[r, c] * 255 + 0.5)
        share = min(int(step * 2.5), 255) / 255
        wanted = IMAGE[r, c] + (scale_table()[step].astype(float) - IMAGE[r, c]) * share
        assert np.abs(picture[r, c] - wanted).max() <= 0.51
    assert (picture[-1, -1] == scale_table()[255]).all()


def test_marks_hide_numbers_and_have_names() -> None:
    mask = np.zeros((20, 24), bool)
    mask[3:5] = True
    layer = heat_layer(np.zeros((20, 24)), Bar("", 0.0, 1.0)).marked([Mark("tap", BLUE, mask)])
    panel = Picture("t", IMAGE, layer).panel()
    assert (panel.picture[mask] == BLUE).all() and not (panel.picture[~mask] == BLUE).all(-1).any()
    assert panel.keys == (("tap", BLUE),)
    bare = Picture("t", IMAGE, photo_layer((20, 24)).marked([Mark("", BLUE, mask)])).panel()
    assert np.array_equal(bare.picture[~mask], IMAGE[~mask]) and bare.keys == ()


def test_a_still_of_scribbles_names_them_and_hatches_nothing() -> None:
    drawn = np.full((20, 24), VOID, np.uint8)
    drawn[2] = 1
    panel = Picture("t", IMAGE, scribble_layer(drawn, NAMES)).panel()
    assert np.array_equal(panel.picture[4:], IMAGE[4:]) and panel.labels == ()
    assert (panel.picture[[1, 3]] <= np.ceil(IMAGE[[1, 3]] * RIM)).all(), "a dark rim on both sides"
    assert [name for name, _ in panel.keys] == ["stool", "no scribble"]


def test_entropy_is_on_the_scale_of_its_classes() -> None:
    layer = entropy_layer(np.full((4, 3, 3), 0.25, np.float32))
    assert layer.bar is not None and layer.bar.high == 2.0 and (layer.values == 255).all()


def test_a_coarse_layer_is_stretched_over_its_photo() -> None:
    labels = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Picture("t", IMAGE, label_layer(labels, NAMES)).panel().picture
    assert np.array_equal(picture, overlay(IMAGE, decimated(labels, (20, 24))))


@pytest.mark.parametrize("light", [0, 90, 255])
def test_background_scribbles_stand_out_on_any_photo(light: int) -> None:
    photo, drawn = np.full((20, 24, 3), light, np.uint8), np.full((20, 24), VOID, np.uint8)
    drawn[5:8, 3:9] = 0
    panel = Picture("t", photo, scribble_layer(drawn, NAMES)).panel()
    assert (panel.picture[5:8, 3:9] == LIGHT).all() and ("background", LIGHT) in panel.keys
    inside, outside = panel.picture[5, 5].astype(int), panel.picture[4, 5].astype(int)
    assert np.abs(inside - outside).max() > 100
