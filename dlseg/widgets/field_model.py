"""What the field explorer computes: for one unit of one layer, what it sees, in theory and by gradient."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from dlseg.atrous import Window
from dlseg.datasets.transforms import to_input
from dlseg.networks import Network, create, load_trunk, open_weights
from dlseg.networks.architectures import GeometryName, Spec
from dlseg.networks.build import build_chain
from dlseg.networks.table2 import ROWS, Row, table2
from dlseg.receptive_field import LayerCost, LayerField, cost, effective_field, receptive_field

NETS = (*ROWS, "deeplab-alexnet")
WIDTH = 1 / 8  # of the network whose gradients are taken; sizes and costs are those of the full one


@dataclass(frozen=True, eq=False)
class Seen:
    """What one unit sees of the image.

    Attributes:
        net, geometry: the network's.
        layer: size, stride and centre of its field, in pixels.
        box: the field (top, left, bottom, right), all inside; beyond the image it is padding.
        taps: the middles (row, column), in pixels, of what its taps look at.
        field: |d unit / d pixel|, as a share of the greatest, (H, W).
        unit, units: where it lies in its map, and how large that is.
        cost: of this layer, and `parameters` and `macs` of the whole network, at full width, for this image.
        zoom: how much of the image is to be shown.
    """

    net: str
    geometry: GeometryName
    layer: LayerField
    box: tuple[int, int, int, int]
    taps: tuple[tuple[float, float], ...]
    field: Float[np.ndarray, "H W"]
    unit: tuple[int, int]
    units: tuple[int, int]
    cost: LayerCost
    parameters: int
    macs: int
    zoom: str = ""

    @property
    def radius(self) -> float:
        """Of the smallest disc round the field's centre of mass that holds half of it, in pixels."""
        rows, columns = np.indices(self.field.shape)
        total = max(float(self.field.sum()), 1e-30)
        middle = [float((axis * self.field).sum()) / total for axis in (rows, columns)]
        far = np.hypot(rows - middle[0], columns - middle[1]).ravel()
        order = np.argsort(far)
        half = int(np.searchsorted(np.cumsum(self.field.ravel()[order]), total / 2))
        return float(far[order][min(half, far.size - 1)])


@cache
def narrow_net(name: str, geometry: GeometryName) -> tuple[Network, str]:
    """The network with weights that know shapes, an eighth as wide, and where the weights are from."""
    if (name, geometry) == ("deeplab-largefov", "paper"):
        return open_weights("shapes")[0].eval(), "trained on shapes"
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)  # layers that nothing fits draw their weights
    net = create(name, 13, WIDTH, geometry)
    torch.set_rng_state(torch_state)
    copied = load_trunk(net, open_weights("shapes", "vgg16-20m")[0]).copied
    return net.eval(), f"{len(copied)} layers from the shapes classifier, the others random"


@cache
def full_net(name: str, geometry: GeometryName) -> nn.Sequential:
    """The network at full width, 21 classes, without memory: for sizes and costs."""
    with torch.device("meta"):
        return build_chain(Spec(name, 21, 1.0, geometry))


@cache
def rows(geometry: GeometryName, size: tuple[int, int]) -> tuple[Row, ...]:
    """Table 2 for images of this size, computed once."""
    return tuple(table2(geometry, size))


def layers(name: str, geometry: GeometryName) -> tuple[str, ...]:
    """The layers that look at more than their own cell, or end the network: convolutions and pools."""
    return tuple(n for n, layer in full_net(name, geometry).named_children() if Window.of(layer) is not None)


@cache
def stack(name: str, geometry: GeometryName, size: tuple[int, int]) -> tuple[tuple[str, int, int, int, float], ...]:
    """Each layer with a window, from the image on: name, taps along an axis, rate, field and stride."""
    net = full_net(name, geometry)
    fields, found = {f.name: f for f in receptive_field(net, size)}, []
    for layer, module in net.named_children():
        window = Window.of(module)
        if window is not None:
            field = fields[layer]
            found.append((layer, window.kernel[0], window.rate[0], field.size[0], float(field.stride[0])))
    return tuple(found)


def seen(
    name: str, geometry: GeometryName, layer: str, image: UInt8[np.ndarray, "H W 3"], place: tuple[float, float]
) -> Seen:
    """What the unit of `layer` nearest to `place` (shares of height and width) sees.

    Raises ValueError for an image that is too small for the network.
    """
    net, _ = narrow_net(name, geometry)
    size = (image.shape[0], image.shape[1])
    spent = cost(full_net(name, geometry), size)
    fields = {f.name: f for f in receptive_field(full_net(name, geometry), size)}
    mine, found = spent[layer], fields[layer]
    units = (mine.size[1], mine.size[2])
    row, column = (
        min(max(round((share * n - centre) / stride), 0), count - 1)
        for share, n, centre, stride, count in zip(place, size, found.centre, found.stride, units, strict=True)
    )
    names = [child for child, _ in net.main.named_children()]
    upto = nn.Sequential(OrderedDict(list(net.main.named_children())[: names.index(layer) + 1]))
    gradient = effective_field(upto, to_input(image), (row, column)).numpy()
    before = names[: names.index(layer)]
    previous = next((fields[n] for n in reversed(before) if n in fields), None)
    share = gradient / max(float(gradient.max()), 1e-30)
    return Seen(
        name,
        geometry,
        found,
        found.box(row, column),
        _taps(net.main.get_submodule(layer), previous, (row, column)),
        share,
        (row, column),
        units,
        mine,
        spent.parameters,
        spent.macs,
    )


def _taps(layer: nn.Module, previous: LayerField | None, unit: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    window = Window.of(layer)
    if window is None:
        raise ValueError(f"{layer} has no window")
    axes: list[list[float]] = []
    for a in (0, 1):
        first = unit[a] * window.stride[a] - window.padding[a]
        cells = [first + tap * window.rate[a] for tap in range(window.kernel[a])]
        centre, stride = (0.0, 1.0) if previous is None else (previous.centre[a], previous.stride[a])
        axes.append([centre + stride * cell for cell in cells])
    return tuple(product(axes[0], axes[1]))
