"""The CRF studio's row of inputs: what to start from, own photo, the brush, and which kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import ipywidgets

from dlseg.widgets.photo_upload import PhotoButton
from dlseg.widgets.planes import UNSAID
from dlseg.widgets.studio_tools import ROW, look, put_options

NET, HAND = "the net's scores", "my scribbles"
KERNELS = {
    "lattice": "lattice (fast)",
    "exact": "exact (small picture)",
    "local": "local (touching pixels)",
    "pydensecrf": "pydensecrf",
}
ERASER = ("eraser", UNSAID)


class StudioInputs:
    """Widgets that change the image, its unary, or the kernel.

    Args:
        names: the labels that the brush paints.
        has_net: whether a network's scores were given.
        kernel: the kernel to begin with.
    """

    def __init__(self, names: Sequence[str], has_net: bool, kernel: str) -> None:
        self.source = ipywidgets.Dropdown(
            options=[NET, HAND] if has_net else [HAND],
            value=NET if has_net else HAND,
            description="start from",
            tooltip="The unary: what the CRF is told of each pixel",
            **look(300, 75),
        )
        self.source.layout.display = None if has_net else "none"
        self.photo = PhotoButton(layout={"width": "110px"})
        there = [name for name in KERNELS if name != "pydensecrf" or find_spec("pydensecrf") or name == kernel]
        self.kernel = ipywidgets.Dropdown(
            options=[(KERNELS[name], name) for name in there],
            value=kernel,
            description="kernel",
            **look(240, 50),
            tooltip="How the pairwise terms are computed",
        )
        self.label = ipywidgets.Dropdown(
            description="brush", tooltip="The label that the mouse paints", **look(300, 75)
        )
        self.radius = ipywidgets.IntSlider(4, 1, 20, description="width (px)", **look(260, 75))
        self.clear = ipywidgets.Button(description="clear", tooltip="Take all scribbles away", **look(65))
        self.brushes = (self.label, self.radius, self.clear)
        row = ipywidgets.HBox([self.source, self.photo, self.kernel], layout=ROW)
        self.row = ipywidgets.VBox([row, ipywidgets.HBox(self.brushes, layout=ROW)])
        self.all = [*row.children, *self.brushes, *self.row.children, self.row]
        self.offer(names, not has_net)
        self.label.value = 1

    def offer(self, names: Sequence[str], scribbled: bool) -> None:
        """Fit the brush to another image; without scribbles it is put away."""
        put_options(self.label, [*((name, number) for number, name in enumerate(names)), ERASER])
        for widget in self.brushes:
            widget.layout.display = None if scribbled else "none"

    @property
    def brush(self) -> list[int]:
        """The label that the mouse paints, and its radius in pixels."""
        return [self.label.value, self.radius.value]

    def connect(
        self,
        sourced: Callable[[str], None],
        loaded: Callable[[], None],
        cleared: Callable[[], None],
        kerneled: Callable[[str], None],
        brushed: Callable[[], None],
    ) -> None:
        """Call for another unary, a loaded photo, no scribbles, another kernel, another brush."""
        self.source.observe(lambda change: sourced(change["new"]), "value")
        self.photo.observe(lambda _: loaded(), "count")
        self.clear.on_click(lambda _: cleared())
        self.kernel.observe(lambda change: kerneled(change["new"]), "value")
        for widget in (self.label, self.radius):
            widget.observe(lambda _: brushed(), "value")
