"""What a user moves in the CRF studio: sliders by one table, lists and buttons, and what their options follow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import ipywidgets

from dlseg.crf import CRFParams
from dlseg.widgets.copy_button import CopyButton
from dlseg.widgets.explorer import ROW, put, put_options
from dlseg.widgets.photo_upload import PhotoButton
from dlseg.widgets.studio.engine import PROBABILITY, STEPS, TRUTH, VIEWS, StudioState, Subject
from dlseg.widgets.studio.formula import Formula

LABEL_WIDTH = "148px"
START = "start"
NET, HAND = "the net's scores", "my scribbles"
KERNELS = {
    "lattice": "lattice (fast)",
    "exact": "exact (small picture)",
    "local": "local (touching pixels)",
    "pydensecrf": "pydensecrf",
}


@dataclass(frozen=True)
class Control:
    """One setting of the CRF: its field in `CRFParams`, its words, its range; `log` for what acts by ratio."""

    name: str
    symbol: str
    words: str
    unit: str
    low: int | float
    high: int | float
    step: int | float
    meaning: str
    log: bool = False

    @property
    def label(self) -> str:
        """Symbol, words and unit; the page sets the symbol with a subscript (accessibility.js)."""
        return " ".join(filter(None, [self.symbol, self.words])) + (f", {self.unit}" if self.unit else "")


CONTROLS = {
    control.name: control
    for control in (
        Control(
            "w1",
            "w1",
            "appearance weight",
            "",
            0,
            20,
            0.5,
            "Weight of the appearance kernel: how strongly pixels of like colour, near or far, pull each other to "
            "one label. 0 switches it off.",
        ),
        Control(
            "sigma_alpha",
            "σα",
            "appearance",
            "px",
            1,
            200,
            0.05,
            "Reach of the appearance kernel: how far apart, in pixels, two pixels of like colour still count for "
            "each other.",
            log=True,
        ),
        Control(
            "sigma_beta",
            "σβ",
            "colour",
            "0–255",
            1,
            100,
            0.05,
            "Colour tolerance of the appearance kernel: how different two colours, of 0 to 255, may be and still "
            "count as alike.",
            log=True,
        ),
        Control(
            "w2",
            "w2",
            "smoothness weight",
            "",
            0,
            20,
            0.5,
            "Weight of the smoothness kernel: how strongly close pixels pull each other to one label, whatever "
            "their colour.",
        ),
        Control(
            "sigma_gamma",
            "σγ",
            "smoothness",
            "px",
            0.5,
            20,
            0.05,
            "Reach of the smoothness kernel: how close, in pixels, is close.",
            log=True,
        ),
        Control(
            "iterations",
            "",
            "iterations",
            "",
            1,
            20,
            1,
            "Mean-field iterations: how often every pixel is updated from all others.",
        ),
    )
}


class StudioControls:
    """Every control of the studio. `fields` are those that set a field of its state, by that field's name.

    The others act: `preset` and `reset` set all settings, `pin` keeps an answer, `source` and `photo` bring another
    unary or image, `clear` takes the scribbles away. `above` and `below` are the rows over and under the
    pictures.

    Args:
        state: where they start.
        sliders: which settings get one.
    """

    def __init__(self, state: StudioState, sliders: Sequence[str]) -> None:
        self.first = state
        self.presets = {START: state.params, **CRFParams.presets()}
        self.sliders = {name: slider(CONTROLS[name], getattr(state.params, name)) for name in sliders}
        self.preset = _list("settings of", list(self.presets), "The authors' chosen settings, by model", 300, 75)
        self.reset = _button("reset", "Back to how it began", 70)
        self.pin = _toggle("pin as A", "Keep this answer as A, to compare others with it; once more: let it go", 85)
        self.code = CopyButton(label="copy as code", layout={"width": "115px"})
        self.json = CopyButton(label="copy as JSON", layout={"width": "115px"})
        self.view = _list("view", VIEWS, "What the two pictures show", 300, 75)
        self.index = _list("class", [("", 0)], "Whose probability", 200, 40)
        self.step = _slider(0, 0, state.params.iterations, "iteration", "After which iteration", 262, 60)
        self.play = ipywidgets.Play(0, 0, state.params.iterations, interval=700, layout={"width": "150px"})
        ipywidgets.jslink((self.play, "value"), (self.step, "value"))
        self.curves = _toggle("curves", "Free energy and mean IoU by iteration; takes a second more", 80)
        self.has_net = state.subject.probs is not None
        sources = [NET, HAND] if self.has_net else [HAND]
        self.source = _list("start from", sources, "The unary: what the CRF is given for each pixel", 300, 75)
        self.photo = PhotoButton(layout={"min_width": "110px", "width": "auto"})
        there = [
            name for name in KERNELS if name != "pydensecrf" or find_spec("pydensecrf") or name == state.kernel
        ]
        kernels = [(KERNELS[name], name) for name in there]
        self.kernel = _list("kernel", kernels, "How the pairwise terms are computed", 240, 50)
        self.kernel.value = state.kernel
        self.brush = _list("brush", [("", 1)], "The label that the mouse paints", 300, 75)
        self.width = _slider(4, 1, 20, "width (px)", "Of the brush, in pixels of the picture", 260, 75)
        self.clear = _button("clear", "Take all scribbles away", 65)
        self.slider_fields = {f"params.{name}": made for name, made in self.sliders.items()}
        self.fields = {
            **self.slider_fields,
            "view.name": self.view,
            "view.index": self.index,
            "view.step": self.step,
            "curves": self.curves,
            "kernel": self.kernel,
        }
        self.formula = Formula(state.params, self.sliders, layout={"flex": "1 1 420px", "min_height": "46px"})
        self.scores = ipywidgets.HTML(layout={"flex": "0 1 236px", "margin": "0"})
        looks = ipywidgets.HBox([self.index, self.play, self.step], layout={"width": "420px", "min_height": "32px"})
        self.above = [
            _row(self.formula, self.scores),
            slider_grid(self.sliders),
            _row(self.preset, self.reset, self.pin, self.kernel),
            _row(self.view, self.curves, looks),
            _row(self.brush, self.width, self.clear),
        ]
        self.below = [_row(self.source, self.photo, self.code, self.json)]
        for part in (self.scores, *self.above[2:], *self.below):
            part.add_class("dlseg-kernel")  # not to be seen where no kernel answers
        self.offer(state)

    def offer(self, state: StudioState) -> None:
        """Fit options, ranges, and which controls are seen, to a state."""
        subject = state.subject
        put_options(self.view, views(subject))
        put_options(self.index, [(name, number) for number, name in enumerate(subject.names)])
        put_options(self.brush, [(name, number) for number, name in enumerate(subject.names)])
        if self.step.max != state.params.iterations:
            self.step.max = self.play.max = state.params.iterations
        self.source.value = NET if subject.scribbles is None else HAND
        self.pin.value = state.pinned is not None
        _reveal(state.view.name == PROBABILITY, self.index)
        _reveal(state.view.name == STEPS, self.step, self.play)
        _reveal(subject.scribbles is not None, self.brush, self.width, self.clear)
        _reveal(self.has_net, self.source)

    def copied(self, params: CRFParams) -> None:
        """Keep the texts to copy at the settings shown."""
        self.code.text, self.json.text = f"from dlseg.crf import CRFParams\n\nparams = {params!r}", params.to_json()


def views(subject: Subject) -> list[str]:
    """What can be looked at; without a ground truth, not that."""
    return [name for name in VIEWS if subject.truth is not None or name != TRUTH]


def slider(control: Control, value: int | float) -> Any:
    """A labelled slider for one setting; a value outside the usual range widens the range."""
    shared = {
        "description": control.label,
        "tooltip": control.meaning,
        "continuous_update": True,
        "style": {"description_width": LABEL_WIDTH},
        "layout": {"width": "auto"},
    }
    if control.name == "iterations":
        made = ipywidgets.IntSlider(value, int(control.low), int(control.high), **shared)
    elif control.log:
        made = ipywidgets.FloatLogSlider(
            math.sqrt(control.low * control.high),
            base=10,
            step=control.step,
            min=math.log10(control.low),
            max=math.log10(control.high),
            readout_format=".3g",
            **shared,
        )
    else:
        made = ipywidgets.FloatSlider(
            control.low, min=control.low, max=control.high, step=control.step, readout_format=".1f", **shared
        )
    put(made, value)
    return made


def slider_grid(sliders: Mapping[str, Any]) -> Any:
    """Sliders of equal width, at most three side by side."""
    columns = "repeat(auto-fit, minmax(max(250px, 32%), 1fr))"
    return ipywidgets.GridBox(list(sliders.values()), layout={"grid_template_columns": columns, "width": "100%"})


def _row(*widgets: Any) -> Any:
    return ipywidgets.HBox(widgets, layout=ROW)


def _list(label: str, options: Sequence[Any], meaning: str, width: int, label_width: int) -> Any:
    look = {"layout": {"width": f"{width}px"}, "style": {"description_width": f"{label_width}px"}}
    return ipywidgets.Dropdown(options=options, description=label, tooltip=meaning, **look)


def _slider(value: int, low: int, high: int, label: str, meaning: str, width: int, label_width: int) -> Any:
    look = {"layout": {"width": f"{width}px"}, "style": {"description_width": f"{label_width}px"}}
    return ipywidgets.IntSlider(value, low, high, description=label, tooltip=meaning, **look)


def _button(label: str, meaning: str, width: int) -> Any:
    return ipywidgets.Button(description=label, tooltip=meaning, layout={"width": f"{width}px"})


def _toggle(label: str, meaning: str, width: int) -> Any:
    return ipywidgets.ToggleButton(description=label, tooltip=meaning, layout={"width": f"{width}px"})


def _reveal(seen: bool, *widgets: Any) -> None:
    for widget in widgets:
        widget.layout.display = None if seen else "none"
