"""The paper's tables as data: every variant, layer by layer (sections 3.1, 3.2, 4.2 and 5, table 2).

Two geometries are kept apart. `"paper"` is what the text says: VGG-16's own 2×2 pools, the fifth with
holes, which is what makes section 3.1 exact. `"release"` is what the published Caffe files do: 3×3 pools,
the fifth without holes, and in LargeFOV an average pool after it that the text never mentions. The files of
7x7 and 4x4 were never found; they are taken to be like the others. The sizes of the paper, 306 → 39, need the
padding of the pools that its first released file has.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dlseg.common import checks

GeometryName = Literal["paper", "release"]
Kind = Literal["classifier", "segmentation", "multi-scale", "fcn"]


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


@dataclass(frozen=True)
class Published:
    """One row of table 2: fc6's "receptive field" as the paper counts it (padding view), in pixels; parameters
    in millions; mean IOU in per cent on the validation set after the CRF; training images a second on a Titan."""

    field: int
    parameters: float
    mean_iou: float
    speed: float


@dataclass(frozen=True)
class Variant:
    """One network of the paper. fc6 is fully connected where its padding is None; fc7 has as many channels."""

    name: str
    kind: Kind
    fc6: Conv
    paper: Geometry
    release: Geometry
    published: Published | None = None
    skips: int = 0

    def geometry(self, name: GeometryName) -> Geometry:
        """The layers and sizes of one geometry."""
        return self.paper if name == "paper" else self.release


def _fc6(kernel: int, rate: int, padding: int | None, channels: int = 4096) -> Conv:
    return Conv("fc6", channels, kernel, rate=rate, padding=padding)


def _deeplab(name: str, fc6: Conv, published: Published | None = None) -> Variant:
    release = RELEASE_LARGEFOV if name.endswith("largefov") else RELEASE
    return Variant(name, "multi-scale" if "msc" in name else "segmentation", fc6, PAPER, release, published)


_WHOLE, _QUARTER, _LARGE = _fc6(7, 1, 0), _fc6(4, 4, 6), _fc6(3, 12, 12, 1024)

VARIANTS = {
    v.name: v
    for v in (
        Variant("vgg16", "classifier", _fc6(7, 1, None), VGG16, VGG16),
        Variant("vgg16-20m", "classifier", _fc6(3, 3, 3, 1024), VGG16, VGG16),
        Variant("alexnet", "classifier", _fc6(6, 1, None), ALEXNET, ALEXNET),
        Variant("fcn-32s", "fcn", _WHOLE, FCN, FCN),
        Variant("fcn-16s", "fcn", _WHOLE, FCN, FCN, skips=1),
        Variant("fcn-8s", "fcn", _WHOLE, FCN, FCN, skips=2),
        _deeplab("deeplab", _QUARTER, Published(128, 65.1, 63.74, 2.90)),
        _deeplab("deeplab-7x7", _fc6(7, 4, 12), Published(224, 134.3, 67.64, 1.44)),
        _deeplab("deeplab-4x4", _fc6(4, 8, 12), Published(224, 65.1, 67.14, 2.90)),
        _deeplab("deeplab-largefov", _LARGE, Published(224, 20.5, 67.64, 4.84)),
        _deeplab("deeplab-msc", _QUARTER),
        _deeplab("deeplab-msc-largefov", _LARGE),
        Variant("deeplab-alexnet", "segmentation", _fc6(3, 8, 8, 1024), DEEPLAB_ALEXNET, DEEPLAB_ALEXNET_RELEASE),
    )
}


def variants() -> list[str]:
    """The names of the networks that `create` knows.

    Returns:
        Classifiers of whole images (`vgg16`, `alexnet`), and segmentation networks: the FCNs and the DeepLabs.

    >>> [name for name in variants() if name.endswith("largefov")]
    ['deeplab-largefov', 'deeplab-msc-largefov']
    """
    return list(VARIANTS)


def scaled(channels: int, width: float) -> int:
    """`channels` of the full network at this width, one or more.

    >>> scaled(1024, 0.125), scaled(64, 1 / 1000)
    (128, 1)
    """
    return max(1, round(channels * width))


@dataclass(frozen=True)
class Spec:
    """The arguments of `create` that shape a network.

    Attributes:
        variant: one of `variants()`.
        num_classes: of the scores, background included.
        width: scales every channel count.
        geometry: "paper" or "release".

    Raises:
        ValueError: one of them names no network.

    >>> Spec("deeplab", 21, 1.0, "paper").to_dict()
    {'variant': 'deeplab', 'num_classes': 21, 'width': 1.0, 'geometry': 'paper'}
    """

    variant: str
    num_classes: int
    width: float
    geometry: GeometryName

    def __post_init__(self) -> None:
        checks.one_of("variant", self.variant, list(VARIANTS))
        checks.one_of("geometry", self.geometry, get_args(GeometryName))
        width, classes = self.width, self.num_classes
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 4:
            raise ValueError(checks.message("width", repr(width), "a number over 0 and at most 4"))
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
            raise ValueError(checks.message("num_classes", repr(classes), "a whole number >= 1"))

    def to_dict(self) -> dict[str, Any]:
        """Argument → value, as the JSON beside a weights file has it."""
        return asdict(self)
