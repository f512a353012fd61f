"""Labels drawn with labelme: a JSON file beside each image, with the outlines of its objects."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.common.json_objects import read_object_file

ENDING = ".json"
BACKGROUND, NOT_ANNOTATED = ("background", "_background_"), ("void", "__ignore__", "ignore")
SHAPES = ("polygon", "rectangle", "circle", "mask")
LARGEST = 50_000_000  # pixels


def is_labelme(path: Path) -> bool:
    """Whether a file is one that labelme wrote."""
    try:
        return {"shapes", "imageHeight", "imageWidth"} <= set(read_object_file(path))
    except (ValueError, OSError):
        return False


def names_in(path: Path) -> list[str]:
    """What the outlines of a file are called, in their order, without background and void.

    Raises ValueError for a file that labelme did not write.
    """
    names = [_name(path, shape) for shape in _shapes(path)[0]]
    return [name for name in dict.fromkeys(names) if name not in (*BACKGROUND, *NOT_ANNOTATED)]


def read_labelme(path: Path, classes: Sequence[str]) -> UInt8[np.ndarray, "H W"]:
    """The outlines of a file as a label (H, W): class numbers, 255 void.

    What no outline covers is class 0; of two that overlap the later one counts, as in labelme's own export. An
    outline called "void" or "__ignore__" is void, one called "_background_" is class 0.

    Args:
        path: labelme's JSON file.
        classes: the names of the classes, "background" first.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not labelme's, an outline whose name is no class, or one that is no area.

    >>> import json, tempfile
    >>> shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 0], [2, 1]]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.json"
    ...     _ = path.write_text(json.dumps({"shapes": [shape], "imageHeight": 2, "imageWidth": 4}))
    ...     read_labelme(path, ["background", "cat"])
    array([[0, 1, 1, 0],
           [0, 1, 1, 0]], dtype=uint8)
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing label; its image is there")
    shapes, (height, width) = _shapes(path)
    numbers = dict.fromkeys(BACKGROUND, 0) | dict.fromkeys(NOT_ANNOTATED, VOID)
    numbers |= {name: number for number, name in enumerate(classes)}
    label = Image.new("L", (width, height), 0)
    for shape in shapes:
        name = _name(path, shape)
        if name not in numbers:
            raise ValueError(
                message(str(path), f"an outline called {name!r}", f"one of {', '.join(classes)}, or void")
            )
        try:
            _draw(label, shape, numbers[name])
        except (KeyError, TypeError, ValueError, OSError, IndexError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path}: the outline of {name!r} cannot be drawn ({error})") from error
    return np.array(label)


def _shapes(path: Path) -> tuple[list[dict[str, Any]], tuple[int, int]]:
    found = read_object_file(path)
    shapes, height, width = found.get("shapes"), found.get("imageHeight"), found.get("imageWidth")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise ValueError(f"{path}: holds no `shapes`, expected a file of labelme")
    if type(height) is not int or type(width) is not int or min(height, width) < 1 or height * width > LARGEST:
        expected = f"whole numbers, at most {LARGEST / 1e6:.0f} million pixels"
        raise ValueError(message(f"{path}: imageHeight and imageWidth", (height, width), expected))
    return shapes, (height, width)


def _name(path: Path, shape: dict[str, Any]) -> str:
    if not isinstance(name := shape.get("label"), str):
        raise ValueError(message(str(path), f"an outline called {name!r}", "a text"))
    return name


def _draw(label: Image.Image, shape: dict[str, Any], number: int) -> None:
    kind = shape.get("shape_type") or "polygon"
    if kind not in SHAPES:
        raise ValueError(message("shape_type", repr(kind), f"an area: {', '.join(SHAPES)}"))
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if not np.isfinite(points).all():
        raise ValueError(message("points", "NaN or infinity", "finite numbers"))
    draw = ImageDraw.Draw(label)
    if kind == "polygon":
        if len(points) < 3:
            raise ValueError(message("points", len(points), "three or more"))
        draw.polygon(points, fill=number, outline=number)
    elif kind == "rectangle":
        (left, top), (right, bottom) = points
        draw.rectangle((min(left, right), min(top, bottom), max(left, right), max(top, bottom)), fill=number)
    elif kind == "circle":
        (x, y), (at_x, at_y) = points  # the centre, and a point of the circle
        radius = float(np.hypot(at_x - x, at_y - y))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=number)
    else:
        stored = io.BytesIO(base64.b64decode(shape["mask"], validate=True))
        with Image.open(stored, formats=["PNG"]) as mask:  # other formats start other programs (EPS: Ghostscript)
            corner = (round(points[0][0]), round(points[0][1]))
            label.paste(number, (*corner, corner[0] + mask.width, corner[1] + mask.height), mask.convert("1"))
