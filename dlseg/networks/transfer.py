"""From classifier to segmentation network: fully connected → convolution, decimation, new classes (3.1, 3.2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlseg.atrous import Window
from dlseg.atrous.window import POINTWISE
from dlseg.common.checks import message, whole_number
from dlseg.networks.architectures import VARIANTS, Spec, scaled
from dlseg.networks.build import build_chain
from dlseg.networks.network import Network

# layers whose outputs are classes: of no use where the classes are others
CLASSIFIERS = ("fc8", "scores", "skips", "upsamplings")


@dataclass(frozen=True)
class Transfer:
    """What `load_trunk` did, in words by `str`.

    Attributes:
        copied: the network's layers that were copied.
        new: those that keep their own initialisation.

    >>> print(Transfer(("conv1_1", "fc6"), ("fc8",)))
    copied conv1_1, fc6; new fc8
    """

    copied: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"copied {', '.join(self.copied) or 'nothing'}; new {', '.join(self.new) or 'nothing'}"


@torch.no_grad()
def load_trunk(net: Network, classifier: nn.Module | Mapping[str, Tensor], same_classes: bool = True) -> Transfer:
    """Copy every layer of `classifier` whose name and shapes fit into `net`, in place, and say which.

    A fully connected layer fits the convolution with as many weights per output. For a smaller fc6, `decimate` the
    classifier first.

    Args:
        net: the network that is to begin where the classifier is, such as a `deeplab-largefov`.
        classifier: a network or its state dict.
        same_classes: False where the classes are as many, but others. fc8 is then new, as where the numbers of
            classes differ (the paper swaps 1000 classes for 21).

    Returns:
        Which layers were copied, and which are new.

    Raises:
        ValueError: no layer fits: another architecture or another width. `net` is as it was.

    >>> from dlseg.networks import create
    >>> print(load_trunk(create("deeplab-largefov", 21, 1 / 64), create("vgg16-20m", 1000, 1 / 64)).new)
    ('fc8',)
    """
    given = classifier.state_dict() if isinstance(classifier, nn.Module) else classifier
    source, target = _plain_names(given), _plain_names(net.state_dict())
    learned = _plain_names(dict(net.named_parameters()))
    layers: dict[str, list[str]] = {}
    for key in target:
        layers.setdefault(key.rpartition(".")[0], []).append(key)
    copied: list[str] = []
    new: list[str] = []
    for layer, keys in layers.items():
        if not hasattr(net.main, layer) and not any(learned[key].requires_grad for key in keys):
            continue  # FCN's last upsampling is the same in every network
        wanted = same_classes or layer.partition(".")[0] not in CLASSIFIERS
        fits = wanted and all(key in source and _fits(source[key], target[key]) for key in keys)
        (copied if fits else new).append(layer)
        for key in keys if fits else ():
            target[key].copy_(source[key].reshape(target[key].shape))
    if not copied:
        raise ValueError(
            f"weights: no layer of {_kind(classifier)} fits {_kind(net)}; expected one of the "
            f"same trunk and width{_first_difference(source, target)}"
        )
    return Transfer(tuple(copied), tuple(new))


def _plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The main chain's layers by their own names, in whatever network they stand."""
    return {key.removeprefix("chain."): value for key, value in tensors.items()}


def _kind(net: object) -> str:
    return f"{net.spec.variant} of width {net.spec.width:g}" if isinstance(net, Network) else "that network"


