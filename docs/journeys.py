"""Counts the files of dlseg that three journeys run through, in the order in which each is first entered.

    python docs/journeys.py [labels] [slider] [grade]

A file counts where a function of it is called; what runs while it is imported does not. Of compiled loops, whose
calls Python does not see, a file counts whose functions were compiled or loaded.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "dlseg"
COMPILED = ("dlseg.crf.lattice.jit.passes", "dlseg.crf.lattice.jit.update", "dlseg.crf.lattice.jit.rows")
COMPILED += ("dlseg.crf.lattice.jit.vertices", "dlseg.crf.lattice.jit.simplex")
BY_NAMES = inspect.CO_OPTIMIZED  # what the code of a function has, and that of a module or of a class has not


class Journey:
    """The functions that are called while it is under way, on every thread that begins meanwhile.

    Attributes:
        entered: file → the first function of it that was called, in order.
        trail: the files in the order in which functions of them were called, each run of calls counted once.
    """

    def __init__(self) -> None:
        self.entered: dict[str, str] = {}
        self.trail: list[str] = []
        self._known: dict[CodeType, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._known:
            path = code.co_filename
            inside = path.startswith(f"{PACKAGE}/") and code.co_flags & BY_NAMES and not _importing(frame)
            self._known[code] = str(Path(path).relative_to(REPO)) if inside else ""
            if not inside and path.startswith(f"{PACKAGE}/"):
                del self._known[code]  # it may be called again, later
                return
        file = self._known[code]
        if file:
            self.entered.setdefault(file, code.co_qualname)
            if self.trail[-1:] != [file]:
                self.trail.append(file)

    @contextmanager
    def under_way(self) -> Any:
        before = {name: _compiled(name) for name in COMPILED}
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        for name in COMPILED:
            if _compiled(name) - before[name]:
                self.entered.setdefault(name.replace(".", "/") + ".py", "compiled")


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being run that this call is part of."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            return True
        frame = frame.f_back
    return False


def _compiled(name: str) -> set[str]:
    """The functions of a module of compiled loops that have machine code by now."""
    if name not in sys.modules:
        return set()
    found = vars(importlib.import_module(name)).items()
    return {key for key, value in found if getattr(value, "signatures", None) and value.__module__ == name}


def labels() -> Journey:
    """`dlseg predict photo.jpg --crf`."""
    from dlseg.cli import main

    journey = Journey()
    with tempfile.TemporaryDirectory() as folder, journey.under_way():
        photo, out = REPO / "data" / "photos" / "cat.jpg", Path(folder) / "labels.png"
        main(["predict", str(photo), "--crf", "--out", str(out)], standalone_mode=False)
    return journey


def slider() -> Journey:
    """A slider of the CRF studio is moved and let go; the picture is there."""
    from dlseg.widgets import crf_studio

    height, width = 60, 80
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 200
    probs = np.full((2, height, width), 0.4, np.float32)
    probs[0, :, : width // 2 - 5] = probs[1, :, width // 2 - 5 :] = 0.6
    probs /= probs.sum(0)
    journey = Journey()
    threading.setprofile(journey)  # for the thread that computes: it begins with the studio
    studio = crf_studio(image, probs=probs)
    assert studio.answer  # waits
    journey.entered.clear()
    journey.trail.clear()
    with journey.under_way():
        studio.sliders["w1"].value = 7.0
        assert studio.answer
    studio.close()
    return journey


def grade() -> Journey:
    """`dlseg grade FILE --out DIR`; what the student's process does is not counted."""
    from dlseg.cli import main

    journey = Journey()
    with tempfile.TemporaryDirectory() as folder, journey.under_way():
        work = Path(folder) / "smith.py"
        work.write_text("def insert_holes(weight, rate):\n    return weight\n", encoding="utf-8")
        main(["grade", str(work), "--out", str(Path(folder) / "out")], standalone_mode=False)
    return journey


JOURNEYS: dict[str, Callable[[], Journey]] = {"labels": labels, "slider": slider, "grade": grade}

if __name__ == "__main__":
    for name in sys.argv[1:] or JOURNEYS:
        found = JOURNEYS[name]()
        print(f"\n{name}: {len(found.entered)} files. {JOURNEYS[name].__doc__}")
        for file, function in found.entered.items():
            print(f"  {file:<45} {function}")
