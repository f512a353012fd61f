"""A network from its weights file alone: the JSON beside it says which network it is, or the layers' shapes do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlseg.networks import Network, create
from dlseg.networks.weight_formats import Weights, read_weights
from dlseg.networks.weights import WEIGHTS, fill, infer_spec

SPEC = {"variant", "num_classes", "width", "geometry"}


def read_info(path: Path) -> dict[str, Any]:
    """The JSON beside a weights file: variant, num_classes, width, geometry, and what its maker noted.

    Raises:
        FileNotFoundError: the weights or their JSON are missing. ValueError: the JSON does not say it all.
    """
    note = path.with_suffix(".json")
    for needed in (path, note):
        if not needed.is_file():
            raise FileNotFoundError(f"weights: no file {str(needed)!r}")
    try:
        info = dict(json.loads(note.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"weights: {str(note)!r} is not a JSON object ({error})") from error
    missing = SPEC - set(info)
    if missing:
        raise ValueError(f"weights: {str(note)!r} lacks {', '.join(sorted(missing))}")
    return info


def find_weights(source: str | Path, variant: str = "deeplab-largefov") -> tuple[Path, Weights, dict[str, Any]]:
    """A weights file, its tensors, and what is known of it: the JSON beside it, or what the file itself says.

    Args:
        source: the path of a file of any kind that `dlseg.networks.weight_formats` reads, or `"shapes"` for the
            shipped one of `variant`.
    """
    path = WEIGHTS / f"{variant}-shapes.safetensors" if source == "shapes" else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"weights: no file {str(path)!r}")
    if path.with_suffix(".json").is_file():
        return path, read_weights(path), read_info(path)
    found = read_weights(path)
    return path, found, found.info


def open_weights(source: str | Path, variant: str = "deeplab-largefov") -> tuple[Network, dict[str, Any]]:
    """The network that a weights file belongs to, with its weights, and what is known of it (`find_weights`).

    Where nothing says which network it is, the shapes of its layers do: then `info["assumed"]` is True.
    """
    path, found, info = find_weights(source, variant)
    if not set(info) >= SPEC:
        info = infer_spec(found, path.name) | info | {"assumed": True}
    net = create(info["variant"], info["num_classes"], info["width"], info["geometry"])
    fill(net, found, path)
    return net, info
