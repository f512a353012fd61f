"""A network from its weights file alone: the JSON beside it says which network it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlseg.networks import Network, create
from dlseg.networks.weights import WEIGHTS


def read_info(path: Path) -> dict[str, Any]:
    """The JSON beside a weights file: variant, num_classes, width, geometry, and what its maker noted.

    Raises:
        FileNotFoundError: the weights or their JSON are missing. ValueError: the JSON does not say it all.
    """
    note = path.with_suffix(".json")
    for needed in (path, note):
        if not needed.is_file():
            raise FileNotFoundError(f"weights: no file {str(needed)!r}")
    info = json.loads(note.read_text(encoding="utf-8"))
    missing = {"variant", "num_classes", "width", "geometry"} - set(info)
    if missing:
        raise ValueError(f"weights: {str(note)!r} lacks {', '.join(sorted(missing))}")
    return dict(info)


def open_weights(source: str | Path, variant: str = "deeplab-largefov") -> tuple[Network, dict[str, Any]]:
    """The network that a weights file belongs to, with its weights, and the JSON's content.

    Args:
        source: the path of a `.safetensors` file, or `"shapes"` for the shipped one of `variant`.
    """
    path = WEIGHTS / f"{variant}-shapes.safetensors" if source == "shapes" else Path(source)
    info = read_info(path)
    net = create(info["variant"], info["num_classes"], info["width"], info["geometry"], weights=path)
    return net, info
