"""The label canvas: photo, colour table and plane of bytes travel apart, and the browser colours and blends them.

The photo goes once, as PNG or JPEG bytes; each update is one deflated byte per pixel and a frame counter. Opacity,
the highlighted class and "photo only" are redrawn in the browser without asking the kernel.
"""

from __future__ import annotations

import io
import math
import threading
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from jaxtyping import UInt8
from PIL import Image

from dlseg.widgets.planes import Plane, decimated

LOSSLESS_PIXELS = 400_000  # up to here the photo travels as PNG; above, a JPEG saves megabytes in a saved notebook
SHOWN_PIXELS = 1_000_000  # larger photos are shown smaller: the browser blends every pixel shown
HERE = Path(__file__).parent


def encode_photo(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The photo as a file's bytes: PNG where it is small, else JPEG."""
    stream = io.BytesIO()
    small = image.shape[0] * image.shape[1] <= LOSSLESS_PIXELS
    Image.fromarray(image).save(stream, **({"format": "PNG"} if small else {"format": "JPEG", "quality": 92}))
    return stream.getvalue()


def shown_size(height: int, width: int) -> tuple[int, int]:
    """The size a photo is shown at: its own, or that of about a million pixels where it has more."""
    factor = min(1.0, math.sqrt(SHOWN_PIXELS / (height * width)))
    return max(1, round(height * factor)), max(1, round(width * factor))


class LabelCanvas(anywidget.AnyWidget):  # type: ignore[misc]
    """A photo (H, W, 3) with a plane over it. `show` replaces the plane; it may be called from any thread.

    `picked` follows clicks on the picture: (row, column, how many clicks yet), the place in shares of height and
    width. `mark` puts a ring there; an arrow key moves it by `steps` (down, right), with Shift by five of them.

    With a `brush` (label, radius in pixels) the mouse paints labels, in the page at once; so do arrow keys and the
    space bar. `scribbles` (height, width; 255 where nothing is said) are all of them; `strokes` counts.
    """

    _esm = (HERE / "canvas.js").read_text(encoding="utf-8") + (HERE / "brush.js").read_text(encoding="utf-8")
    _css = HERE / "canvas.css"

    photo = traitlets.Bytes().tag(sync=True)
    size = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(1, 1)).tag(sync=True)
    plane = traitlets.Bytes().tag(sync=True)
    plane_size = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 0)).tag(sync=True)
    table = traitlets.Bytes().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    bar = traitlets.Dict().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    opacity = traitlets.Float(0.75).tag(sync=True)
    highlighted = traitlets.Int(-1).tag(sync=True)
    photo_only = traitlets.Bool(False).tag(sync=True)
    pickable = traitlets.Bool(False).tag(sync=True)
    picked = traitlets.Tuple((0.5, 0.5, 0)).tag(sync=True)
    mark = traitlets.List(traitlets.Float()).tag(sync=True)
    steps = traitlets.Tuple((0.02, 0.02)).tag(sync=True)
    brush = traitlets.List(traitlets.Int()).tag(sync=True)
    drawn = traitlets.Bytes().tag(sync=True, from_json=lambda value, widget: bytes(value))
    strokes = traitlets.Int(0).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    settled = traitlets.Bool(True).tag(sync=True)

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], plane: Plane, title: str = "", **traits: Any) -> None:
        self._lock = threading.RLock()
        super().__init__(title=title, **traits)
        self.take(image)
        self.show(plane)

    def take(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Another photo, without scribbles."""
        size = shown_size(*image.shape[:2])
        if size != image.shape[:2]:
            image = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS))
        with self._lock, self.hold_sync():
            self.size, self.photo, self.drawn, self.mark = size, encode_photo(image), b"", []

    @property
    def scribbles(self) -> UInt8[np.ndarray, "h w"]:
        """What was drawn, at the size shown; 255 where nothing was."""
        height, width = self.size
        if not self.drawn:
            return np.full((height, width), 255, np.uint8)
        return np.frombuffer(zlib.decompress(self.drawn), np.uint8).reshape(height, width)

    @scribbles.setter
    def scribbles(self, labels: UInt8[np.ndarray, "h w"]) -> None:
        self.drawn = deflate(decimated(labels, self.size))

    def show(self, plane: Plane, *, title: str | None = None, status: str = "", settled: bool = True) -> None:
        """Put a plane (h, w) over the photo with a line of text under it, in one message to the browser.

        A plane smaller than the photo is stretched over it; a larger one is read at the photo's pixels.
        """
        values = plane.values
        if values.size > self.size[0] * self.size[1]:
            values = decimated(values, self.size)
        with self._lock, self.hold_sync():
            self.plane, self.plane_size, self.table = deflate(values), values.shape, plane.table.tobytes()
            self.names = list(plane.names)
            self.bar = asdict(plane.bar) if plane.bar else {}
            self.title, self.status = self.title if title is None else title, status
            self.settled, self.error = settled, ""
            self.frame += 1  # equal bytes raise no change event in the browser; the counter always does

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the browser changed. It may arrive on another thread while `show` gathers its own message."""
        with self._lock:
            super().set_state(sync_data)


def deflate(values: UInt8[np.ndarray, "h w"]) -> bytes:
    """Bytes, zlib-compressed, row by row; level 1: on label maps the speed counts, not the size."""
    return zlib.compress(np.ascontiguousarray(values).tobytes(), level=1)
