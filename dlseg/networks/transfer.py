"""A classifier becomes a labeller: what is poured over, and what starts anew (sections 3.1 and 5)."""

from dataclasses import dataclass

import torch

from dlseg.networks.vgg import Network


@dataclass(frozen=True)
class Transfer:
    """Names of the labeller's layers that were copied, and of those that keep their own initialisation."""

    copied: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"copied {', '.join(self.copied) or 'nothing'}; new {', '.join(self.new) or 'nothing'}"


@torch.no_grad()
def load_trunk(labeller: Network, classifier: Network) -> Transfer:
    """Copy every layer of `classifier` whose name and shapes fit into `labeller`, in place, and say which.

    fc8 is new where the numbers of classes differ (the paper swaps 1000 classes for 21).
    """
    source, target = classifier.state_dict(), labeller.main.state_dict()
    layers: dict[str, list[str]] = {}
    for key in target:
        layers.setdefault(key.rpartition(".")[0], []).append(key)
    copied: list[str] = []
    new: list[str] = []
    for layer, keys in layers.items():
        fits = all(k in source and source[k].shape == target[k].shape for k in keys)
        (copied if fits else new).append(layer)
        for key in keys if fits else ():
            target[key].copy_(source[key])
    return Transfer(tuple(copied), tuple(new))
