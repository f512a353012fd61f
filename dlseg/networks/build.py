"""One builder from the rows of a table to torch layers, and the paper's initialisation."""

import torch
from torch import Tensor, nn

from dlseg.atrous import AtrousPool2d, Window
from dlseg.networks.architectures import VARIANTS, Conv, Norm, Pool, Spec, Variant, scaled
from dlseg.networks.fcn import FCN
from dlseg.networks.grid import ScoreGrid
from dlseg.networks.multiscale import MultiScale
from dlseg.networks.network import Chain, Classifier, Layers, Network


class ResponseNorm(nn.LocalResponseNorm):
    """Krizhevsky's normalisation, in float32 for the half-precision maps that torch's own refuses on a CPU.

    >>> ResponseNorm(5)(torch.ones(1, 8, 2, 2, dtype=torch.bfloat16)).dtype
    torch.bfloat16
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same, of the same type."""
        if x.dtype in (torch.bfloat16, torch.float16):
            return super().forward(x.float()).to(x.dtype)
        return super().forward(x)


def build(spec: Spec) -> Network:
    """The whole network, freshly initialised."""
    variant, chain = VARIANTS[spec.variant], build_chain(spec)
    net: Network = chain
    if variant.kind == "multi-scale":
        net = MultiScale(chain)
    elif variant.kind == "fcn":
        net = FCN(chain, variant.skips)
    # the layout that convolves fastest; shapes and results stay the same
    nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last)
    return net


def build_chain(spec: Spec) -> Chain:
    """conv1_1 … fc8 of the variant, freshly initialised; what else the variant has stands on it."""
    variant = VARIANTS[spec.variant]
    geometry = variant.geometry(spec.geometry)
    layers = _layers(variant, spec)
    if variant.kind == "classifier":
        return initialise(Classifier(layers, spec, None))
    return initialise(Chain(layers, spec, ScoreGrid(geometry.stride, geometry.offset)))


def _layers(variant: Variant, spec: Spec) -> Layers:
    layers, channels = Layers(), 3
    for row in variant.geometry(spec.geometry).rows:
        if isinstance(row, Conv):
            _conv(layers, row, channels, scaled(row.channels, spec.width))
            channels = scaled(row.channels, spec.width)
        elif isinstance(row, Norm):
            # torch divides alpha by the size of the window; Krizhevsky's 1e-4 is for every term
            layers[row.name] = ResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        else:
            layers[row.name] = pool(row)
    _head(layers, variant.fc6, channels, spec)
    return layers


def _conv(layers: Layers, row: Conv, inputs: int, outputs: int) -> None:
    suffix = row.name.removeprefix("conv").removeprefix("fc")
    if row.padding is None:
        layers[row.name] = nn.Linear(inputs * row.kernel**2, outputs)
    else:
        layers[row.name] = nn.Conv2d(inputs, outputs, row.kernel, row.stride, row.padding, row.rate)
    layers[f"relu{suffix}"] = nn.ReLU(inplace=True)


def _head(layers: Layers, fc6: Conv, inputs: int, spec: Spec) -> None:
    """fc6, fc7 and fc8: fully connected where fc6 is, else convolutions."""
    hidden = scaled(fc6.channels, spec.width)
    fully = fc6.padding is None
    if fully:
        layers["flatten"] = nn.Flatten()
    _conv(layers, fc6, inputs, hidden)
    layers["drop6"] = nn.Dropout(0.5)
    _conv(layers, Conv("fc7", hidden, 1, padding=None if fully else 0), hidden, hidden)
    layers["drop7"] = nn.Dropout(0.5)
    classes = spec.num_classes
    layers["fc8"] = nn.Linear(hidden, classes) if fully else nn.Conv2d(hidden, classes, 1)


def pool(row: Pool) -> nn.Module:
    """The torch layer of a row; with holes and much padding, which torch's max pool refuses, our own."""
    if row.average:
        return nn.AvgPool2d(row.kernel, row.stride, row.padding, ceil_mode=row.ceil)
    if 2 * row.padding > row.kernel:
        sides = (row.kernel,) * 2, (row.stride,) * 2, (row.padding,) * 2, (row.rate,) * 2
        return AtrousPool2d(Window(*sides))
    return nn.MaxPool2d(row.kernel, row.stride, row.padding, row.rate, ceil_mode=row.ceil)


@torch.no_grad()
def initialise(net: Chain) -> Chain:
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
