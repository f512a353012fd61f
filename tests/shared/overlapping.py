"""A picture's things as numbers: rectangles, the later over the earlier, some beyond the border."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def things(draw: st.DrawFn) -> np.ndarray:
    """(18, 21): 0 the ground, then up to four rectangles."""
    thing = np.zeros((18, 21), np.int64)
    for number in range(1, draw(st.integers(0, 4)) + 1):
        y, x = draw(st.integers(-3, 17)), draw(st.integers(-3, 20))
        h, w = draw(st.integers(1, 12)), draw(st.integers(1, 12))
        thing[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = number
    return thing
