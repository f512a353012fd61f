"""What a convolution or a pooling looks at: kernel, stride, padding and rate, read off any torch layer."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from dlseg.common.checks import message

Pair = tuple[int, int]


def pair(value: int | Iterable[int]) -> Pair:
    """`value` for both axes (height, width), as torch's layers mean it.

    >>> pair(3), pair([1, 2])
    ((3, 3), (1, 2))
    """
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


@dataclass(frozen=True)
class Window:
    """What one layer looks at; each field is (height, width), in cells of the layer's input map (section 3.1).

    Attributes:
        kernel: taps.
        stride: from output to output.
        padding: cells around the map.
        rate: from tap to tap, the paper's input stride, torch's dilation.
        ceil: whether sizes are rounded up, as Caffe's pools do.

    >>> window = Window.of(nn.Conv2d(512, 1024, 3, padding=12, dilation=12))    # LargeFOV's fc6
    >>> window.extent, window.output_size((41, 41))
    ((25, 25), (41, 41))
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    rate: Pair = (1, 1)
    ceil: bool = False

    @property
    def extent(self) -> Pair:
        """Cells from the first tap to the last, both counted: (kernel - 1) · rate + 1."""
        (kh, kw), (rh, rw) = self.kernel, self.rate
        return (kh - 1) * rh + 1, (kw - 1) * rw + 1

    def output_size(self, size: Pair) -> Pair:
        """Cells of the output map for an input map of `size`; below one where no window fits."""
        return self._along(0, size[0]), self._along(1, size[1])

    def _along(self, axis: int, n: int) -> int:
        pad, stride = self.padding[axis], self.stride[axis]
        left = n + 2 * pad - self.extent[axis]
        if not self.ceil:
            return left // stride + 1
        count = -(-left // stride) + 1
        # Caffe and torch alike: the last window must begin inside the map or its left padding
        return count - 1 if (count - 1) * stride >= n + pad else count

    def blind(self, size: Pair, shift: Pair = (0, 0)) -> bool:
        """Whether some window on a map of `size` holds nothing but padding: holes can step over a small map.

        With a `shift`, the windows begin so many cells later.
        """
        return any(self._blind(axis, n, shift[axis]) for axis, n in enumerate(size))

    def _blind(self, axis: int, n: int, shift: int) -> bool:
        pad, stride, rate = self.padding[axis], self.stride[axis], self.rate[axis]
        if pad == 0 or (shift == 0 and n >= rate and pad < self.extent[axis]):
            return False  # neighbouring taps cannot step over the map
        starts = range(shift - pad, shift - pad + stride * self._along(axis, n - shift), stride)
        return any(all(not 0 <= start + tap * rate < n for tap in range(self.kernel[axis])) for start in starts)

    @classmethod
    def of(cls, module: nn.Module) -> "Window | None":
        """The window of a convolution or pooling; None for a layer without one (ReLU, dropout, …)."""
        own = getattr(module, "window", None)
        if isinstance(own, cls):
            return own
        if isinstance(module, nn.Conv2d):
            return cls(pair(module.kernel_size), pair(module.stride), _padding(module), pair(module.dilation))
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            rate = pair(getattr(module, "dilation", 1))
            return cls(pair(module.kernel_size), pair(module.stride), pair(module.padding), rate, module.ceil_mode)
        return None


def _padding(conv: nn.Conv2d) -> Pair:
    if not isinstance(conv.padding, str):
        return pair(conv.padding)
    if conv.padding == "valid":
        return 0, 0
    total = tuple(r * (k - 1) for k, r in zip(pair(conv.kernel_size), pair(conv.dilation), strict=True))
    if any(t % 2 for t in total):
        raise ValueError(f"padding='same' of {conv} pads one side more than the other; give the padding as numbers")
    return total[0] // 2, total[1] // 2


# layers that treat every cell of the map alike, by itself
POINTWISE = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Hardtanh,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Threshold,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.AlphaDropout,
    nn.LocalResponseNorm,
    nn.BatchNorm2d,
    nn.Softmax2d,
)


def chain(net: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """The layers of a chain in order, by dotted name, nested chains unrolled.

    Raises:
        TypeError: `net` is no nn.Sequential.
        ValueError: a layer is neither a convolution, a pooling nor pointwise.
    """
    if not isinstance(net, nn.Sequential):
        raise TypeError(message("net", type(net).__name__, "an nn.Sequential of layers"))
    layers: list[tuple[str, nn.Module]] = []
    for name, child in net._modules.items():  # unlike named_children, this repeats a layer used twice
        if isinstance(child, nn.Sequential):
            layers += chain(child, f"{prefix}{name}.")
        elif isinstance(child, POINTWISE) or Window.of(child) is not None:
            layers.append((prefix + name, child))
        else:
            raise ValueError(
                f"{prefix}{name} ({type(child).__name__}) is neither a convolution, a pooling nor "
                "pointwise; fully connected layers become convolutions with convolutionalize"
            )
    return layers


def output_size(net: nn.Module, size: Pair) -> Pair:
    """The size of the map that a chain of layers makes.

    Args:
        net: the chain; only its convolutions and pools count.
        size: (height, width) of the input, in cells.

    Returns:
        (height, width) of the output.

    Raises:
        ValueError: the map vanishes, or a pool would see nothing but padding; it names the layer.

    >>> output_size(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2)), (306, 321))
    (152, 159)
    """
    at = size
    for name, module in net.named_modules(remove_duplicate=False):
        window = Window.of(module)
        if window is None:
            continue
        before, at = at, window.output_size(at)
        if min(at) < 1 or (not isinstance(module, nn.Conv2d) and window.blind(before)):
            raise ValueError(f"an input of {size[0]}×{size[1]} is too small: nothing is left of it at {name}")
    return at