def _first_difference(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> str:
    first, wanted = next(iter(source), "missing"), next(iter(target))
    if first != wanted:
        return f" (the first layer is {first} there, {wanted} here)"
    return f" ({first} is {tuple(source[first].shape)} there, {tuple(target[first].shape)} here)"


def _fits(source: Tensor, target: Tensor) -> bool:
    fully_connected = source.ndim == 2 and target.ndim == 4
    return source.shape == target.shape or (
        fully_connected and source.shape[0] == target.shape[0] and source[0].numel() == target[0].numel()
    )


# classifiers that networks begin from, by the first convolution's weights in their state dicts
_CLASSIFIERS = {"conv1_1.weight": "vgg16", "conv1.weight": "alexnet"}


def decimated_for(net: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A classifier's state dict (VGG-16's, AlexNet's) with fc6 and fc7 decimated to what `net` has.

    Any other state dict, one whose fc6 is a convolution already, or one of another trunk (whose fc7 would mean
    nothing there), is given back as it is (sections 3.1, 3.2).

    >>> from dlseg.networks import create
    >>> classifier, net = create("vgg16", 10, 1 / 64), create("deeplab-largefov", 21, 1 / 64)
    >>> tuple(classifier.fc6.weight.shape), tuple(decimated_for(net, classifier.state_dict())["fc6.weight"].shape)
    ((64, 392), (16, 8, 3, 3))
    """
    own = _plain_names(net.state_dict())
    fc6 = VARIANTS[net.spec.variant].fc6
    name = next((name for first, name in _CLASSIFIERS.items() if first in state and first in own), None)
    connected = "fc6.weight" in state and state["fc6.weight"].ndim == 2 and "fc7.weight" in state
    if not connected or fc6.padding is None or name is None:
        return state
    classes = state["fc8.weight"].shape[0] if "fc8.weight" in state else 1
    width = state["fc6.weight"].shape[0] / VARIANTS[name].fc6.channels
    with torch.device("meta"):
        classifier = build_chain(Spec(name, classes, width, "paper"))
    missing = classifier.load_state_dict(
        {key: state[key] for key in classifier.state_dict() if key in state}, strict=False, assign=True
    ).missing_keys
    small = decimate(convolutionalize(classifier), fc6.kernel, scaled(fc6.channels, net.spec.width))
    return {key: value for key, value in small.state_dict().items() if key not in missing}


def convolutionalize(net: nn.Sequential) -> nn.Sequential:
    """The same classifier as a convolutional network for any image: its fully connected layers become filters.

    The first one after the flattening gets a square kernel as large as the map it was connected to, the
    others 1×1 (section 3.1).

    Args:
        net: the classifier, a chain of layers; it stays as it is.

    Returns:
        A copy. On an image of the classifier's own size its scores, (B, C, 1, 1), are the classifier's.

    Raises:
        TypeError: `net` is no nn.Sequential.
        ValueError: a fully connected layer was not connected to a square map of the last convolution's channels,
            or a layer is of another kind.

    >>> from dlseg.networks import create
    >>> vgg16 = create("vgg16", num_classes=10, width=1 / 16).eval()
    >>> dense = convolutionalize(vgg16)
    >>> dense(torch.zeros(1, 3, 224, 224)).shape, dense(torch.zeros(1, 3, 288, 256)).shape
    (torch.Size([1, 10, 1, 1]), torch.Size([1, 10, 3, 2]))
    """
    if not isinstance(net, nn.Sequential):
        raise TypeError(message("net", type(net).__name__, "an nn.Sequential of layers"))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 0
    for name, layer in net._modules.items():  # unlike named_children, this repeats a layer used twice
        if isinstance(layer, nn.Linear):
            layers[name] = _filters(name, layer, channels)
        elif isinstance(layer, POINTWISE) or Window.of(layer) is not None:
            layers[name] = deepcopy(layer)
        elif not isinstance(layer, nn.Flatten):
            raise ValueError(
                f"{name} ({type(layer).__name__}) has no convolutional form; layers must be "
                "convolutions, poolings, pointwise, flattening or fully connected"
            )
        channels = getattr(layers.get(name), "out_channels", channels)
    copy = nn.Sequential(layers)
    copy.training = net.training  # the layers keep their own modes
    return copy


@torch.no_grad()
def _filters(name: str, layer: nn.Linear, channels: int) -> nn.Conv2d:
    side = round((layer.in_features / channels) ** 0.5) if channels else 0
    if side * side * channels != layer.in_features:
        raise ValueError(f"{name} takes {layer.in_features} numbers, which is no square map of {channels} channels")
    with torch.device("meta"):  # no memory: both parameters come from the layer
        conv = nn.Conv2d(channels, layer.out_features, side)
    conv.weight = nn.Parameter(layer.weight.reshape(conv.weight.shape).clone())
    conv.bias = None if layer.bias is None else nn.Parameter(layer.bias.clone())
    conv.training = layer.training
    return conv


def decimation(taps: int, kept: int) -> list[int]:
    """Which of `taps` taps along one axis simple decimation keeps: every step-th from the first.

    Also the pattern for channels: 4096 → 1024 keeps every fourth.

    Raises:
        ValueError: more are to be kept than there are, or fewer than one.

    >>> decimation(7, 4), decimation(7, 3)
    ([0, 2, 4, 6], [0, 3, 6])
    """
    whole_number("kept", kept, low=1, high=taps)
    step = (taps - 1) // (kept - 1) if kept > 1 else 1
    first = (taps - 1) // 2 if kept == 1 else 0
    return list(range(first, first + step * kept, step))[:kept]


@torch.no_grad()
def decimate(net: nn.Sequential, kernel: int, channels: int | None = None, rate: int = 1) -> nn.Sequential:
    """A copy of a convolutional classifier with a smaller fc6, by simple decimation (section 3.2).

    Args:
        net: a network with convolutions fc6, fc7 and fc8; it stays as it is.
        kernel: fc6 keeps `kernel`×`kernel` of its taps; which ones is `decimation`.
        channels: fc6 and fc7 keep so many of their channels; None keeps all.
        rate: the new fc6's, in cells of pool5. 1 makes the field smaller, as DeepLab's 4×4; the decimation's step
            keeps it, as LargeFOV's 3×3 with rate 3 at stride 32, which is 12 at stride 8.

    Raises:
        ValueError: there are fewer taps or channels than that, or no such convolutions.

    >>> from dlseg.networks import create
    >>> dense = convolutionalize(create("vgg16", num_classes=10, width=1 / 16))
    >>> decimate(dense, kernel=3, channels=64).fc6.weight.shape    # of 256 filters of 7×7
    torch.Size([64, 32, 3, 3])
    """
    copy = deepcopy(net)
    fc6, fc7, fc8 = (getattr(copy, name, None) for name in ("fc6", "fc7", "fc8"))
    if not (isinstance(fc6, nn.Conv2d) and isinstance(fc7, nn.Conv2d) and isinstance(fc8, nn.Conv2d)):
        raise ValueError(
            "net: got a network without convolutions fc6, fc7, fc8, expected one with them; "
            "convolutionalize makes them of a classifier"
        )
    taps = torch.tensor(decimation(fc6.kernel_size[0], kernel))
    kept = torch.tensor(decimation(fc6.out_channels, fc6.out_channels if channels is None else channels))
    _keep(fc6, fc6.weight[kept][:, :, taps][:, :, :, taps], kept)
    _keep(fc7, fc7.weight[kept][:, kept], kept)
    _keep(fc8, fc8.weight[:, kept], torch.arange(fc8.out_channels))
    fc6.dilation = (rate, rate)
    return copy


def _keep(conv: nn.Conv2d, weight: Tensor, outputs: Tensor) -> None:
    conv.weight = nn.Parameter(weight.clone())
    conv.bias = None if conv.bias is None else nn.Parameter(conv.bias[outputs].clone())
    conv.out_channels, conv.in_channels = weight.shape[:2]
    conv.kernel_size = (weight.shape[2], weight.shape[3])
