"""Table 2 again, from the modules: what fc6 sees and costs in each variant, the paper's numbers beside."""

from dataclasses import dataclass

import torch
from torch import nn

from dlseg.atrous import Window
from dlseg.common.checks import one_of
from dlseg.common.tables import table
from dlseg.networks.architectures import VARIANTS, GeometryName, Published, Spec
from dlseg.networks.build import build_chain
from dlseg.receptive_field import classifier_view, cost, receptive_field

ROWS = ("deeplab-7x7", "deeplab", "deeplab-4x4", "deeplab-largefov")  # in the paper's order


@dataclass(frozen=True)
class Row:
    """One variant. `view` is fc6's field as the paper counts it, `field` what it really sees, in pixels;
    `macs` of one image's forward run, `fc6_macs` those of fc6 alone; `activation_bytes` of all maps."""

    name: str
    kernel: int
    input_stride: int
    view: int
    field: int
    parameters: int
    macs: int
    fc6_macs: int
    activation_bytes: int

    @property
    def paper(self) -> Published:
        """The paper's own numbers."""
        published = VARIANTS[one_of("name", self.name, ROWS)].published
        assert published is not None
        return published


def table2(geometry: GeometryName = "paper", size: tuple[int, int] | None = None) -> list[Row]:
    """The rows of table 2, at full width and for 21 classes.

    Args:
        geometry: "paper" or "release".
        size: (height, width) of the image in pixels; default: the geometry's crop.

    >>> [(row.name, row.view, row.field, f"{row.parameters / 1e6:.1f}") for row in table2()][-1]
    ('deeplab-largefov', 224, 404, '20.5')
    """
    return [_row(name, geometry, size) for name in ROWS]


def _row(name: str, geometry: GeometryName, size: tuple[int, int] | None) -> Row:
    with torch.device("meta"):
        net = build_chain(Spec(name, 21, 1.0, geometry))
    fields = {f.name: f for f in receptive_field(net)}
    window, spent = _window(net, "fc6"), cost(net, size or net.input_size)
    view = classifier_view(window.kernel[0], window.rate[0], int(fields["conv5_3"].stride[0]))
    return Row(
        name,
        window.kernel[0],
        window.rate[0],
        view,
        fields["fc6"].size[0],
        spent.parameters,
        spent.macs,
        spent["fc6"].macs,
        spent.activation_bytes,
    )


def _window(net: nn.Sequential, name: str) -> Window:
    window = Window.of(net.get_submodule(name))
    if window is None:
        raise ValueError(f"{name} of this network has no window")
    return window


def show(rows: list[Row]) -> str:
    """The rows as a Markdown table; in every pair ours comes first."""
    head = ["variant", "fc6 kernel", "input stride", "view, ours / paper", "field", "parameters, ours / paper"]
    head += ["GMACs", "of them fc6", "maps", "paper: mean IOU", "paper: images/s"]
    cells = [
        [
            r.name,
            f"{r.kernel}×{r.kernel}",
            r.input_stride,
            f"{r.view} / {r.paper.field}",
            r.field,
            f"{r.parameters / 1e6:.1f} M / {r.paper.parameters} M",
            f"{r.macs / 1e9:.1f}",
            f"{r.fc6_macs / 1e9:.1f}",
            f"{r.activation_bytes / 2**20:.0f} MB",
            r.paper.mean_iou,
            r.paper.speed,
        ]
        for r in rows
    ]
    return table(head, cells)
