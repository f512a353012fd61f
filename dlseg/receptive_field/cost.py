"""What a network costs: parameters, multiplications and memory, layer by layer (section 3.2)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dlseg.common.checks import message
from dlseg.receptive_field.field import Pair, blank
from dlseg.receptive_field.follow import meta

BYTES = 4  # of a float32


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs for one image.

    Attributes:
        name: the layer's.
        parameters: weights and biases.
        macs: multiply-adds.
        activations: numbers in the map it makes; 0 where it writes over the one it got.
        size: of that map, (C, h, w).

    >>> cost(nn.Sequential(nn.Conv2d(3, 4, 3)), (6, 6))["0"]
    LayerCost(name='0', parameters=112, macs=1728, activations=64, size=(4, 4, 4))
    """

    name: str
    parameters: int
    macs: int
    activations: int
    size: tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """What one image costs, by layer and in total; a layer by its name: `spent["fc6"]`; a table by `print`.

    Attributes:
        layers: in the order they run.

    >>> spent = cost(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)), (6, 6))
    >>> spent.parameters, spent.macs, spent.activation_bytes, spent["1"].parameters
    (122, 1856, 384, 10)
    """

    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Memory of all maps together, as training keeps them, in float32."""
        return BYTES * sum(layer.activations for layer in self.layers)

    def __getitem__(self, name: str) -> LayerCost:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r}; there are {', '.join(layer.name for layer in self.layers)}")

    def __str__(self) -> str:
        head = f"{'layer':<24}{'map':>16}{'parameters':>14}{'MACs':>18}{'memory':>12}"
        rows = [
            f"{c.name:<24}{'×'.join(map(str, c.size)):>16}{c.parameters:>14,}{c.macs:>18,}"
            f"{c.activations * BYTES / 2**20:>9.1f} MB"
            for c in self.layers
            if c.parameters or c.activations
        ]
        total = (
            f"{'total':<24}{'':>16}{self.parameters:>14,}{self.macs:>18,}{self.activation_bytes / 2**20:>9.1f} MB"
        )
        return "\n".join([head, *rows, total])


def cost(net: nn.Module, input_size: Pair) -> Cost:
    """What one image costs, layer by layer: parameters, multiply-adds, numbers in maps (section 3.2, table 2).

    Args:
        net: the network; it runs once, on shapes alone.
        input_size: (height, width) of the image in pixels.

    Returns:
        A row for every layer without layers of its own, and totals.

    Raises:
        ValueError: the size is not two whole numbers of at least 1, or is too small for the network.

    >>> from dlseg.networks import create
    >>> spent = cost(create("deeplab-largefov"), (306, 306))
    >>> spent.parameters, spent["fc6"].parameters, f"{spent.macs:.1e}"
    (20505429, 4719616, '4.7e+10')
    """
    if len(input_size) != 2 or min(input_size) < 1:
        raise ValueError(message("input_size", input_size, "(height, width) in pixels, both >= 1"))
    rows: list[LayerCost] = []

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if isinstance(result, Tensor):
            rows.append(_row(name, module, inputs[0], result))

    hooks = [
        module.register_forward_hook(lambda m, i, result, name=name: note(name, m, i, result))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            functional_call(net, meta(net), (blank(net, input_size),))
    finally:
        for hook in hooks:
            hook.remove()
    return Cost(tuple(rows))


def _row(name: str, module: nn.Module, x: Tensor, result: Tensor) -> LayerCost:
    parameters = sum(p.numel() for p in module.parameters())
    activations = 0 if result is x else result.numel()
    return LayerCost(name, parameters, _macs(module, x, result), activations, tuple(result.shape[1:]))


def _macs(module: nn.Module, x: Tensor, result: Tensor) -> int:
    """Multiply-adds of a layer: weights per output (convolutions, linear), or per input where it scatters."""
    if isinstance(module, nn.ConvTranspose2d):
        return x.numel() // x.shape[1] * module.weight.numel()
    if isinstance(module, nn.Conv2d):
        return result.numel() // result.shape[1] * module.weight.numel()
    if isinstance(module, nn.Linear):
        return result.numel() // result.shape[-1] * module.weight.numel()
    return 0
