"""Scenes of tools: labels say what is visible, pieces have no class, the ring is five pixels wide."""

import numpy as np
import pytest
from hypothesis import given, settings
from overlapping import things

from dlseg.common.constants import VOID
from dlseg.datasets.shapes.rng import Dice
from dlseg.datasets.tools.parts import piece, tool
from dlseg.datasets.tools.render import CLASSES, SIZE, Shed, portrait, ring, scene, strew


def slow_ring(thing: np.ndarray) -> np.ndarray:
    """The ring by its definition, pixel by pixel; beyond the border everything goes on as it is."""
    height, width = thing.shape
    out = np.zeros(thing.shape, bool)
    for y in range(height):
        for x in range(width):

            def near(reach: int, y: int = y, x: int = x) -> set[int]:
                rows = [min(max(y + d, 0), height - 1) for d in range(-reach, reach + 1)]
                columns = [min(max(x + d, 0), width - 1) for d in range(-reach, reach + 1)]
                return set(thing[np.ix_(rows, columns)].ravel().tolist())

            out[y, x] = len(near(2)) > 1 or (thing[y, x] == 0 and near(3) != {0})
    return out


@settings(max_examples=30, deadline=None)
@given(things())
def test_ring_equals_its_definition(thing: np.ndarray) -> None:
    assert (ring(thing) == slow_ring(thing)).all()


def test_the_ring_is_five_pixels_wide() -> None:
    thing = np.zeros((30, 40), np.int64)
    thing[:, 20:] = 1
    assert np.flatnonzero(ring(thing)[10]).tolist() == [17, 18, 19, 20, 21]


@pytest.mark.parametrize("number", range(3))
def test_a_scene_is_a_picture_and_its_label(number: int) -> None:
    image, label = scene(Dice(0, 1, number))
    assert image.shape == (SIZE, SIZE, 3) and label.shape == (SIZE, SIZE)
    values = set(np.unique(label).tolist())
    assert values <= {*range(10), VOID} and {0, VOID} < values
    assert 2 <= len(values) - 1 <= 3  # background and one or two tools


@pytest.mark.full  # by day the golden sums hold what is drawn
def test_every_class_appears_and_none_rules() -> None:
    found = np.zeros(10, int)
    for number in range(150):
        _, label = scene(Dice(4, 0, number), 65)
        found[[v for v in np.unique(label) if v != VOID]] += 1
    assert found[0] == 150
    # about 240 tools over 9 classes: 27 of each, standard deviation 5
    assert found[1:].min() >= 10 and found[1:].max() <= 45


def test_pieces_are_background() -> None:
    shed = Shed(Dice(7), 96)
    strew(shed, 5, 60.0, 90.0)
    assert shed.classes == [0] and not shed.label().any()


def test_a_piece_in_front_takes_pixels_from_the_tool_behind() -> None:
    shed = Shed(Dice(8), 96)
    whole = shed.covers(tool("pan", Dice(1)), 90.0, 48.0, 48.0)
    shed.add(1, whole, 90.0)
    before = (shed.thing == 1).sum()
    assert not shed.leaves_room(whole)
    shed.add(0, shed.covers(piece(Dice(2)), 90.0, 48.0, 48.0), 90.0)
    assert 0 < (shed.thing == 1).sum() < before


def test_what_lies_outside_covers_nothing() -> None:
    shed = Shed(Dice(8), 64)
    for x, y in ((-500.0, 30.0), (30.0, -500.0), (600.0, 600.0)):
        assert shed.covers(tool("spade", Dice(1)), 50.0, x, y) == []


def test_half_a_pixel_is_half_covered() -> None:
    from dlseg.datasets.shapes.outlines import Outline
    from dlseg.datasets.shapes.polygons import box

    shed = Shed(Dice(8), 64)
    found = shed.cover(Outline([box(0.0, 0.0, 10.5, 10.0)]), 1.0, 20.0, 30.0)
    assert found is not None
    coverage, window = found
    whole = np.zeros((64, 64))
    whole[window] = coverage
    assert whole[30:40, 20:30].min() == 1 and (whole[30:40, 30] == 0.5).all() and whole.sum() == 105


def test_portraits_show_one_known_tool() -> None:
    image, index = portrait(Dice(0, 2, 1), 64)
    assert image.shape == (64, 64, 3) and 1 <= index < len(CLASSES)
    assert {portrait(Dice(0, 2, n), 32)[1] for n in range(100)} == set(range(1, 10))
