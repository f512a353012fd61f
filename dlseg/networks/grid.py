"""Where the positions of a score map lie in the image, to decimate labels and zoom scores."""

from dataclasses import dataclass

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from dlseg.common.constants import VOID


@dataclass(frozen=True)
class ScoreGrid:
    """Where the positions of a score map lie: k stands for pixel `offset + stride · k`, along both axes.

    The release decimates labels from 306 as `[1::8]` and from 321 as `[::8]` (offsets 1 and 0), and its
    bilinear zoom keeps those pixels fixed, which is `align_corners=True`.

    Attributes:
        stride: pixels from position to position.
        offset: the pixel of the first one.

    >>> import torch
    >>> ScoreGrid(8).decimate(torch.arange(17 * 17).reshape(17, 17), (3, 3))[0]
    tensor([ 0,  8, 16])
    """

    stride: int
    offset: int = 0

    def decimate(self, labels: Shaped[Tensor, "*B H W"], size: tuple[int, int]) -> Shaped[Tensor, "*B h w"]:
        """`labels` at the positions of a score map of `size`; positions outside the image are void (255)."""
        picked = labels[..., self.offset :: self.stride, self.offset :: self.stride][..., : size[0], : size[1]]
        missing = (0, size[1] - picked.shape[-1], 0, size[0] - picked.shape[-2])
        return F.pad(picked, missing, value=VOID)

    def upsample(self, scores: Float[Tensor, "B C h w"], size: tuple[int, int]) -> Float[Tensor, "B C H W"]:
        """`scores` bilinearly at every pixel of an image of `size`; beyond the outer ones they repeat."""
        if self.stride == 1 and scores.shape[-2:] == size:
            return scores
        zoomed = [self.stride * (n - 1) + 1 for n in scores.shape[-2:]]
        pixels = F.interpolate(scores, zoomed, mode="bilinear", align_corners=True)
        rest = [max(0, n - self.offset - z) for n, z in zip(size, zoomed, strict=True)]
        padded = F.pad(pixels, (self.offset, rest[1], self.offset, rest[0]), mode="replicate")
        return padded[..., : size[0], : size[1]]
