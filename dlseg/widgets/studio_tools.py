"""The CRF studio's row of tools: view, class, preset, reset, pin, copy. They ask; the studio answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from dlseg.crf import CRFParams
from dlseg.widgets.copy_button import CopyButton
from dlseg.widgets.studio_views import PROBABILITY, TRUTH, VIEWS

START = "start"


class StudioTools:
    """Widgets for what is not a slider.

    Args:
        names: the classes, for the view of one class's probability.
        has_truth: whether there is a truth to look at.
        start: the settings that "start" and reset go back to.
    """

    def __init__(self, names: Sequence[str], has_truth: bool, start: CRFParams) -> None:
        self.presets = {START: start, **CRFParams.presets()}
        views = [name for name in VIEWS if has_truth or name != TRUTH]
        self.view = ipywidgets.Dropdown(options=views, description="view", **_look(310, 40))
        self.index = ipywidgets.Dropdown(options=[(name, number) for number, name in enumerate(names)],
                                         description="class", **_look(200, 40))
        self.index.layout.display = "none"
        self.preset = ipywidgets.Dropdown(options=list(self.presets), description="settings of",
                                          tooltip="The authors' chosen settings, by model", **_look(280, 80))
        self.reset = ipywidgets.Button(description="reset", tooltip="Back to how it began", **_look(70))
        self.pin = ipywidgets.ToggleButton(description="pin as A", **_look(90),
                                           tooltip="Keep this answer on the left, to compare others with it")
        self.code = CopyButton(label="copy as code", layout={"width": "110px"})
        self.json = CopyButton(label="copy as JSON", layout={"width": "110px"})
        self.all = [self.view, self.index, self.preset, self.reset, self.pin, self.code, self.json]
        self.box = ipywidgets.HBox(self.all, layout={"flex_flow": "row wrap"})

    def connect(self, looked: Callable[[], None], chosen: Callable[[CRFParams], None],
                pinned: Callable[[bool], None]) -> None:
        """Call `looked()` for another view, `chosen(params)` for other settings, `pinned(on)` for the pin."""
        self.view.observe(lambda _: self._looked(looked), "value")
        self.index.observe(lambda _: looked(), "value")
        self.preset.observe(lambda change: chosen(self.presets[change["new"]]), "value")
        self.reset.on_click(lambda _: self._reset(chosen))
        self.pin.observe(lambda change: pinned(change["new"]), "value")

    def say(self, params: CRFParams) -> None:
        """Keep the texts to copy at the settings shown."""
        self.code.text, self.json.text = f"from dlseg.crf import CRFParams\n\nparams = {params!r}", params.to_json()

    def _looked(self, looked: Callable[[], None]) -> None:
        self.index.layout.display = None if self.view.value == PROBABILITY else "none"
        looked()

    def _reset(self, chosen: Callable[[CRFParams], None]) -> None:
        self.preset.value = START
        chosen(self.presets[START])


def _look(width: int, label: int | None = None) -> dict[str, Any]:
    look: dict[str, Any] = {"layout": {"width": f"{width}px"}}
    return look if label is None else {**look, "style": {"description_width": f"{label}px"}}
