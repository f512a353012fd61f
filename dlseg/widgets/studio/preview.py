"""What the page needs to preview the CRF by itself while the kernel is slow, busy or gone (preview.js)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from jaxtyping import Float, UInt8

from dlseg.widgets.canvas import LabelCanvas
from dlseg.widgets.studio.engine import (
    ENTROPY,
    LABELS,
    PROBABILITY,
    TRUTH,
    Answer,
    Engine,
    StudioState,
    Subject,
    settings_of,
)

HERE = Path(__file__).parent
PAGE = HERE.parent / "webpage"
WORK = 131_072  # pixels times labels, these in fours: what the page's engine refines in some 70 ms (page-studio.md)
LIKELY = 0.05  # a label that is nowhere this probable, nor anywhere the first, is left out of a preview
LEVEL = 1  # of compression
SHOWS = {LABELS: "labels", TRUTH: "labels", PROBABILITY: "probability", ENTROPY: "entropy"}


def likely(probs: Float[np.ndarray, "C h w"]) -> list[int]:
    """The labels that a preview cannot do without."""
    first = set(np.unique(probs.argmax(axis=0)).tolist())
    return [label for label in range(len(probs)) if label in first or float(probs[label].max()) >= LIKELY]


def _source() -> str:
    """The widget's module: the engine as text, for its worker, and the scripts that ask it."""
    engine, worker, ask = (
        (PAGE / name).read_text(encoding="utf-8") for name in ("engine.js", "worker.js", "ask.js")
    )
    own = (HERE / "preview.js").read_text(encoding="utf-8")
    return f"const ENGINE = {json.dumps(engine + worker)};\n{ask}{own}"


class PagePreview(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: answers the sliders by previews on the picture `after`, in the page alone.

    The page gets the image and the probabilities once, at a size that its engine refines fast enough to drag; where
    `shows` is empty, or `problem`, it previews nothing.

    Args:
        after: the picture that the sliders change.
        sliders: by setting.
    """

    _esm = _source()

    links = traitlets.Dict().tag(sync=True)
    problem = traitlets.Bytes().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)
    params = traitlets.List(traitlets.Float()).tag(sync=True)
    shows = traitlets.Unicode().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    answers = traitlets.Bool(False).tag(sync=True)  # said by the page: it has made a preview

    def __init__(self, after: LabelCanvas, sliders: Mapping[str, Any], **traits: Any) -> None:
        links = {"after": after.model_id, **{name: slider.model_id for name, slider in sliders.items()}}
        self._offered: tuple[Subject, str, str] | None = None
        super().__init__(links=links, **traits)

    def offer(self, answer: Answer, engine: Engine) -> None:
        """Let the page preview what follows an answer; nothing where the engine in the page computes another CRF.

        Args:
            answer: shown last.
            engine: that made it.
        """
        state = answer.state
        settings = settings_of(state.params)
        fits = state.kernel == "lattice" and engine.plain and bool(settings)
        key = (state.subject, state.kernel, state.params.normalization) if fits else None
        with self.hold_sync():
            self.shows = SHOWS.get(state.view.name, "") if fits else ""
            self.params, self.index = list(settings), state.view.index
            old = self._offered
            if old is not None and key is not None and old[0] is key[0] and old[1:] == key[1:]:
                return
            self._offered = key
            self.problem = b"" if key is None else self._packed(engine, state.params.normalization)

    def covers(self, state: StudioState) -> bool:
        """Whether the page shows previews of this state by itself.

        Args:
            state: where the controls stand.
        """
        key = (state.subject, state.kernel, state.params.normalization)
        old, view = self._offered, state.view
        same = old is not None and old[0] is key[0] and old[1:] == key[1:]
        return self.answers and same and (SHOWS.get(view.name), view.index) == (self.shows, self.index)

    def _packed(self, engine: Engine, normalization: str) -> bytes:
        kept = likely(engine.coarse.marginals)
        image, probs, factor = engine.smaller(WORK // (4 * -(-len(kept) // 4)))
        probs = probs[kept]
        probs = probs / probs.sum(axis=0)
        self.form = {
            "height": image.shape[0],
            "width": image.shape[1],
            "kept": kept,
            "classes": len(engine.coarse.marginals),
            "factor": factor,
            "normalization": normalization,
        }
        return pack(image, probs)


def pack(image: UInt8[np.ndarray, "h w 3"], probs: Float[np.ndarray, "C h w"]) -> bytes:
    """Probabilities in half precision and the image after them, compressed."""
    return zlib.compress(probs.astype("<f2").tobytes() + np.ascontiguousarray(image).tobytes(), LEVEL)
