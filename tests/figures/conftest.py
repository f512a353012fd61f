"""How figures are looked at: the colour drawn at a place, where their words lie; never a font's pixels."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from dlseg.figures import Still


@pytest.fixture
def colours_at() -> Callable[[Still, Axes, Sequence[tuple[float, float]]], np.ndarray]:
    """`colours_at(figure, axes, places)`: the RGB drawn at these (x, y) of the axes' own coordinates."""

    def look(figure: Still, axes: Axes, places: Sequence[tuple[float, float]]) -> np.ndarray:
        drawn = figure.pixels(dpi=150)
        at = axes.transData.transform(np.asarray(places, float))
        return drawn[drawn.shape[0] - 1 - at[:, 1].astype(int), at[:, 0].astype(int)]

    return look


@pytest.fixture
def near() -> Callable[[np.ndarray, str], np.ndarray]:
    """`near(colours, "#e69f00")`: which of the colours are that one, to within a rounding."""
    return lambda colours, name: (np.abs(colours - 255 * np.array(to_rgb(name))) <= 2).all(-1)


def hidden_ticks(axes: Axes) -> Iterator[Text]:
    """The labels of ticks that matplotlib has but does not draw: beyond the limits, or of axes turned off."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if not (axes.axison and low <= tick.get_loc() <= high):
                yield from (tick.label1, tick.label2)


@pytest.fixture
def readable() -> Callable[[Still], None]:
    """Asserts that no word is cut off by the figure's edge, and that no two lie on top of each other."""

    def check(figure: Still) -> None:
        figure.pixels(dpi=100)
        unseen = {text for axes in figure.axes for text in hidden_ticks(axes)}
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in unseen]
        boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
        for words, box in boxes:
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.width + 1
            assert inside and box.y1 <= figure.bbox.height + 1, f"cut off: {words!r}"
        for (words, box), (others, other) in combinations(boxes, 2):
            wide = min(box.x1, other.x1) - max(box.x0, other.x0)
            high = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert wide <= 1 or high <= 1, f"{words!r} lies on {others!r}"

    return check
