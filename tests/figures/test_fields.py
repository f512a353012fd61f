"""A field on its image: the rim and the taps where they belong, the heat as it was computed."""

import numpy as np
import pytest

from dlseg.figures import field_panel, heat_over, scale_table
from dlseg.figures.fields import MEAN_PIXEL, SIDE, framed, smoothed
from dlseg.figures.overlays import ORANGE, WHITE

IMAGE = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def test_rim_and_taps_in_the_images_own_pixels() -> None:
    panel = field_panel("", IMAGE, (10, 12, 29, 41), [(15, 20), (-3, 2)], margin=4)
    times = SIDE // 56
    assert panel.picture.shape == (48 * times, 56 * times, 3)
    rim = (panel.picture == ORANGE).all(-1)
    rows, columns = np.flatnonzero(rim.any(1)), np.flatnonzero(rim.any(0))
    assert (rows[0], rows[-1] + 1) == (14 * times, 34 * times)
    assert (columns[0], columns[-1] + 1) == (16 * times, 46 * times)
    taps = (panel.picture == WHITE).all(-1)
    for row, column in ((15, 20), (-3, 2)):  # the second one lies in the padding
        assert taps[round((row + 4.5) * times), round((column + 4.5) * times)]
    assert [name for name, _ in panel.keys] == ["field in theory", "where its taps look"]


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
    panel = field_panel("", IMAGE, (0, 0, 39, 47), (), field)
    times = SIDE // 48
    wanted = heat_over(IMAGE, smoothed(field), 0.0, 1.0)
    middle = panel.picture[times // 2 :: times, times // 2 :: times]
    assert np.array_equal(middle[3:-3, 3:-3], wanted[3:-3, 3:-3])


def test_heat_over_lets_the_image_through_at_its_low_end_only() -> None:
    values = np.linspace(0, 1, 40 * 48).reshape(40, 48)
    picture = heat_over(IMAGE, values, 0.0, 1.0, "viridis")
    for r, c in ((0, 0), (10, 7), (20, 20), (39, 47)):
        step = int(values[r, c] * 255 + 0.5)
        share = min(max(int(step * 2.5), 1), 255) / 255
        wanted = IMAGE[r, c] + (scale_table()[step].astype(float) - IMAGE[r, c]) * share
        assert np.abs(picture[r, c] - wanted).max() <= 0.51
    assert np.abs(picture[0, 0].astype(int) - IMAGE[0, 0]).max() <= 1
    assert (picture[-1, -1] == scale_table()[255]).all()


def test_mistakes_are_named(as_users_see_it: None) -> None:
    with pytest.raises(ValueError, match="values: expected the image's shape"):
        heat_over(IMAGE, np.zeros((39, 48)), 0.0, 1.0)
