"""VGG-16's public ImageNet weights: their names, their scaling, and the paper's initialisation from them."""

from urllib.error import URLError

import torch
from torch import Tensor

from dlseg.networks.build import build_chain
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
    mean, deviation, pixel = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1)
                              for v in (_MEAN, _DEVIATION, MEAN_PIXEL))
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


def _empty(num_classes: int) -> Network:
    with torch.device("meta"):
        return build_chain(Spec("vgg16", num_classes, 1.0, "paper"))


def adopt(net: Network, state: State) -> Transfer:
    """The paper's initialisation: pour VGG-16 (a whole public state dict) into `net`, fc6 and fc7 decimated.

    Raises ValueError for a network of another trunk or width.
    """
    variant = VARIANTS[net.spec.variant]
    if "alexnet" in variant.name or net.spec.width != 1:
        raise ValueError(f"weights: VGG-16's fit a VGG network of width 1; got {variant.name} of width "
                         f"{net.spec.width:g}")
    vgg = _empty(state["classifier.6.weight"].shape[0])
    vgg.load_state_dict(from_imagenet(state), assign=True)
    if variant.fc6.padding is None:
        return load_trunk(net, vgg)
    convolutional = convolutionalize(vgg.main)
    return load_trunk(net, decimate(convolutional, variant.fc6.kernel, variant.fc6.channels))


def download(url: str = URL) -> State:
    """The public state dict, from torch's cache or the network, its hash checked."""
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except URLError as error:
        raise ConnectionError(f"weights: cannot fetch {url} ({error.reason}); "
                              "give the path of a copy as weights instead") from error
    except RuntimeError as error:
        raise ValueError(f"weights: what came from {url} is not the file it should be ({error})") from error
