"""VGG-16's public ImageNet weights: their names, their scaling, and the paper's initialisation from them."""

from urllib.error import URLError

import torch
from torch import Tensor

from dlseg.networks.build import build_chain, scaled
from dlseg.networks.network import Network, Spec
from dlseg.networks.tables import VGG16, Conv, Pool
from dlseg.networks.transfer import Transfer, convolutionalize, decimate, load_trunk
from dlseg.networks.variants import VARIANTS

State = dict[str, Tensor]
URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
# the public weights want RGB / 255, minus this, divided by that; ours want RGB minus the mean pixel
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_PIXEL = (122.675, 116.669, 104.008)


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
    return _rescaled({_renamed(key, ours): value for key, value in state.items()}, inverse=False)


def to_imagenet(state: State) -> State:
    """The way back: the state dict of our VGG-16 by the public names, for their images."""
    return {_renamed(key, imagenet_names()): value for key, value in _rescaled(state, inverse=True).items()}


def _renamed(key: str, names: dict[str, str]) -> str:
    layer, _, kind = key.rpartition(".")
    return f"{names.get(layer, layer)}.{kind}"


def _rescaled(state: State, *, inverse: bool) -> State:
    """Their input is (ours + mean pixel) / 255 / deviation - mean / deviation, which is ours · scale + shift."""
    weight, bias = state["conv1_1.weight"].double(), state["conv1_1.bias"].double()
    mean, deviation, pixel = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (_MEAN, _DEVIATION, MEAN_PIXEL)
    )
    scale, shift = 1 / (255 * deviation), (pixel / 255 - mean) / deviation
    if inverse:
        weight = weight / scale
        bias = bias - (weight * shift).sum((1, 2, 3))
    else:
        bias = bias + (weight * shift).sum((1, 2, 3))
        weight = weight * scale
    like = state["conv1_1.weight"].dtype
    return state | {"conv1_1.weight": weight.to(like), "conv1_1.bias": bias.to(like)}


def vgg16_shapes(num_classes: int) -> State:
    """The public state dict's keys with tensors that have a shape and no memory."""
    return {_renamed(key, imagenet_names()): value for key, value in _empty(num_classes).state_dict().items()}


def _empty(num_classes: int, width: float = 1.0) -> Network:
    with torch.device("meta"):
        return build_chain(Spec("vgg16", num_classes, width, "paper"))


def adopt(net: Network, state: State) -> Transfer:
    """The paper's initialisation: pour VGG-16's public weights into `net`, fc6 and fc7 decimated.

    `state` is a whole public state dict, or its features alone. Raises ValueError for a network of another trunk or
    width.
    """
    variant = VARIANTS[net.spec.variant]
    if "alexnet" in variant.name or net.spec.width != 1:
        raise ValueError(
            f"weights: VGG-16's fit a VGG network of width 1; got {variant.name} of width {net.spec.width:g}"
        )
    return pour(net, from_imagenet(state))


def pour(net: Network, state: State, same_classes: bool = True) -> Transfer:
    """Copy the layers of `state`, by our names, that fit into `net`; VGG-16's fc6 and fc7 are decimated where they
    are larger.

    Raises ValueError where nothing fits.
    """
    fc6 = VARIANTS[net.spec.variant].fc6
    connected = "fc6.weight" in state and state["fc6.weight"].ndim == 2 and "fc7.weight" in state
    if not connected or fc6.padding is None or "conv1_1.weight" not in state:
        return load_trunk(net, state, same_classes)
    if "fc8.weight" not in state:
        hidden = state["fc7.weight"].shape[0]
        state = state | {"fc8.weight": torch.zeros(1, hidden), "fc8.bias": torch.zeros(1)}
        same_classes = False
    vgg = _empty(state["fc8.weight"].shape[0], state["conv1_1.weight"].shape[0] / 64)
    vgg.load_state_dict({key: state[key] for key in vgg.state_dict() if key in state}, strict=False, assign=True)
    channels = scaled(fc6.channels, net.spec.width)
    return load_trunk(net, decimate(convolutionalize(vgg.main), fc6.kernel, channels), same_classes)


def download(url: str = URL) -> State:
    """The public state dict, from torch's cache or the network, its hash checked."""
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except URLError as error:
        raise ConnectionError(
            f"weights: cannot fetch {url} ({error.reason}); give the path of a copy as weights instead"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"weights: what came from {url} is not the file it should be ({error})") from error
