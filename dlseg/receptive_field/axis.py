"""What one cell of a map sees of the image along one axis, as exact arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor, lcm

# cell i of the map sees the pixels span(i) = (first, last); numbers outside the image are its padding
Span = Callable[[int], tuple[int, int]]


@dataclass(frozen=True)
class Axis:
    """One axis of a map: what its cells see, pixels from cell to cell on average, and after how many cells the
    pattern repeats (upsampling makes cells of several kinds).
    """

    span: Span = lambda i: (i, i)
    stride: Fraction = Fraction(1)
    period: int = 1

    @property
    def size(self) -> int:
        """Pixels that a cell sees, from the first to the last: the most of any cell."""
        spans = [self.span(i) for i in range(self.period)]
        return max(last - first + 1 for first, last in spans)

    @property
    def centre(self) -> Fraction:
        """The middle of what cell 0 sees; where cells differ, so that the others lie round i · stride from it."""
        middles = [Fraction(sum(self.span(i)), 2) - i * self.stride for i in range(self.period)]
        return sum(middles, Fraction(0)) / self.period

    def _then(
        self, first: Callable[[int], int], last: Callable[[int], int], stride: Fraction, period: int
    ) -> "Axis":
        """The axis of a layer whose cell i looks at the cells first(i) … last(i) of this one."""
        span = self.span
        return Axis(cache(lambda i: (span(first(i))[0], span(last(i))[1])), stride, period)

    def windowed(self, extent: int, stride: int, padding: int) -> "Axis":
        """After a convolution or pooling whose window covers `extent` cells."""
        return self._then(
            lambda i: i * stride - padding,
            lambda i: i * stride - padding + extent - 1,
            self.stride * stride,
            self.period,
        )

    def transposed(self, extent: int, stride: int, padding: int) -> "Axis":
        """After a transposed convolution: cell i gets what the cells j with j · stride - padding ≤ i scatter."""
        return self._then(
            lambda i: -((extent - 1 - i - padding) // stride),
            lambda i: (i + padding) // stride,
            self.stride / stride,
            self.period * stride,
        )

    def resized(self, old: int, new: int, *, align_corners: bool, nearest: bool) -> "Axis":
        """After interpolation from `old` to `new` cells."""
        ratio = Fraction(old - 1, max(1, new - 1)) if align_corners else Fraction(old, new)
        shift = Fraction(0) if align_corners or nearest else ratio / 2 - Fraction(1, 2)

        def source(i: int) -> Fraction:
            place = i * ratio + shift
            # only the map's own cells take the border's value: a cell outside is padding, and repeats the pattern
            return min(max(place, Fraction(0)), Fraction(old - 1)) if 0 <= i < new else place

        return self._then(
            lambda i: floor(source(i)),
            lambda i: (floor if nearest else ceil)(source(i)),
            self.stride * ratio,
            max(new, 1),
        )

    def pooled_to(self, old: int, new: int) -> "Axis":
        """After adaptive pooling from `old` to `new` cells."""
        return self._then(
            lambda i: i * old // new, lambda i: -(-(i + 1) * old // new) - 1, self.stride * Fraction(old, new), new
        )

    def cut(self, start: int, step: int = 1) -> "Axis":
        """After taking every `step`-th cell from `start` on; a negative start is padding in front."""
        return self._then(lambda i: start + i * step, lambda i: start + i * step, self.stride * step, self.period)

    def whole(self, cells: int) -> "Axis":
        """After something that looks at all `cells` of the map."""
        return self._then(lambda _: 0, lambda _: cells - 1, Fraction(0), 1)


def union(axes: list[Axis]) -> Axis:
    """What branches see together where they meet.

    Raises:
        ValueError: their cells lie at different distances in the image.
    """
    strides = {a.stride for a in axes if a.stride} or {Fraction(0)}
    if len(strides) > 1:
        raise ValueError(f"branches of strides {', '.join(str(s) for s in sorted(strides))} meet")
    spans = [a.span for a in axes]

    def both(i: int) -> tuple[int, int]:
        seen = [span(i) for span in spans]
        return min(first for first, _ in seen), max(last for _, last in seen)

    return Axis(cache(both), strides.pop(), lcm(*(a.period for a in axes)))
