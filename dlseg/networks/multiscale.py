"""DeepLab-MSc: five branches look at the image and at the first four pools (section 4.2)."""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.networks.architectures import scaled
from dlseg.networks.network import Chain, Network

CHANNELS = 128
# where a branch begins, and the stride that takes it to the stride of 8
BRANCHES = {"image": 8, "pool1": 4, "pool2": 2, "pool3": 1, "pool4": 1}


class MultiScale(Network):
    """A DeepLab network with five branches, each 3×3 then 1×1, 128 channels, whose class scores are added.

    The paper joins the branches' 640 channels to fc7's before the classifier; the release gives every branch
    a classifier of its own and adds the scores. `features` and `concatenated` are the paper's form of it. Only
    the branches train, as in the paper: initialise `main`, which is frozen, from a trained network (`load_trunk`).

    Args:
        chain: the network that the branches stand beside.

    >>> from dlseg.networks import create
    >>> net = create("deeplab-msc", num_classes=21, width=1.0)
    >>> image = torch.zeros(1, 3, 58, 58)
    >>> net.features(image).shape[1] - 4096, net.concatenated().weight.shape[0]    # 5 · 128 beside fc7's
    (640, 21)
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.spec, self.grid = chain.spec, chain.grid
        self.chain = chain.requires_grad_(False)
        width, classes = scaled(CHANNELS, chain.spec.width), chain.spec.num_classes
        self.branches = nn.ModuleDict(
            {
                name: Branch(3 if name == "image" else chain.channels(name), width, stride)
                for name, stride in BRANCHES.items()
            }
        )
        self.scores = nn.ModuleDict({name: _conv(width, classes, 1, std=0.01) for name in BRANCHES})

    @property
    def main(self) -> nn.Sequential:
        """The network that the branches stand beside."""
        return self.chain

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """Raw scores: fc8's and those of the five branches, added."""
        maps = self._maps(image)
        total = maps["fc8"]
        for name in BRANCHES:
            total = total + self.scores[name](maps[f"{name} branch"])
        return total

    def features(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """What the paper's classifier sees: fc7's channels and those of the five branches, side by side."""
        maps = self._maps(image)
        return torch.cat([maps["drop7"], *(maps[f"{name} branch"] for name in BRANCHES)], dim=1)

    @torch.no_grad()
    def concatenated(self) -> nn.Conv2d:
        """One 1×1 classifier over `features` that gives the same scores: weights joined, biases added."""
        heads = [self.chain.get_submodule("fc8").state_dict(), *(self.scores[n].state_dict() for n in BRANCHES)]
        weight = torch.cat([head["weight"] for head in heads], dim=1)
        classifier = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        classifier.weight = nn.Parameter(weight)
        classifier.bias = nn.Parameter(torch.stack([head["bias"] for head in heads]).sum(0))
        return classifier

    def _maps(self, image: Tensor) -> dict[str, Tensor]:
        """The image, every layer's map by name, and every branch's."""
        self._check(image)
        maps, x = {"image": image}, image
        for name, layer in self.chain.named_children():
            x = maps[name] = layer(x)
        size = (x.shape[2], x.shape[3])
        for name in BRANCHES:
            maps[f"{name} branch"] = self.branches[name](maps[name], size)
        return maps


class Branch(nn.Module):
    """3×3 with a stride, then 1×1: the two layers that look at one map."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.layers = nn.Sequential(
            OrderedDict(
                conv1=_conv(inputs, width, 3, stride, std=0.001),
                relu1=nn.ReLU(inplace=True),
                drop1=nn.Dropout(0.5),
                conv2=_conv(width, width, 1, std=0.001),
                relu2=nn.ReLU(inplace=True),
                drop2=nn.Dropout(0.5),
            )
        )

    def forward(self, x: Float[Tensor, "B C H W"], size: tuple[int, int]) -> Float[Tensor, "B D h w"]:
        """The branch at `size` positions: where they pass the map's end it sees zeros."""
        lack = [max(0, (n - 1) * self.stride + 1 - m) for n, m in zip(size, x.shape[2:], strict=True)]
        return self.layers(F.pad(x, (0, lack[1], 0, lack[0])))[..., : size[0], : size[1]]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, *, std: float) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=std)  # the release's
    nn.init.zeros_(conv.state_dict()["bias"])
    return conv
