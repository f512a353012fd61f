"""The paper's tables as data: every variant, layer by layer (sections 3.1, 3.2, 4.2 and 5, table 2).

Two geometries are kept apart. `"paper"` is what the text says: VGG-16's own 2×2 pools, the fifth with
holes, which is what makes section 3.1 exact. `"release"` is what the published Caffe files do: 3×3 pools,
the fifth without holes, and in LargeFOV an average pool after it that the text never mentions. The files of
7x7 and 4x4 were never found; they are taken to be like the others. The sizes of the paper, 306 → 39, need the
padding of the pools that its first released file has.
"""

from dataclasses import dataclass
from typing import Literal

from dlseg.networks.tables import (
    ALEXNET,
    DEEPLAB_ALEXNET,
    DEEPLAB_ALEXNET_RELEASE,
    FCN,
    PAPER,
    RELEASE,
    RELEASE_LARGEFOV,
    VGG16,
    Conv,
    Geometry,
)

GeometryName = Literal["paper", "release"]
Kind = Literal["classifier", "labeller", "multi-scale", "fcn"]


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
    return Variant(name, "multi-scale" if "msc" in name else "labeller", fc6, PAPER, release, published)


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
        Variant("deeplab-alexnet", "labeller", _fc6(3, 8, 8, 1024), DEEPLAB_ALEXNET, DEEPLAB_ALEXNET_RELEASE),
    )
}


def variants() -> list[str]:
    """The names that `create` knows."""
    return list(VARIANTS)
