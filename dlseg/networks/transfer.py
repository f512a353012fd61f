"""From classifier to segmentation network: the weights they have in common, new classes (sections 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlseg.networks.architectures import VARIANTS, Spec, scaled
from dlseg.networks.build import build_chain
from dlseg.networks.decimation import convolutionalize, decimate
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
