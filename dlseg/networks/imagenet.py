"""VGG-16's public ImageNet weights: their names, their scaling, and where they are fetched from."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from dlseg.common.constants import MEAN_PIXEL
from dlseg.networks.architectures import VGG16, Conv, Pool, Spec
from dlseg.networks.build import build_chain

State = dict[str, Tensor]
URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
SIZE = 553_433_881  # bytes
FIRST = "features.0.weight"  # the public weights have a layer of this name, and no other network here has
# the public weights want RGB / 255, minus this, divided by that; ours want RGB minus the mean pixel
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet_names() -> dict[str, str]:
    """Our names of VGG-16's layers → those of the public state dict (features.0 … classifier.6)."""
    names, at = {}, 0
    for row in VGG16.rows:
        if isinstance(row, Conv):
            names[row.name] = f"features.{at}"
        at += 1 if isinstance(row, Pool) else 2  # a convolution and its ReLU
    return names | {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}


def from_imagenet(state: State) -> State:
    """A public state dict by our names, for our images: `/ 255`, mean and deviation are folded into conv1_1.

    (Padding with zeros then means our mean pixel instead of theirs: a step of one grey level.)
    """
    ours = {theirs: name for name, theirs in imagenet_names().items()}
    renamed = {_renamed(key, ours): value for key, value in state.items()}
    weight, bias = renamed["conv1_1.weight"].double(), renamed["conv1_1.bias"].double()
    mean, deviation, pixel = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (_MEAN, _DEVIATION, MEAN_PIXEL)
    )
    # their input is (ours + mean pixel) / 255 / deviation - mean / deviation, which is ours · scale + shift
    scale, shift = 1 / (255 * deviation), (pixel / 255 - mean) / deviation
    like = renamed["conv1_1.weight"].dtype
    return renamed | {
        "conv1_1.weight": (weight * scale).to(like),
        "conv1_1.bias": (bias + (weight * shift).sum((1, 2, 3))).to(like),
    }


def public_shapes(state: State) -> State:
    """The keys that a public state dict should have, with tensors that have a shape and no memory.

    Args:
        state: what a file holds: the number of classes is its own, and its features alone are enough.
    """
    classes = state["classifier.6.weight"].shape[0] if "classifier.6.weight" in state else 1000
    with torch.device("meta"):
        whole = build_chain(Spec("vgg16", classes, 1.0, "paper")).state_dict()
    named = {_renamed(key, imagenet_names()): value for key, value in whole.items()}
    if not any(key.startswith("classifier") for key in state):
        return {key: value for key, value in named.items() if key.startswith("features")}
    return named


def _renamed(key: str, names: dict[str, str]) -> str:
    layer, _, kind = key.rpartition(".")
    return f"{names.get(layer, layer)}.{kind}"


def kept(url: str = URL) -> Path:
    """Where torch keeps what was fetched from `url`; there may be nothing yet."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def download(url: str = URL) -> State:
    """The public state dict, from torch's cache or the network, its hash checked.

    Raises:
        ConnectionError: it cannot be fetched.
        ValueError: what came is another file.
    """
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except URLError as error:
        raise ConnectionError(
            f"weights: cannot fetch {url} ({error.reason}); give the path of a copy as weights instead"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"weights: what came from {url} is not the file it should be ({error})") from error
