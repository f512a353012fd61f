"""The label canvas: photo, colour table and layer of bytes travel apart, and the browser colours and blends them.

The photo goes once, as PNG or JPEG bytes; each update is one deflated byte per pixel and a frame counter. Opacity,
the highlighted class and "photo only" are redrawn in the browser without asking the kernel.
"""

from __future__ import annotations

import io
import math
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from jaxtyping import Float, UInt8
from PIL import Image

from dlseg.common.constants import VOID
from dlseg.widgets.layers import LABELS, Picture, decimated

LOSSLESS_PIXELS = 400_000  # up to here the photo travels as PNG; above, a JPEG saves megabytes in a saved notebook
SHOWN_PIXELS = 1_000_000  # larger photos are shown smaller: the browser blends every pixel shown
LIKELIEST = 3  # classes named under the cursor
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
    """A photo (H, W, 3) with a layer over it. `show` replaces the layer; it may be called from any thread.

    `picked` follows clicks on the picture: (row, column, how many clicks yet), the place in shares of height and
    width. `mark` puts a ring there; an arrow key moves it by `steps` (down, right), with Shift by five of them.

    With a `brush` (label, width in pixels) the mouse paints where `paints`, in the page at once; so do arrow keys
    and the space bar. `scribbles` (height, width; 255 where none is) are all of them; `strokes` counts.

    The page itself names what lies under the cursor: the label, or the number. While the page says that somebody
    reads (`probed`), it also gets the LIKELIEST classes of each pixel and their probabilities (`probe`) with each
    settled picture. Where it previews by itself (`studio/preview.js`), `settings` tell it what a picture is of.
    """

    _esm = "".join((HERE / name).read_text(encoding="utf-8") for name in ("canvas.js", "brush.js", "newest.js"))
    _css = HERE / "canvas.css"

    photo = traitlets.Bytes().tag(sync=True)
    size = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(1, 1)).tag(sync=True)
    layer = traitlets.Bytes().tag(sync=True)
    layer_size = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 0)).tag(sync=True)
    kind = traitlets.Unicode(LABELS).tag(sync=True)
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
    paints = traitlets.Bool(False).tag(sync=True)
    drawn = traitlets.Bytes().tag(sync=True, from_json=lambda value, widget: bytes(value))
    strokes = traitlets.Int(0).tag(sync=True)
    has_probs = traitlets.Bool(False).tag(sync=True)
    probed = traitlets.Bool(False).tag(sync=True)
    probe = traitlets.Bytes().tag(sync=True)
    probe_size = traitlets.Tuple((0, 0, 0)).tag(sync=True)
    probe_frame = traitlets.Int(0).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    settled = traitlets.Bool(True).tag(sync=True)
    settings = traitlets.List(traitlets.Float()).tag(sync=True)
    ringed = traitlets.Bool(True).tag(sync=True)
    ruler = traitlets.Tuple((0.0, 0.0, 1.0)).tag(sync=True)

    def __init__(self, picture: Picture, **traits: Any) -> None:
        self._lock = threading.RLock()
        self._image: np.ndarray | None = None  # the photo shown, as it was given
        self._probed: np.ndarray | None = None  # the probabilities that the page has
        super().__init__(**traits)
        self.show(picture)

    def show(self, picture: Picture) -> None:
        """Show a picture, in one message to the browser; its photo travels only where it is another one.

        A layer smaller than the photo is stretched over it; a larger one is read at the photo's pixels.
        """
        with self._lock, self.hold_sync():
            self.layout.display = "none" if picture.hidden else None
            if picture.hidden:
                return
            self._lay(picture.image)
            layer = picture.layer
            large = layer.values.size > self.size[0] * self.size[1]
            values = decimated(layer.values, self.size) if large else layer.values
            self.layer, self.layer_size, self.table = deflate(values), values.shape, layer.table.tobytes()
            self.names, self.kind = list(layer.names), layer.kind
            self.bar = asdict(layer.bar) if layer.bar else {}
            self.title, self.status = picture.title, picture.status
            self.settled, self.error, self.settings = picture.settled, "", list(picture.settings)
            top, left, wide = picture.ruler
            self.ringed = picture.ringed
            self.ruler = (top, left, wide * self.size[0] / picture.image.shape[0])
            self.pickable = picture.steps is not None
            if picture.steps is not None:
                self.steps = picture.steps
            self.paints = picture.paints
            if picture.ring is not None or not picture.paints:  # a ring of the brush's own is moved in the page
                self.mark = list(picture.ring or ())
            self._give_probabilities(picture)
            self.frame += 1  # equal bytes raise no change event in the browser; the counter always does

    def _give_probabilities(self, picture: Picture) -> None:
        self.has_probs = picture.probs is not None
        if picture.probs is None or not (self.probed and picture.settled):
            return
        if picture.probs is not self._probed:
            self._probed, found = picture.probs, likeliest(picture.probs, LIKELIEST)
            self.probe, self.probe_size = deflate(found.reshape(-1, found.shape[-1])), found.shape
        self.classes, self.probe_frame = list(picture.classes), self.frame + 1

    def take(self, image: UInt8[np.ndarray, "H W 3"], scribbles: UInt8[np.ndarray, "H W"] | None = None) -> None:
        """Take up a photo, and the scribbles on it; those of before are gone."""
        with self._lock, self.hold_sync():
            self._lay(image)
            self.mark = []
            self.drawn = b"" if scribbles is None else deflate(decimated(scribbles, self.size))

    @property
    def scribbles(self) -> UInt8[np.ndarray, "h w"]:
        """What was drawn, at the size shown; 255 where nothing was."""
        height, width = self.size
        if not self.drawn:
            return np.full((height, width), VOID, np.uint8)
        return np.frombuffer(zlib.decompress(self.drawn), np.uint8).reshape(height, width)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the browser changed. It may arrive on another thread while `show` gathers its own message."""
        with self._lock:
            super().set_state(sync_data)

    def _lay(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        if image is self._image:
            return
        self._image, size = image, shown_size(*image.shape[:2])
        if size != image.shape[:2]:
            image = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS))
        self.size, self.photo = size, encode_photo(image)


def show_all(canvases: Sequence[LabelCanvas], draw: Callable[[Any], Sequence[Picture]], answer: Any) -> None:
    """An answer's pictures, each on its canvas."""
    for canvas, picture in zip(canvases, draw(answer), strict=True):
        canvas.show(picture)


def likeliest(probs: Float[np.ndarray, "C h w"], count: int) -> UInt8[np.ndarray, "n h w"]:
    """Each pixel's most probable classes, at most `count`, best first; then their probabilities, of 255."""
    left, classes, shares = probs.copy(), [], []
    for _ in range(min(count, len(probs))):
        best = left.argmax(axis=0)[None]
        classes.append(best[0])
        shares.append(255 * np.take_along_axis(left, best, 0)[0] + 0.5)
        np.put_along_axis(left, best, -1.0, 0)
    return np.stack([*classes, *shares]).astype(np.uint8)


def deflate(values: UInt8[np.ndarray, "h w"]) -> bytes:
    """Bytes, zlib-compressed, row by row; level 1: on label maps the speed counts, not the size."""
    return zlib.compress(np.ascontiguousarray(values).tobytes(), level=1)
