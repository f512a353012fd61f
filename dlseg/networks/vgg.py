"""One builder for the chain conv1_1 … fc8: classifiers and labellers differ in pools and fc6 only."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlseg.atrous import output_size
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.variants import VGG16_STAGES, Geometry, GeometryName, Head, Pool, Variant

Layers = OrderedDict[str, nn.Module]


@dataclass(frozen=True)
class Spec:
    """The arguments of `create` that shape a network."""

    variant: str
    num_classes: int
    width: float
    geometry: GeometryName


class Network(nn.Sequential):
    """A chain of layers with VGG's names. `grid` says where score positions lie in the image."""

    def __init__(self, layers: Layers, spec: Spec, grid: ScoreGrid | None) -> None:
        super().__init__(layers)
        self.spec, self.grid = spec, grid

    @property
    def main(self) -> nn.Sequential:
        """The layers that a classifier can be poured into: for a plain chain, itself."""
        return self

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the score map of an image of `size`; ValueError where it is too small."""
        return output_size(self, size)

    def score_map(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores (before softmax) of mean-subtracted, unscaled RGB images."""
        check_image(image)
        self.score_size((image.shape[2], image.shape[3]))
        x = image
        for layer in self:
            x = layer(x)
        return x

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """The same as `score_map`."""
        return self.score_map(image)


class Classifier(Network):
    """A network whose answer is one score per class and image."""

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class scores: the mean over the positions of the score map, where there is a map."""
        scores = self.score_map(image)
        return scores.mean((2, 3)) if scores.ndim == 4 else scores


def check_image(image: Tensor) -> None:
    """Raise ValueError unless `image` is a float batch of three-channel images."""
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError("image must be a float tensor (B, 3, H, W), mean-subtracted RGB; "
                         f"got {str(image.dtype).removeprefix('torch.')} of shape {tuple(image.shape)}")


def scaled(channels: int, width: float) -> int:
    """`channels` of the full network at this width."""
    return max(1, round(channels * width))


def build(variant: Variant, spec: Spec) -> Network:
    """The network of `variant`, with the paper's initialisation."""
    geometry = variant.geometries[spec.geometry]
    layers, channels = trunk(geometry, spec.width)
    layers |= head(variant.head, channels, spec)
    if variant.labeller:
        return initialise(Network(layers, spec, ScoreGrid(8, geometry.offset)))
    return initialise(Classifier(layers, spec, None))


def trunk(geometry: Geometry, width: float) -> tuple[Layers, int]:
    """conv1_1 … pool5 (pool5a), and the channels they end with."""
    layers, channels = Layers(), 3
    for stage, (full, count) in enumerate(VGG16_STAGES, start=1):
        rate = geometry.conv5_rate if stage == 5 else 1
        for i in range(1, count + 1):
            outputs = scaled(full, width)
            layers[f"conv{stage}_{i}"] = nn.Conv2d(channels, outputs, 3, padding=rate, dilation=rate)
            layers[f"relu{stage}_{i}"] = nn.ReLU(inplace=True)
            channels = outputs
        layers[f"pool{stage}"] = pool(geometry.pools[stage - 1])
    layers.update({f"pool5{'abc'[i]}": pool(p) for i, p in enumerate(geometry.pools[5:])})
    return layers, channels


def pool(p: Pool) -> nn.Module:
    """The torch layer of one row of the table."""
    if p.average:
        return nn.AvgPool2d(p.kernel, p.stride, p.padding, ceil_mode=p.ceil)
    return nn.MaxPool2d(p.kernel, p.stride, p.padding, dilation=p.rate, ceil_mode=p.ceil)


def head(h: Head, channels: int, spec: Spec) -> Layers:
    """fc6, fc7, fc8, the first two with ReLU and dropout: convolutions, or fully connected for rate 0."""
    layers, hidden = Layers(), scaled(h.channels, spec.width)
    if h.rate == 0:
        layers["flatten"] = nn.Flatten()
        layers["fc6"] = nn.Linear(channels * h.kernel ** 2, hidden)
    else:
        layers["fc6"] = nn.Conv2d(channels, hidden, h.kernel, padding=h.padding, dilation=h.rate)
    for i, outputs in ((7, hidden), (8, spec.num_classes)):
        layers[f"relu{i - 1}"], layers[f"drop{i - 1}"] = nn.ReLU(inplace=True), nn.Dropout(0.5)
        layers[f"fc{i}"] = nn.Linear(hidden, outputs) if h.rate == 0 else nn.Conv2d(hidden, outputs, 1)
    return layers


@torch.no_grad()
def initialise(net: Network) -> Network:
    """He's normal weights, which keep the scale through ReLUs, and zero biases; fc8 is N(0, 0.01)."""
    for name, module in net.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if name == "fc8":
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
