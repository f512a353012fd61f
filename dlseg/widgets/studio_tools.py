"""The CRF studio's tools that are no sliders: what to look at, and which settings. They ask; the studio answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from dlseg.crf import CRFParams
from dlseg.widgets.copy_button import CopyButton
from dlseg.widgets.studio_views import PROBABILITY, STEPS, TRUTH, VIEWS

START = "start"
ROW = {"flex_flow": "row wrap", "overflow": "hidden"}


class StudioTools:
    """Two rows of widgets: `looks` (view, class, iteration, curves) and `settings` (presets, pin, copies).

    Args:
        names: the classes, for the view of one class's probability.
        has_truth: whether there is a truth to look at.
        start: the settings that "start" and reset go back to.
    """

    def __init__(self, names: Sequence[str], has_truth: bool, start: CRFParams) -> None:
        self.presets = {START: start, **CRFParams.presets()}
        self.view = ipywidgets.Dropdown(description="view", **look(300, 75))
        self.index = ipywidgets.Dropdown(description="class", **look(200, 40))
        self.step = ipywidgets.IntSlider(0, 0, start.iterations, description="iteration", **look(270, 60))
        self.play = ipywidgets.Play(0, 0, start.iterations, interval=700, **look(150))
        ipywidgets.jslink((self.play, "value"), (self.step, "value"))
        self.curves = ipywidgets.ToggleButton(
            description="curves", **look(80), tooltip="Free energy and mean IoU by iteration; takes a second more"
        )
        self.preset = ipywidgets.Dropdown(
            options=list(self.presets),
            description="settings of",
            **look(300, 75),
            tooltip="The authors' chosen settings, by model",
        )
        self.reset = ipywidgets.Button(description="reset", tooltip="Back to how it began", **look(70))
        self.pin = ipywidgets.ToggleButton(
            description="pin as A", **look(85), tooltip="Keep this answer on the left, to compare others with it"
        )
        self.code = CopyButton(label="copy as code", layout={"width": "115px"})
        self.json = CopyButton(label="copy as JSON", layout={"width": "115px"})
        self.looks = ipywidgets.HBox([self.view, self.index, self.play, self.step, self.curves], layout=ROW)
        self.settings = ipywidgets.HBox([self.preset, self.reset, self.pin, self.code, self.json], layout=ROW)
        self.all = [*self.looks.children, *self.settings.children, self.looks, self.settings]
        self.offer(names, has_truth)

    def offer(self, names: Sequence[str], has_truth: bool) -> None:
        """Fit the lists of views and classes to another image."""
        put_options(self.view, [name for name in VIEWS if has_truth or name != TRUTH])
        put_options(self.index, [(name, number) for number, name in enumerate(names)])
        self.reveal()

    def connect(
        self, looked: Callable[[], None], chosen: Callable[[CRFParams], None], pinned: Callable[[bool], None]
    ) -> None:
        """Call `looked()` for another view, `chosen(params)` for other settings, `pinned(on)` for the pin."""
        for widget in (self.view, self.index, self.step, self.curves):
            widget.observe(lambda _: self._looked(looked), "value")
        self.preset.observe(lambda change: chosen(self.presets[change["new"]]), "value")
        self.reset.on_click(lambda _: self._reset(chosen))
        self.pin.observe(lambda change: pinned(change["new"]), "value")

    def say(self, params: CRFParams) -> None:
        """Keep the texts to copy, and the number of iterations, at the settings shown."""
        self.code.text, self.json.text = f"from dlseg.crf import CRFParams\n\nparams = {params!r}", params.to_json()
        if self.step.max != params.iterations:
            self.step.max = self.play.max = params.iterations

    def reveal(self) -> None:
        """Show what the view needs, and hide the rest."""
        self.index.layout.display = None if self.view.value == PROBABILITY else "none"
        self.step.layout.display = self.play.layout.display = None if self.view.value == STEPS else "none"

    def _looked(self, looked: Callable[[], None]) -> None:
        self.reveal()
        looked()

    def _reset(self, chosen: Callable[[CRFParams], None]) -> None:
        self.preset.value = START
        chosen(self.presets[START])


def put_options(widget: Any, options: Sequence[Any]) -> None:
    """Give a drop-down list other options; its value stays where it can."""
    if tuple(options) != tuple(widget.options):
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        value = widget.value if widget.value in values else values[0]
        with widget.hold_sync():
            widget.options, widget.value = options, value


def look(width: int, label: int | None = None) -> dict[str, Any]:
    """Width of a widget, and of its label, in CSS pixels."""
    made: dict[str, Any] = {"layout": {"width": f"{width}px"}}
    return made if label is None else {**made, "style": {"description_width": f"{label}px"}}
