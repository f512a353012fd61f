"""What every network of the paper has in common, and the plain chains among them."""

from abc import abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dlseg.atrous import output_size
from dlseg.networks.describe import describe
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.variants import VARIANTS, GeometryName

Layers = OrderedDict[str, nn.Module]


@dataclass(frozen=True)
class Spec:
    """The arguments of `create` that shape a network."""

    variant: str
    num_classes: int
    width: float
    geometry: GeometryName


class Network(nn.Module):
    """A network of the paper. `grid` says where its score positions lie in the image; a classifier has none."""

    spec: Spec
    grid: ScoreGrid | None

    @property
    @abstractmethod
    def main(self) -> nn.Sequential:
        """The chain conv1_1 … fc8, which a classifier can be poured into."""

    @property
    def input_size(self) -> tuple[int, int]:
        """The size of image that the paper gives it."""
        crop = VARIANTS[self.spec.variant].geometry(self.spec.geometry).crop
        return crop, crop

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the score map of an image of `size`; ValueError where it is too small."""
        return output_size(self.main, size)

    @abstractmethod
    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores (before softmax) of mean-subtracted, unscaled RGB images."""

    def score_map(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C *hw"]:
        """Raw scores at every position: for a labeller, what it answers anyway."""
        return self(image)

    def __repr__(self) -> str:
        s, count = self.spec, sum(p.numel() for p in self.parameters())
        return describe(
            self,
            f"{s.variant}: {s.num_classes} classes, width {s.width:g}, {s.geometry} geometry, {count:,} parameters",
        )

    def _check(self, image: Tensor) -> None:
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            raise ValueError(
                "image must be a float tensor (B, 3, H, W), mean-subtracted RGB; "
                f"got {str(image.dtype).removeprefix('torch.')} of shape {tuple(image.shape)}"
            )
        self.score_size((image.shape[2], image.shape[3]))


class Chain(Network, nn.Sequential):
    """Layers one after the other, by VGG's names."""

    def __init__(self, layers: Layers, spec: Spec, grid: ScoreGrid | None) -> None:
        nn.Sequential.__init__(self, layers)
        self.spec, self.grid = spec, grid

    @property
    def main(self) -> nn.Sequential:
        """The chain itself."""
        return self

    def channels(self, name: str) -> int:
        """Channels of the map that layer `name` makes."""
        count = 3
        for layer, module in self.named_children():
            count = getattr(module, "out_channels", count)
            if layer == name:
                return count
        raise ValueError(f"name must be one of {', '.join(n for n, _ in self.named_children())}; got {name!r}")

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
    """A chain whose answer is one score per class and image."""

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class scores: the mean over the positions of the score map, where there is a map."""
        scores = self.score_map(image)
        return scores.mean((2, 3)) if scores.ndim == 4 else scores

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the score map; ValueError where a fully connected fc6 needs another image."""
        at, fc6 = super().score_size(size), VARIANTS[self.spec.variant].fc6
        if fc6.padding is not None:
            return at
        if at != (fc6.kernel, fc6.kernel):
            raise ValueError(
                f"fc6 is fully connected to {fc6.kernel}×{fc6.kernel} cells; an image of "
                f"{size[0]}×{size[1]} has {at[0]}×{at[1]} (convolutionalize makes it fit any size)"
            )
        return 1, 1
