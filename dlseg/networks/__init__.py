"""The paper's networks (sections 3.1, 3.2, 4.2, 5)."""

from pathlib import Path
from typing import get_args

from dlseg.networks.grid import ScoreGrid
from dlseg.networks.transfer import Transfer, load_trunk
from dlseg.networks.variants import VARIANTS, GeometryName, Variant, variants
from dlseg.networks.vgg import Classifier, Network, Spec, build
from dlseg.networks.weights import load_weights, save_weights

__all__ = ["Classifier", "Network", "ScoreGrid", "Spec", "Transfer", "create", "load_trunk", "load_weights",
           "save_weights", "variants"]


def create(
    name: str,
    num_classes: int = 21,
    width: float = 1.0,
    geometry: GeometryName = "paper",
    weights: str | Path | None = None,
) -> Network:
    """A network of the paper by name, see `variants()`.

    It maps images (B, 3, H, W), RGB minus the mean pixel and unscaled, to raw scores: (B, C, h, w) at
    stride 8 for a labeller, (B, C) for a classifier. `width` scales every channel count. `geometry` is the
    paper's text or the released code where they differ. `weights` is None (random), "shapes" (the file that
    comes with the checkout) or the path of a .safetensors file.

    Raises ValueError for an argument that names nothing or weights of another network, FileNotFoundError for
    weights that are not there.
    """
    variant = _variant(name)
    if geometry not in get_args(GeometryName):
        raise ValueError(f"geometry must be one of {get_args(GeometryName)}; got {geometry!r}")
    if not 0 < width <= 4:
        raise ValueError(f"width must be over 0 and at most 4; got {width}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1; got {num_classes}")
    net = build(variant, Spec(name, num_classes, width, geometry))
    if weights is not None:
        load_weights(net, weights)
    return net


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise ValueError(f"name must be one of {', '.join(VARIANTS)}; got {name!r}")
    return VARIANTS[name]
