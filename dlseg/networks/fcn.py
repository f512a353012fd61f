"""FCN-32s, 16s and 8s (Long, Shelhamer and Darrell 2015): what DeepLab is measured against."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlseg.common.checks import message, whole_number
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.network import Chain, Network

# what Long et al. cut off the top left, found from the padding of 100: of pool4's and pool3's scores, and of the
# last upsampling by factor
_SKIP_CROP = {"pool4": 5, "pool3": 9}
_LAST_CROP = {32: 19, 16: 27, 8: 31}


def bilinear_kernel(factor: int) -> Float[Tensor, "K K"]:
    """The kernel whose transposed convolution with stride `factor` upsamples bilinearly.

    Args:
        factor: f, how many times finer the map becomes.

    Returns:
        (K, K) with K = 2f - f mod 2.

    Raises:
        TypeError, ValueError: `factor` is no whole number of at least 1.

    >>> bilinear_kernel(2)[0].tolist()
    [0.0625, 0.1875, 0.1875, 0.0625]
    """
    whole_number("factor", factor, low=1)
    size = 2 * factor - factor % 2
    centre = (size - 1) / 2
    profile = 1 - (torch.arange(size, dtype=torch.float64) - centre).abs() / ((size + 1) // 2)
    return torch.outer(profile, profile).float()


class FCN(Network):
    """VGG-16 at stride 32 with finer scores added on the way up to one score per pixel (Long et al. 2015).

    The intermediate upsamplings begin bilinear and learn; the last one is bilinear and fixed. The scores of
    the skips and of fc8 begin at zero.

    Args:
        chain: VGG-16 as a convolutional network, its first padding 100.
        skips: how many finer maps are added: 0 for FCN-32s, 1 (pool4) for 16s, 2 (pool4, pool3) for 8s.

    >>> from dlseg.networks import create
    >>> create("fcn-8s", num_classes=5, width=1 / 64)(torch.zeros(1, 3, 40, 50)).shape
    torch.Size([1, 5, 40, 50])
    """

    def __init__(self, chain: Chain, skips: int) -> None:
        super().__init__()
        self.spec, self.grid, self.chain = chain.spec, ScoreGrid(1), chain
        classes = chain.spec.num_classes
        self.skips = nn.ModuleDict(
            {name: _zero(nn.Conv2d(chain.channels(name), classes, 1)) for name in ("pool4", "pool3")[:skips]}
        )
        self.upsamplings = nn.ModuleDict({name: _upsampling(classes, 2, learned=True) for name in self.skips})
        self.last = _upsampling(classes, 32 >> skips, learned=False)
        _zero(chain.get_submodule("fc8"))

    @property
    def main(self) -> nn.Sequential:
        """VGG-16 as a convolutional network, its image padded by 100."""
        return self.chain

    def score_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """One score per pixel."""
        if min(size) < 1:
            raise ValueError(message("image", f"{size[0]}×{size[1]} pixels", "at least one pixel"))
        return size

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C H W"]:
        """Raw scores at every pixel."""
        self._check(image)
        maps, x = {}, image
        for name, layer in self.chain.named_children():
            x = layer(x)
            maps[name] = x
        for name, skip in self.skips.items():
            x = self.upsamplings[name](x)
            finer, crop = skip(maps[name]), _SKIP_CROP[name]
            x = x + finer[..., crop : crop + x.shape[2], crop : crop + x.shape[3]]
        crop = _LAST_CROP[self.last.stride[0]]
        return self.last(x)[..., crop : crop + image.shape[2], crop : crop + image.shape[3]]


@torch.no_grad()
def _upsampling(classes: int, factor: int, *, learned: bool) -> nn.ConvTranspose2d:
    """Each class upsampled by itself: at first where the layer learns, for ever where it does not."""
    kernel = bilinear_kernel(factor)
    groups = 1 if learned else classes
    layer = nn.ConvTranspose2d(classes, classes, kernel.shape[0], factor, bias=False, groups=groups)
    layer.weight.zero_()
    for c in range(classes):
        layer.weight[c, c if learned else 0] = kernel
    return layer.requires_grad_(learned)


@torch.no_grad()
def _zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        parameter.zero_()
    return layer
