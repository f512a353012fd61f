"""A field on its image: the rim and the taps where they belong, the heat as it was computed."""

import numpy as np

from dlseg.common.constants import ORANGE, WHITE
from dlseg.figures import field_marks
from dlseg.figures.fields import MEAN_PIXEL, framed, smoothed

IMAGE = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def test_the_frame_is_the_mean_pixel() -> None:
    wide = framed(IMAGE, 5)
    assert np.array_equal(wide[5:-5, 5:-5], IMAGE)
    assert (wide[:5] == MEAN_PIXEL).all() and (wide[:, -5:] == MEAN_PIXEL).all()


def test_the_heat_is_the_fields_share_of_its_greatest() -> None:
    field = np.zeros((40, 48), np.float32)
    field[20, 24] = 3.0
    share = smoothed(field, 2)
    assert share.shape == (44, 52) and share.max() == 1
    assert np.unravel_index(share.argmax(), share.shape) == (22, 26)
    assert (share[:2] == 0).all()


def test_rim_and_taps_where_they_belong() -> None:
    rim, _, taps = field_marks((56, 64), (14, 16, 33, 45), [(19, 24), (-3, 2)])
    rows, columns = np.flatnonzero(rim.mask.any(1)), np.flatnonzero(rim.mask.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (14, 33, 16, 45) and rim.colour == ORANGE
    assert taps.mask[19, 24] and not taps.mask[10:14].any() and taps.colour == WHITE
    assert taps.mask[0, 2], "a tap just outside shows its edge"


def test_the_marks_of_a_small_field_do_not_hide_it() -> None:
    taps = [(20 + row, 20 + column) for row in (-2, 0, 2) for column in (-2, 0, 2)]
    marks = field_marks((40, 40), (17, 17, 23, 23), taps)
    hidden = np.any([mark.mask for mark in marks], axis=0)[17:24, 17:24]
    assert marks[2].mask[22, 22] and hidden.mean() < 0.8
