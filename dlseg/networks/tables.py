"""Rows of layers from the image to pool5, for every trunk the variants stand on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conv:
    """A convolution and its ReLU; fully connected where padding is None."""

    name: str
    channels: int
    kernel: int = 3
    stride: int = 1
    rate: int = 1
    padding: int | None = 1


@dataclass(frozen=True)
class Pool:
    """A pooling: max, unless `average`."""

    name: str
    kernel: int
    stride: int
    padding: int = 0
    rate: int = 1
    ceil: bool = False
    average: bool = False


@dataclass(frozen=True)
class Norm:
    """Krizhevsky's local response normalisation across channels."""

    name: str


@dataclass(frozen=True)
class Geometry:
    """Layers up to fc6, and the sizes that fit.

    Position k of the score map stands for pixel `offset + stride · k`; a crop of `crop` pixels gives `scores`
    positions along each axis.
    """

    rows: tuple[Conv | Pool | Norm, ...]
    crop: int
    scores: int
    stride: int = 8
    offset: int = 0


# (channels, convolutions) of the five stages of VGG-16, configuration D of Simonyan and Zisserman
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _vgg(pools: tuple[Pool, ...], conv5_rate: int = 1, first_padding: int = 1) -> tuple[Conv | Pool | Norm, ...]:
    rows: list[Conv | Pool | Norm] = []
    for stage, (channels, count) in enumerate(_STAGES, start=1):
        rate = conv5_rate if stage == 5 else 1
        rows += [Conv(f"conv{stage}_{i}", channels, rate=rate, padding=rate) for i in range(1, count + 1)]
        rows += [pool for pool in pools if pool.name.startswith(f"pool{stage}")]
    rows[0] = Conv("conv1_1", 64, padding=first_padding)
    return tuple(rows)


def _pools(first_three: Pool, *last: Pool) -> tuple[Pool, ...]:
    p = first_three
    return *(Pool(f"pool{i}", p.kernel, p.stride, p.padding, ceil=p.ceil) for i in (1, 2, 3)), *last


_HALVE, _RELEASED = Pool("", 2, 2, 1), Pool("", 3, 2, 1, ceil=True)
_RELEASED_POOLS = _pools(_RELEASED, Pool("pool4", 3, 1, 1), Pool("pool5", 3, 1, 1))

VGG16 = Geometry(_vgg(_pools(Pool("", 2, 2), Pool("pool4", 2, 2), Pool("pool5", 2, 2))), 224, 1, 32)
PAPER = Geometry(_vgg(_pools(_HALVE, Pool("pool4", 2, 1), Pool("pool5", 2, 1, 1, rate=2)), 2), 306, 39, offset=1)
RELEASE = Geometry(_vgg(_RELEASED_POOLS, 2), 321, 41)
RELEASE_LARGEFOV = Geometry(_vgg((*_RELEASED_POOLS, Pool("pool5a", 3, 1, 1, average=True)), 2), 321, 41)
# Long et al. pad the image by 100 so that a 7×7 fc6 without padding fits at any size, and crop what comes out
_CAFFE = Pool("", 2, 2, ceil=True)
FCN = Geometry(_vgg(_pools(_CAFFE, *(Pool(f"pool{i}", 2, 2, ceil=True) for i in (4, 5))), 1, 100), 500, 500, 1)


def _alexnet(conv1: Conv, pools: tuple[Pool, Pool, Pool], rate: int) -> tuple[Conv | Pool | Norm, ...]:
    tail = (Conv(f"conv{i}", channels, rate=rate, padding=rate) for i, channels in ((3, 384), (4, 384), (5, 256)))
    return (
        conv1,
        Norm("norm1"),
        pools[0],
        Conv("conv2", 256, 5, padding=2),
        Norm("norm2"),
        pools[1],
        *tail,
        pools[2],
    )


# Krizhevsky's two towers joined into one (62.4 M parameters instead of 61.0 M)
ALEXNET = Geometry(
    _alexnet(
        Conv("conv1", 96, 11, 4, padding=0), (Pool("pool1", 3, 2), Pool("pool2", 3, 2), Pool("pool5", 3, 2)), 1
    ),
    227,
    1,
    32,
)
# The authors tried a network of this size (7 M parameters) and never published its layers: LargeFOV's recipe
_FIRST, _KEPT = Conv("conv1", 96, 11, 4, padding=5), (Pool("pool1", 3, 2, 1, ceil=True), Pool("pool2", 3, 1, 1))
DEEPLAB_ALEXNET = Geometry(_alexnet(_FIRST, (*_KEPT, Pool("pool5", 3, 1, 2, rate=2)), 2), 321, 41)
DEEPLAB_ALEXNET_RELEASE = Geometry(_alexnet(_FIRST, (*_KEPT, Pool("pool5", 3, 1, 1)), 2), 321, 41)
