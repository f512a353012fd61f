"""An HTML page around the engine in JavaScript (engine.js) and its studio (studio.js)."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8

from dlseg.common.checks import message, rgb_image
from dlseg.crf import CRFParams
from dlseg.datasets.voc import palette

HERE = Path(__file__).parent
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 0; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #161819; color: #ececec; }} }}
h1 {{ font: 600 18px/1.2 system-ui, sans-serif; margin: 8px 8px 0; }}</style>
</head>
<body>
<h1>{title}</h1>
{parts}
</body>
</html>
"""


def studio_parts(
    image: UInt8[np.ndarray, "..."],
    probs: Float[np.ndarray, "..."],
    classes: list[str],
    truth: Integer[np.ndarray, "..."] | None = None,
    params: CRFParams | None = None,
    *,
    still: str = "",
    name: str = "studio",
) -> str:
    """The studio as a piece of HTML, to be put into any page: its style, its scripts, and its data.

    Args:
        image: RGB, (H, W, 3).
        probs: a network's probabilities, (C, H, W); carried in half precision.
        classes: the labels' names, `classes[0]` the background.
        truth: the right labels (H, W), 255 = void: with them the studio measures mean IoU.
        params: where the sliders stand at first; by default `CRFParams()`.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several studios.

    Returns:
        The HTML, with its style, scripts and data.

    Raises:
        TypeError, ValueError: arrays of other shapes, or values out of range.
    """
    rgb_image("image", image)
    size = image.shape[:2]
    if probs.shape != (len(classes), *size):
        raise ValueError(message("probs", f"shape {probs.shape}", f"{(len(classes), *size)}"))
    if not 1 < len(classes) < 256:
        raise ValueError(message("classes", len(classes), "2 to 255 names"))
    if truth is not None and (truth.shape != size or truth.min() < 0 or truth.max() > 255):
        raise ValueError(message("truth", f"shape {truth.shape}", f"labels 0 to 255 of shape {size}"))
    values = asdict(params or CRFParams())
    for key in ("sigma_alpha", "sigma_gamma"):
        if isinstance(values[key], tuple):
            raise ValueError(message(f"params.{key}", values[key], "one number: the page's sliders have no pairs"))
    data = {
        "width": size[1],
        "height": size[0],
        "image": packed(image),
        "probs": packed(np.clip(probs, 0, 1).astype("<f2")),
        "truth": None if truth is None else packed(truth.astype(np.uint8)),
        "classes": list(classes),
        "colours": palette()[: max(len(classes), 4)].tolist(),
        "params": values,
    }
    read = {file: (HERE / file).read_text(encoding="utf-8") for file in ("engine.js", "worker.js")}
    worker = "\n".join(
        f'<script type="text/plain" id="dlseg-{Path(file).stem}">\n{text}</script>' for file, text in read.items()
    )
    return worker + part("startStudio", data, ("ask.js", "studio.js"), still=still, name=name)


def part(start: str, data: dict[str, Any], scripts: tuple[str, ...], *, still: str, name: str) -> str:
    """An explorer as a piece of HTML: its style, its scripts, an element `name`, and the call that fills it.

    Args:
        start: the JavaScript function that takes the element and the data.
        data: what can be written as JSON.
        scripts: files of this folder, besides what every explorer needs.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own for each explorer of a page.
    """
    # "<" would let a class's name end the script
    payload = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    code = "".join((HERE / file).read_text(encoding="utf-8") for file in ("page.js", *scripts))
    call = f"{start}(document.getElementById({json.dumps(name)}), {payload});"
    return "\n".join(
        [
            f"<style>\n{(HERE / 'page.css').read_text(encoding='utf-8')}</style>",
            f'<div id="{escape(name)}"></div>',
            f"<noscript>{still}<p>This picture moves where JavaScript is switched on.</p></noscript>",
            f"<script>\n(() => {{\n{code}{call}\n}})();\n</script>",
        ]
    )


def studio_page(*args: Any, title: str = "The fully connected CRF, in your hands", **settings: Any) -> str:
    """A whole page of `studio_parts`, with the same arguments; it works from a file, without a network.

    Args:
        args: those of `studio_parts`.
        title: of the page.
        settings: the keywords of `studio_parts`.

    Returns:
        The text of the page.

    >>> import numpy as np
    >>> image, probs = np.zeros((4, 5, 3), np.uint8), np.full((2, 4, 5), 0.5, np.float32)
    >>> page = studio_page(image, probs, ["background", "cat"])
    >>> page.startswith("<!doctype html>")
    True
    """
    return page(title, studio_parts(*args, **settings))


def page(title: str, parts: str) -> str:
    """A whole HTML page round the parts of explorers.

    Args:
        title: of the page.
        parts: the HTML that the functions of this package make.

    Returns:
        The text of the page.
    """
    return PAGE.format(title=escape(title), parts=parts)


def packed(array: np.ndarray) -> str:
    """An array's bytes, compressed by zlib, in base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode("ascii")


def base64_of(array: np.ndarray) -> str:
    """An array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
