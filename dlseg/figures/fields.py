"""What a unit sees, drawn on its image: the field's rectangle, its taps, and how much each pixel counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from dlseg.figures.colormaps import heat_over
from dlseg.figures.labels import RGB
from dlseg.figures.overlays import BLACK, ORANGE, WHITE, Mark, Number, Place, dots, enlarged, outline, paint
from dlseg.figures.panels import Bar, Panel

Box = tuple[Number, Number, Number, Number]
MEAN_PIXEL = (123, 117, 104)  # what padding with zeros is like, once the mean is taken off
SMOOTH = 5  # px: single pixels' gradients are too scattered to be seen
SIDE = 384  # pixels that a small picture is enlarged to, about, so that lines on it are thin


def framed(image: RGB, margin: int) -> UInt8[np.ndarray, "h w 3"]:
    """The image (H, W, 3) in a frame of padding, `margin` pixels wide."""
    height, width = image.shape[:2]
    picture = np.full((height + 2 * margin, width + 2 * margin, 3), MEAN_PIXEL, np.uint8)
    picture[margin : margin + height, margin : margin + width] = image
    return picture


def smoothed(field: Float[np.ndarray, "H W"], margin: int = 0) -> Float[np.ndarray, "h w"]:
    """An effective field over 5 px, as a share of its greatest value, in a frame of zeros."""
    wide = np.pad(gaussian_filter(field.astype(np.float64), SMOOTH), margin)
    return wide / max(float(wide.max()), 1e-30)


def field_bar() -> Bar:
    """The scale of `smoothed`."""
    return Bar(f"|d unit / d pixel|, smoothed over {SMOOTH} px", 0.0, 1.0, "magma", True)


def field_marks(size: tuple[int, int], box: Box, taps: Sequence[Place] = ()) -> list[Mark]:
    """The rim of a field (top, left, bottom, right) and a dot where each tap looks, in pixels of a picture."""
    return [
        Mark("field in theory", ORANGE, outline(size, box, 3)),
        Mark("", BLACK, dots(size, taps, 5)),
        Mark("where its taps look", WHITE, dots(size, taps, 3.5)),
    ]


def field_panel(
    title: str,
    image: RGB,
    box: Box,
    taps: Sequence[Place] = (),
    field: Float[np.ndarray, "H W"] | None = None,
    margin: int = 0,
) -> Panel:
    """A field and its taps on their image (H, W, 3), in pixels; with `field` (H, W), how much each pixel counts.

    `LayerField.box` gives the box, `effective_field` the field. `margin` shows as many pixels of padding round it.
    """
    picture = framed(image, margin)
    bar = None if field is None else field_bar()
    if field is not None and bar is not None:
        picture = heat_over(picture, smoothed(field, margin), bar.low, bar.high, bar.scale)
    times = max(1, SIDE // max(picture.shape[:2]))
    large = enlarged(picture, times)
    top, left, bottom, right = (edge + margin for edge in box)
    places = [((row + margin + 0.5) * times - 0.5, (column + margin + 0.5) * times - 0.5) for row, column in taps]
    rim = top * times, left * times, (bottom + 1) * times - 1, (right + 1) * times - 1
    marks = field_marks(large.shape[:2], rim, places)
    keys = tuple((mark.name, mark.colour) for mark in marks if mark.name and mark.mask.any())
    return Panel(title, paint(large, marks), bar=bar, keys=keys)
