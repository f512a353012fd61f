"""The label canvas: photo, palette and label map travel apart, and the browser colours and blends them.

The photo goes once, as PNG or JPEG bytes; each update is one deflated byte per pixel and a frame counter. Opacity,
the highlighted class and "photo only" are redrawn in the browser without asking the kernel.
"""

from __future__ import annotations

import io
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from jaxtyping import UInt8
from PIL import Image

from dlseg.datasets.voc import palette

LOSSLESS_PIXELS = 400_000  # up to here the photo travels as PNG; above, a JPEG saves megabytes in a saved notebook
HERE = Path(__file__).parent


def label_table() -> UInt8[np.ndarray, "256 4"]:
    """VOC's palette with an alpha column that marks background (0), which is drawn as the photo's own pale grey."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:, :3] = palette()
    table[0, 3] = 0
    return table


def encode_photo(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The photo as a file's bytes: PNG where it is small, else JPEG."""
    stream = io.BytesIO()
    small = image.shape[0] * image.shape[1] <= LOSSLESS_PIXELS
    Image.fromarray(image).save(stream, **({"format": "PNG"} if small else {"format": "JPEG", "quality": 92}))
    return stream.getvalue()


class LabelCanvas(anywidget.AnyWidget):  # type: ignore[misc]
    """A photo with a label map (H, W) over it. `show` replaces the map; it may be called from any thread."""

    _esm = HERE / "canvas.js"
    _css = HERE / "canvas.css"

    photo = traitlets.Bytes().tag(sync=True)
    size = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)
    plane = traitlets.Bytes().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    table = traitlets.Bytes().tag(sync=True)
    hatched = traitlets.Bool(True).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    opacity = traitlets.Float(0.75).tag(sync=True)
    highlighted = traitlets.Int(-1).tag(sync=True)
    photo_only = traitlets.Bool(False).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    settled = traitlets.Bool(True).tag(sync=True)

    def __init__(self, image: UInt8[np.ndarray, "H W 3"], labels: np.ndarray, names: Sequence[str],
                 title: str = "") -> None:
        self._lock = threading.RLock()
        super().__init__(photo=encode_photo(image), size=image.shape[:2], plane=deflate(labels), title=title,
                         table=label_table().tobytes(), names=list(names))

    def show(self, labels: np.ndarray, *, status: str = "", settled: bool = True) -> None:
        """Put a label map (H, W) on the canvas with a line of text under it, in one message to the browser."""
        if labels.shape != self.size:
            raise ValueError(f"labels: expected shape {self.size}, got {labels.shape}")
        with self._lock, self.hold_sync():
            self.plane, self.status, self.settled, self.error = deflate(labels), status, settled, ""
            self.frame += 1  # equal bytes raise no change event in the browser; the counter always does

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the browser changed. It may arrive on another thread while `show` gathers its own message."""
        with self._lock:
            super().set_state(sync_data)


def deflate(labels: np.ndarray) -> bytes:
    """Labels 0…255 as zlib-compressed bytes, row by row; level 1: on label maps the speed counts, not the size."""
    return zlib.compress(np.ascontiguousarray(labels, dtype=np.uint8).tobytes(), level=1)
