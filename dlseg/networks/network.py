"""What every network of the paper has in common, the plain chains among them, and how `repr` shows them."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from dlseg.atrous import Window, output_size
from dlseg.atrous.window import Pair
from dlseg.common.checks import message
from dlseg.networks.architectures import VARIANTS, Spec
from dlseg.networks.grid import ScoreGrid

Layers = OrderedDict[str, nn.Module]


class Network(nn.Module):
    """What every network of the paper has in common; `create` makes one.

    Attributes:
        spec: what it was made by.
        grid: where its score positions lie in the image; None for a classifier.

    >>> from dlseg.networks import create
    >>> net = create("deeplab-largefov", width=1 / 64)
    >>> net.input_size, net.score_size(net.input_size), net.grid
    ((306, 306), (39, 39), ScoreGrid(stride=8, offset=1))
    """

    spec: Spec
    grid: ScoreGrid | None

    @property
    @abstractmethod
    def main(self) -> nn.Sequential:
        """The chain conv1_1 … fc8, which can be initialised from a classifier (`load_trunk`)."""

    @property
    def input_size(self) -> tuple[int, int]:
        """The size of image that the paper gives it."""
        crop = VARIANTS[self.spec.variant].geometry(self.spec.geometry).crop
        return crop, crop

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the score map of an image of `size`.

        Raises:
            ValueError: the image is too small.
        """
        return output_size(self.main, size)

    @abstractmethod
    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores (before softmax) of mean-subtracted, unscaled RGB images."""

    def score_map(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores at every position: for a segmentation network, what it answers anyway."""
        return self(image)

    def __repr__(self) -> str:
        """A title, then a line per layer with weights or a window; ReLU and dropout stay on the line before."""
        s, count = self.spec, sum(p.numel() for p in self.parameters())
        lines = [
            f"{s.variant}: {s.num_classes} classes, width {s.width:g}, {s.geometry} geometry, {count:,} parameters"
        ]
        for name, module in self.named_modules():
            words = _words(module)
            if words is None:
                continue
            if words.startswith("+"):
                lines[-1] += f", {words[1:]}"
            else:
                lines.append(f"  {name.removeprefix('chain.').replace('.layers', ''):<20} {words}")
        return "\n".join(lines)

    def _check(self, image: Tensor) -> None:
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            got = f"{str(image.dtype).removeprefix('torch.')} of shape {tuple(image.shape)}"
            raise ValueError(message("image", got, "a float tensor (B, 3, H, W), mean-subtracted RGB"))
        self.score_size((image.shape[2], image.shape[3]))


class Chain(Network, nn.Sequential):
    """Layers one after the other, by VGG's names: conv1_1 … pool5, fc6, fc7, fc8.

    >>> from dlseg.networks import create
    >>> net = create("deeplab", width=1 / 64)
    >>> net.fc6.kernel_size, net.fc6.dilation, net.channels("pool4")
    ((4, 4), (4, 4), 8)
    """

    def __init__(self, layers: Layers, spec: Spec, grid: ScoreGrid | None) -> None:
        nn.Sequential.__init__(self, layers)
        self.spec, self.grid = spec, grid

    @property
    def main(self) -> nn.Sequential:
        """The chain itself."""
        return self

    def channels(self, name: str) -> int:
        """Channels of the map that layer `name` makes.

        Raises:
            ValueError: there is no such layer.
        """
        count = 3
        for layer, module in self.named_children():
            count = getattr(module, "out_channels", count)
            if layer == name:
                return count
        raise ValueError(message("name", repr(name), f"one of {', '.join(n for n, _ in self.named_children())}"))

    def score_map(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores at every position; (B, C) where fc6 is fully connected."""
        self._check(image)
        x = image
        for layer in self:
            x = layer(x)
        return x

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """The same as `score_map`."""
        return self.score_map(image)


class Classifier(Chain):
    """A chain whose answer is one score per class and image (section 3.1: what DeepLab begins from).

    >>> import torch
    >>> from dlseg.networks import create
    >>> create("vgg16", num_classes=10, width=1 / 64)(torch.zeros(2, 3, 224, 224)).shape
    torch.Size([2, 10])
    """

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class scores: the mean over the positions of the score map, where there is a map."""
        scores = self.score_map(image)
        return scores.mean((2, 3)) if scores.ndim == 4 else scores

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the score map.

        Raises:
            ValueError: the image is too small, or a fully connected fc6 needs another one.
        """
        at, fc6 = super().score_size(size), VARIANTS[self.spec.variant].fc6
        if fc6.padding is not None:
            return at
        if at != (fc6.kernel, fc6.kernel):
            raise ValueError(
                f"fc6 is fully connected to {fc6.kernel}×{fc6.kernel} cells; an image of "
                f"{size[0]}×{size[1]} has {at[0]}×{at[1]} (convolutionalize makes it fit any size)"
            )
        return 1, 1


def _words(module: nn.Module) -> str | None:
    """A layer in words, with a leading + where it belongs to the line before; None for a layer of layers."""
    if isinstance(module, nn.ConvTranspose2d):
        size, learned = module.kernel_size[0], "learned" if module.weight.requires_grad else "fixed"
        return f"{size}×{size} upsampling ×{module.stride[0]}, bilinear, {learned}"
    if isinstance(module, nn.Linear):
        return f"fully connected, {module.out_features}"
    if isinstance(module, nn.ReLU):
        return "+ReLU"
    if isinstance(module, nn.Dropout):
        return f"+dropout {module.p:g}"
    if isinstance(module, nn.LocalResponseNorm | nn.BatchNorm2d):
        return "+" + ("batch" if isinstance(module, nn.BatchNorm2d) else "local response") + " normalisation"
    window = Window.of(module)
    return None if window is None else _windowed(module, window)


def _windowed(module: nn.Module, w: Window) -> str:
    average = isinstance(module, nn.AvgPool2d) or getattr(module, "average", False)
    pool = "average pool" if average else "max pool"
    kind = f"conv, {module.out_channels}" if isinstance(module, nn.Conv2d) else pool
    parts = (("stride", w.stride, (1, 1)), ("input stride", w.rate, (1, 1)), ("padding", w.padding, (0, 0)))
    extras = [f"{word} {_number(value)}" for word, value, usual in parts if value != usual]
    return ", ".join([f"{w.kernel[0]}×{w.kernel[1]} {kind}", *extras])


def _number(value: Pair) -> str:
    return f"{value[0]}" if value[0] == value[1] else f"{value[0]}×{value[1]}"
