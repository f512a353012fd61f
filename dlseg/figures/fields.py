"""What a unit sees, drawn on its image: the field's rectangle, its taps, and how much each pixel counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from dlseg.common.constants import BLACK, ORANGE, WHITE
from dlseg.figures.labels import RGB
from dlseg.figures.overlays import Mark, Number, Place, dots, outline
from dlseg.figures.panels import Bar

Box = tuple[Number, Number, Number, Number]
MEAN_PIXEL = (123, 117, 104)  # what padding with zeros is like, once the mean is taken off
SMOOTH = 5  # px: single pixels' gradients are too scattered to be seen
DOT, APART = 3.5, 14  # px: a tap's dot, and the distance of taps from which on it is so large
RIM = 3  # px: how thick a large field's rim is
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


def field_bar(smooth: bool = True) -> Bar:
    """The scale of `smoothed`, or of a field as it is."""
    words = f", smoothed over {SMOOTH} px" if smooth else ", as a share of the greatest"
    return Bar(f"|d unit / d pixel|{words}", 0.0, 1.0, "magma", True)


def field_marks(size: tuple[int, int], box: Box, taps: Sequence[Place] = ()) -> list[Mark]:
    """The rim of a field, and a dot where each tap looks.

    Both are drawn finer where a field is small or its taps are close: they do not hide what they mark.

    Args:
        size: height and width of the picture.
        box: the field's top, left, bottom and right, in pixels.
        taps: where the unit's taps look, (row, column) in pixels.

    Returns:
        Marks for `paint`.
    """
    top, _, bottom, _ = box
    dot, rim = DOT * min(1.0, _apart(taps) / APART), max(1, min(RIM, int(bottom - top) // 8))
    return [
        Mark("field in theory", ORANGE, outline(size, box, rim)),
        Mark("", BLACK, dots(size, taps, dot * 1.45)),
        Mark("where its taps look", WHITE, dots(size, taps, dot)),
    ]


def _apart(taps: Sequence[Place]) -> float:
    """Pixels from a tap to the next along an axis; much where there is one."""
    places = np.unique([row for row, _ in taps])
    return float(np.diff(places).min()) if len(places) > 1 else np.inf
