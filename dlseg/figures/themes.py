"""A figure as a part of a page that reads well on light and on dark ground.

A photograph, a map of labels and the key to its colours must look the same on both grounds; words, lines and curves
must not, or they would be dark on dark. So a figure is two pictures, one over the other, each pixel in one of them:
what keeps its colours, and the ink on no ground at all. A style sheet turns the lightness of ink where the page
is dark, and leaves its hues. Each pixel is kept once: a saved notebook is hardly larger for it.
"""

from __future__ import annotations

import base64
import io
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

SCREEN_DPI = 80  # a figure's size on the page, in pixels per inch
SHARPER = 2.0  # times as many pixels in the picture, for sharp screens
EXACT_BYTES = 200_000  # of one picture, where no limit is asked for
PAD = 0.08  # inches of room round a figure that is cut to what it shows
# JupyterLab and nbconvert, furo (the book) by choice and by the system's, VS Code
DARK = ('[data-jp-theme-light="false"]', 'body[data-theme="dark"]', "body.vscode-dark")
SYSTEM = 'body[data-theme="auto"]'
# a page of an unknown kind gets white ground: nothing says that it is light
TURNED, CLEAR = "filter:invert(1) hue-rotate(180deg)", "background:none"
STYLE = (
    ".dlseg-figure{position:relative;display:inline-block;max-width:100%;background:#fff;line-height:0}"
    ".dlseg-figure img{max-width:100%;height:auto;margin:0}"
    ".dlseg-figure img+img{position:absolute;left:0;top:0;width:100%;height:100%}"
    + "".join(f"{page} .dlseg-figure{{{CLEAR}}}{page} .dlseg-ink{{{TURNED}}}" for page in DARK)
    + f"@media(prefers-color-scheme:dark){{{SYSTEM} .dlseg-figure{{{CLEAR}}}{SYSTEM} .dlseg-ink{{{TURNED}}}}}"
)

RGBA = UInt8[np.ndarray, "H W 4"]


def figure_html(figure: Figure, words: str = "", limit: int | None = None, sharper: float = SHARPER) -> str:
    """A figure as HTML: white ground in a light page, none in a dark one, where words and lines are light.

    Args:
        figure: any figure; it is left as it was.
        words: for those who cannot see it; default: its titles.
        limit: bytes that its pictures may have in all, where a lower quality can do it; default: any.
        sharper: pixels of the picture for one on the page.

    Returns:
        The HTML, which needs no script.

    Example:
        >>> from dlseg.figures import schedule_figure
        >>> from dlseg.training import Recipe
        >>> figure_html(schedule_figure({"poly": Recipe.shapes()})).count("<img")
        1
    """
    return _html(figure, *split(figure, round(sharper * SCREEN_DPI)), words, limit, sharper)


def _html(figure: Figure, kept: RGBA, ink: RGBA, words: str, limit: int | None, sharper: float) -> str:
    width = round(ink.shape[1] / sharper)
    words = words or ", ".join(dict.fromkeys(filter(None, map(_title, figure.axes)))) or "figure"
    layers = [(kept, "dlseg-kept"), (ink, "dlseg-ink")]
    images, left = [], limit
    for layer, name in reversed([pair for pair in layers if pair[0][..., 3].any()]):  # the ink first: it is exact
        data = webp(layer, left)
        left = None if left is None else max(0, left - len(data))
        images.append((name, base64.b64encode(data).decode()))
    images.reverse()
    tags = "".join(
        f'<img class="{name}" alt="{"" if number else escape(words, quote=True)}" width="{width}" '
        f'src="data:image/webp;base64,{data}">'
        for number, (name, data) in enumerate(images)
    )
    return f'<div class="dlseg-figure"><style>{STYLE}</style>{tags}</div>'


def split(figure: Figure, dpi: int) -> tuple[RGBA, RGBA]:
    """A figure drawn without ground, as what keeps its colours in every theme and as ink.

    Args:
        figure: any figure; it is left as it was. One without a layout of its own is cut to what it shows.
        dpi: pixels per inch.

    Returns:
        Two pictures of one size; where one has something, the other is clear.
    """
    with _bare(figure, dpi) as canvas:
        figure.draw_without_rendering()  # a layout comes to rest with the second drawing
        canvas.draw()
        boxes = [box.frozen() for box in _kept_boxes(figure)]  # else they go on to follow the figure
        left, bottom = 0.0, 0.0
        if figure.get_layout_engine() is None:
            box = figure.get_tightbbox(canvas.get_renderer()).padded(PAD)  # may reach beyond the figure's edge
            left, bottom = box.x0 * dpi, box.y0 * dpi
            stream = io.BytesIO()
            figure.savefig(stream, format="png", dpi=dpi, bbox_inches=box, facecolor="none")
            drawn = np.asarray(Image.open(stream).convert("RGBA")).copy()
        else:
            drawn = np.asarray(canvas.buffer_rgba()).copy()
    fixed = np.zeros(drawn.shape[:2], bool)
    for box in boxes:
        _fill(fixed, box.translated(-left, -bottom))
    clear = np.zeros_like(drawn)
    return np.where(fixed[..., None], drawn, clear), np.where(fixed[..., None], clear, drawn)


