"""What the atrous explorer computes: a filter with holes on a feature map, three ways, and pool5 in three forms."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from dlseg.atrous import Window, atrous_conv2d, densify, insert_holes, shift_and_stitch
from dlseg.atrous.conv import Method
from dlseg.datasets.transforms import to_input
from dlseg.networks import open_weights

POOL_TAPS = 2  # of the paper's pool5, along an axis; at rate 2
FILTERS = ("mean", "left minus right", "upper minus lower", "centre minus surround")
CONVOLUTION, POOL5 = LAYERS = ("a convolution", "pool5")
MAP_LAYER = "relu3_3"  # a map at stride 4


@dataclass(frozen=True)
class Form:
    """One way to compute the output (h, w), and its multiply-adds; `note` says what it does."""

    name: str
    note: str
    output: Float[np.ndarray, "h w"]
    macs: int

    def difference(self, other: Form) -> float:
        """The largest difference from another form's output."""
        return float(np.abs(self.output - other.output).max())


@cache
def _trunk() -> nn.Sequential:
    net, _ = open_weights("shapes")
    names = [name for name, _ in net.main.named_children()]
    return nn.Sequential(OrderedDict(list(net.main.named_children())[: names.index(MAP_LAYER) + 1])).eval()


@torch.inference_mode()
def feature_map(image: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "h w"]:
    """The liveliest channel that the shapes network's conv3_3 makes of an image, at stride 4."""
    maps: np.ndarray = _trunk()(to_input(image)[None])[0].numpy()
    return maps[int(maps.std((1, 2)).argmax())]


def filter_taps(name: str, kernel: int) -> Float[np.ndarray, "k k"]:
    """A filter of k × k taps by name; all but the mean add up to zero where k is more than one."""
    taps = np.zeros((kernel, kernel), np.float32)
    half = kernel // 2
    if name == "mean" or kernel == 1:
        return np.full_like(taps, 1 / kernel**2)
    if name == "centre minus surround":
        taps[:] = -1 / (kernel**2 - 1)
        taps[half, half] = 1
    else:
        taps[:, :half], taps[:, kernel - half :] = 1 / (kernel * half), -1 / (kernel * half)
    return taps.T.copy() if name == "upper minus lower" else taps


def window(kernel: int, rate: int, stride: int) -> Window:
    """The filter's window, padded so that at stride 1 the output is (nearly) as large as the map."""
    padding = (kernel - 1) * rate // 2
    return Window((kernel, kernel), (stride, stride), (padding, padding), (rate, rate))


def convolutions(
    features: Float[np.ndarray, "h w"], taps: Float[np.ndarray, "k k"], rate: int, stride: int
) -> tuple[Form, Form, Form]:
    """The same output three ways: torch's dilation, sampling the map, a filter with zeros."""
    x, weight = torch.from_numpy(features)[None, None], torch.from_numpy(taps)[None, None]
    padding = window(len(taps), rate, stride).padding[0]

    def output(method: Method) -> np.ndarray:
        made: Tensor = atrous_conv2d(x, weight, rate=rate, stride=stride, padding=padding, method=method)
        return made[0, 0].numpy()

    native = output("native")
    each, with_zeros = taps.size, insert_holes(weight, rate).numel()
    return (
        Form("native", "torch's dilation", native, native.size * each),
        Form(
            "sample",
            f"filter left intact, map read every {rate}" if rate > 1 else "filter left intact",
            output("sample"),
            native.size * each,
        ),
        Form("zeros", f"{with_zeros - each} zeros put between the taps", output("zeros"), native.size * with_zeros),
    )


@torch.inference_mode()
def pools(
    features: Float[np.ndarray, "h w"], taps: Float[np.ndarray, "k k"]
) -> tuple[np.ndarray, tuple[Form, Form, Form]]:
    """pool4, conv5 with this filter, ReLU and pool5 at every position: the map that pool5 reads, and its output as
    the slow truth, with holes, and as DeepLab released it, laid where it differs least.

    No multiply-adds: a maximum only compares. Without conv5 between them, the two forms would be equal.
    """
    x, conv5 = torch.from_numpy(features)[None, None], nn.Conv2d(1, 1, len(taps), bias=False)
    conv5.weight = nn.Parameter(torch.from_numpy(taps)[None, None])
    net = nn.Sequential(
        OrderedDict(pool4=nn.MaxPool2d(2, 2), conv5=conv5, relu5=nn.ReLU(), pool5=nn.MaxPool2d(2, 2))
    )
    truth = shift_and_stitch(net, x, 1)[0, 0].numpy()
    dense = densify(net, 1)
    exact, before = dense(x)[0, 0].numpy(), dense[:-1](x)[0, 0].numpy()
    released = densify(net, 1, pools="released")(x)[0, 0].numpy()[1:, 1:][: len(truth), : truth.shape[1]]
    return before, (
        Form("shift and stitch", "the strided net, run on 16 shifted maps", truth, 0),
        Form("with holes", "2×2, its taps 2 apart", exact, 0),
        Form("as released", "3×3, no holes", released, 0),
    )
