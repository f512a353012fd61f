"""Numbers that every floor must agree on."""

from __future__ import annotations

VOID = 255
"""The label of a pixel that nobody annotated: never learnt from, never counted (VOC's border colour index)."""

MEAN_PIXEL = (122.675, 116.669, 104.008)
"""ImageNet's mean colour, red, green, blue, of 0 to 255: subtracted from every image, as the released code does."""

# Colours of Okabe and Ito (2008), which people with any colour vision can tell apart
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
ORANGE, SKY, GREEN = (230, 159, 0), (86, 180, 233), (0, 158, 115)
BLUE, VERMILION, PURPLE = (0, 114, 178), (213, 94, 0), (204, 121, 167)


def hex_colour(colour: tuple[int, int, int]) -> str:
    """A colour as matplotlib and HTML read it.

    >>> hex_colour(BLUE)
    '#0072b2'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour)