def webp(picture: UInt8[np.ndarray, "H W C"], limit: int | None = None) -> bytes:
    """A picture as a WebP file: exact where it was drawn, a little lossy where it is a photograph.

    Args:
        picture: RGB or RGBA, (H, W, 3) or (H, W, 4).
        limit: bytes that it may have, where a lower quality can do it; default: `EXACT_BYTES`.

    Returns:
        The file's bytes.
    """
    steps = (picture[:, 1:] != picture[:, :-1]).any(-1)
    drawn = steps.mean() < 0.5  # by a pen, or enlarged, and not by a camera: exact is smaller, too
    exact = [{"lossless": True, "quality": 50, "method": 1}] if drawn else []
    data = b""
    for settings in (*exact, *({"quality": quality, "method": 2} for quality in (90, 85, 60, 35))):
        data = _webp(picture, settings)
        if len(data) <= (EXACT_BYTES if limit is None else limit):
            break
    return data


def show_in_notebooks() -> None:
    """From now on this notebook shows every figure of matplotlib by `figure_html`, those of pyplot too.

    Outside notebooks it does nothing.
    """
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    if shell is not None:
        shell.display_formatter.ipython_display_formatter.for_type_by_name("matplotlib.figure", "Figure", publish)


def publish(figure: Figure) -> None:
    """Show a figure in the running cell; a small PNG beside the HTML is for LaTeX, PDF and whatever takes no HTML.

    Args:
        figure: any figure.
    """
    from IPython.display import publish_display_data

    kept, ink = split(figure, round(SHARPER * SCREEN_DPI))
    html = _html(figure, kept, ink, "", None, SHARPER)
    picture = base64.b64encode(_plain_png(kept, ink)).decode()
    publish_display_data({"text/plain": repr(figure), "text/html": html, "image/png": picture})


def _plain_png(kept: RGBA, ink: RGBA) -> bytes:
    """Both layers on white, as large as the page shows them, in at most 192 colours."""
    both = Image.fromarray(kept + ink)  # where one has something, the other is zero
    ground = Image.alpha_composite(Image.new("RGBA", both.size, "white"), both).convert("RGB")
    small = ground.resize([max(1, round(n / SHARPER)) for n in both.size], Image.Resampling.BOX)
    stream = io.BytesIO()
    small.quantize(192, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _webp(picture: UInt8[np.ndarray, "H W C"], settings: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", **settings)
    return stream.getvalue()


def _title(axes: Any) -> str:
    return axes.get_title(loc="left") or axes.get_title() or ""


@contextmanager
def _bare(figure: Figure, dpi: int) -> Iterator[Any]:
    """The figure on a canvas for drawing, without its white ground and that of its charts."""
    canvas, before = figure.canvas, figure.get_dpi()
    grounds = [figure.patch, *(axes.patch for axes in figure.axes if not _pictured(axes))]
    white = [p for p in grounds if p.get_visible() and to_hex(p.get_facecolor()) == "#ffffff"]
    for patch in white:
        patch.set_visible(False)
    try:
        figure.set_dpi(dpi)
        yield FigureCanvasAgg(figure)
    finally:
        for patch in white:
            patch.set_visible(True)
        figure.set_dpi(before)
        figure.set_canvas(canvas)


def _pictured(axes: Any) -> bool:
    return bool(axes.images) or any(isinstance(found, QuadMesh) for found in axes.collections)


def _kept_boxes(figure: Figure) -> Iterator[Any]:
    """Where colours stand for something that they must go on to stand for: pictures, their scales and keys."""
    if not any(axes.images for axes in figure.axes):
        return
    for axes in figure.axes:
        if _pictured(axes):
            yield axes.get_window_extent()
    for legend in figure.legends:
        for handle in legend.legend_handles:
            if isinstance(handle, Patch):
                yield handle.get_window_extent()


def _fill(mask: Bool[np.ndarray, "H W"], box: Any) -> None:
    """Set the pixels that a box, in pixels from below, touches."""
    (left, bottom), (right, top) = box.min, box.max
    height = mask.shape[0]
    rows = slice(max(0, math.floor(height - top)), max(0, math.ceil(height - bottom)))
    mask[rows, max(0, math.floor(left)) : max(0, math.ceil(right))] = True
