"""Pooling with holes: what torch's pools cannot express (padding beyond half a kernel, averages at a rate)."""

from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.atrous.conv import taps
from dlseg.atrous.window import Window


class AtrousPool2d(nn.Module):
    """Max or average pooling whose taps lie `window.rate` cells apart (section 3.1).

    Padding never wins a maximum; an average counts it as zeros or, as torch's AvgPool2d may, not at all.

    Args:
        window: kernel, stride, padding and rate.
        average: instead of the maximum.
        count_include_pad: whether an average counts the padding.
        divisor: what an average is divided by; None: how many cells it counts.

    >>> pool = AtrousPool2d(Window(kernel=(2, 2), rate=(2, 2)))
    >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4))[0, 0].tolist()    # cells two rows and two columns apart
    [[10.0, 11.0], [14.0, 15.0]]
    """

    def __init__(
        self, window: Window, average: bool = False, count_include_pad: bool = True, divisor: int | None = None
    ) -> None:
        super().__init__()
        self.window, self.average = window, average
        self.count_include_pad, self.divisor = count_include_pad, divisor

    @classmethod
    def like(cls, pool: nn.Module, window: Window) -> "AtrousPool2d":
        """A pool of the kind of `pool` (torch's or one of these) over another window."""
        if isinstance(pool, AtrousPool2d):
            return cls(window, pool.average, pool.count_include_pad, pool.divisor)
        if isinstance(pool, nn.AvgPool2d):
            return cls(window, True, pool.count_include_pad, pool.divisor_override)
        return cls(window)

    @property
    def neutral(self) -> float:
        """What padding holds."""
        return 0.0 if self.average else -torch.inf

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """The pooled map.

        Raises:
            ValueError: a window would hold nothing but padding.
        """
        w, size = self.window, (x.shape[2], x.shape[3])
        if min(w.output_size(size)) < 1:
            raise ValueError(f"a map of {size[0]}×{size[1]} is smaller than the pool's window {w.extent}")
        if w.blind(size):
            raise ValueError(
                f"a map of {size[0]}×{size[1]} is too small for a pool of rate {w.rate}: "
                "some windows would hold nothing but padding"
            )
        around = (w.padding[1], w.padding[1], w.padding[0], w.padding[0])
        return self.over(F.pad(x, around, value=self.neutral), F.pad(torch.ones_like(x[:1, :1]), around))

    def over(self, padded: Tensor, inside: Tensor) -> Tensor:
        """Pool a map that is padded already; `inside` is 1 on the map and 0 on its padding."""
        w = self.window
        if not self.average:
            return F.max_pool2d(padded, w.kernel, w.stride, dilation=w.rate)
        total = reduce(torch.add, taps(padded, w))
        if self.divisor is not None:
            return total / self.divisor
        if self.count_include_pad:
            return total / (w.kernel[0] * w.kernel[1])
        return total / reduce(torch.add, taps(inside, w))

    def extra_repr(self) -> str:
        """As torch's pools print themselves."""
        w, kind = self.window, "average" if self.average else "max"
        return f"{kind}, kernel={w.kernel}, stride={w.stride}, padding={w.padding}, rate={w.rate}"
