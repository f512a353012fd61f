"""The paper's tables as data: every variant, layer by layer (sections 3.1, 3.2 and 5, table 2).

Two geometries are kept apart. `"paper"` is what the text says: VGG-16's own 2×2 pools, the fifth with
holes, which is what makes section 3.1 exact. `"release"` is what the published Caffe files do: 3×3 pools,
the fifth without holes, and in LargeFOV an average pool after it that the text never mentions.
"""

from dataclasses import dataclass, field
from typing import Literal

GeometryName = Literal["paper", "release"]
# (channels, convolutions) of the five stages of VGG-16, configuration D of Simonyan and Zisserman
VGG16_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@dataclass(frozen=True)
class Pool:
    """One pooling layer: max, unless `average`."""

    kernel: int
    stride: int
    padding: int = 0
    rate: int = 1
    ceil: bool = False
    average: bool = False


@dataclass(frozen=True)
class Geometry:
    """Pools after the five stages (one more after the fifth where the release has it) and the sizes that fit.

    Position k of the score map stands for pixel `offset + 8 k`; a crop of `crop` pixels gives `scores`
    positions along each axis.
    """

    pools: tuple[Pool, ...]
    conv5_rate: int = 1
    crop: int = 224
    scores: int = 7
    offset: int = 0


_HALVE, _HALVE_3 = Pool(2, 2, 1), Pool(3, 2, 1, ceil=True)
_KEEP_3, _AVERAGE = Pool(3, 1, 1), Pool(3, 1, 1, average=True)

VGG16_GEOMETRY = Geometry((Pool(2, 2),) * 5)
PAPER = Geometry((_HALVE, _HALVE, _HALVE, Pool(2, 1), Pool(2, 1, 1, rate=2)), 2, 306, 39, offset=1)
RELEASE = Geometry((_HALVE_3, _HALVE_3, _HALVE_3, _KEEP_3, _KEEP_3), 2, 321, 41)
RELEASE_LARGEFOV = Geometry((*RELEASE.pools, _AVERAGE), 2, 321, 41)


@dataclass(frozen=True)
class Head:
    """fc6 as a convolution (its fc7 is 1×1 with as many channels), or fully connected when `rate` is 0."""

    kernel: int
    rate: int
    padding: int
    channels: int


@dataclass(frozen=True)
class Variant:
    """One network of the paper: its head, and its geometries by name."""

    name: str
    head: Head
    geometries: dict[GeometryName, Geometry] = field(default_factory=dict)
    labeller: bool = True


def _classifier(name: str, head: Head) -> Variant:
    return Variant(name, head, {"paper": VGG16_GEOMETRY, "release": VGG16_GEOMETRY}, labeller=False)


def _deeplab(name: str, head: Head, release: Geometry = RELEASE) -> Variant:
    return Variant(name, head, {"paper": PAPER, "release": release})


VARIANTS = {v.name: v for v in (
    _classifier("vgg16", Head(7, 0, 0, 4096)),
    _classifier("vgg16-20m", Head(3, 3, 3, 1024)),
    _deeplab("deeplab", Head(4, 4, 6, 4096)),
    _deeplab("deeplab-7x7", Head(7, 4, 12, 4096)),
    _deeplab("deeplab-4x4", Head(4, 8, 12, 4096)),
    _deeplab("deeplab-largefov", Head(3, 12, 12, 1024), RELEASE_LARGEFOV),
)}


def variants() -> list[str]:
    """The names that `create` knows."""
    return list(VARIANTS)
