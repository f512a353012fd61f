"""The hole algorithm's three forms and shift-and-stitch: what each costs where the networks use it.

    python benchmarks/atrous.py [--rounds 5] [--threads 1] [--out FILE.md]

Layers are conv5 and fc6 at stride 8, on the 39×39 map of a 306×306 image. "Stitched" runs the layer
without holes on the rate² coarse maps, as one batch, and interlaces them. Every candidate gives the same map;
this is checked before it is timed.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import timing
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.atrous import atrous_conv2d, densify, insert_holes, shift_and_stitch
from dlseg.networks import create
from dlseg.receptive_field import cost

SIDE = 39


@dataclass(frozen=True)
class Layer:
    """A convolution at stride 8: its name, filter, rate and padding (in cells of the dense map)."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    rate: int
    padding: int

    @property
    def macs(self) -> int:
        """Multiply-adds that the definition needs, the padding's among them."""
        return SIDE * SIDE * self.outputs * self.inputs * self.kernel**2

    @property
    def with_zeros(self) -> float:
        """How many times more taps the filter with zeros has."""
        return ((self.kernel - 1) * self.rate + 1) ** 2 / self.kernel**2


LAYERS = (
    Layer("conv5 (3×3, rate 2)", 512, 512, 3, 2, 2),
    Layer("fc6 of DeepLab (4×4, rate 4)", 512, 4096, 4, 4, 6),
    Layer("fc6 of 4x4 (4×4, rate 8)", 512, 1024, 4, 8, 12),
    Layer("fc6 of 7x7 (7×7, rate 4)", 512, 1024, 7, 4, 12),
    Layer("fc6 of LargeFOV (3×3, rate 12)", 512, 1024, 3, 12, 12),
)


def stitched(x: Tensor, weight: Tensor, rate: int, padding: int) -> Tensor:
    """The layer without holes on every coarse map, interlaced: space to batch and back."""
    more = -(SIDE + 2 * padding) % rate
    padded = F.pad(x, (padding, padding + more) * 2)
    side = padded.shape[2] // rate
    coarse = padded.unflatten(2, (side, rate)).unflatten(4, (side, rate)).permute(3, 5, 0, 1, 2, 4).flatten(0, 2)
    maps = F.conv2d(coarse.contiguous(memory_format=torch.channels_last), weight)
    out = maps.unflatten(0, (rate, rate, x.shape[0])).permute(2, 3, 4, 0, 5, 1)
    return out.flatten(2, 3).flatten(3, 4)[..., :SIDE, :SIDE]


def one_layer(layer: Layer, count: int) -> list[str]:
    """A row: each form's time, against native."""
    x = torch.randn(1, layer.inputs, SIDE, SIDE).to(memory_format=torch.channels_last)
    weight = torch.randn(layer.outputs, layer.inputs, layer.kernel, layer.kernel).mul_(layer.inputs**-0.5)
    weight = weight.to(memory_format=torch.channels_last)
    holes = insert_holes(weight, layer.rate).to(memory_format=torch.channels_last)  # once, as a user of it would
    rate, padding = layer.rate, layer.padding
    works: dict[str, timing.Work] = {
        "product": timing.product(),
        "native": lambda: atrous_conv2d(x, weight, rate=rate, padding=padding),
        "sample": lambda: atrous_conv2d(x, weight, rate=rate, padding=padding, method="sample"),
        "stitched": lambda: stitched(x, weight, rate, padding),
        "zeros": lambda: F.conv2d(x, holes, padding=padding),
    }
    truth = works["native"]()
    for name in ("sample", "stitched", "zeros"):
        torch.testing.assert_close(works[name](), truth, rtol=1e-3, atol=1e-3)
    times = timing.rounds(works, count, warm=0)
    cells = [
        f"{timing.milliseconds(times[name])} · {timing.ratio(times, name, 'native'):.2f}"
        for name in ("sample", "stitched", "zeros")
    ]
    return [
        f"{layer.name}, {layer.inputs} → {layer.outputs}",
        timing.milliseconds(times["native"]),
        f"{timing.share(times, 'native', layer.macs, 'product'):.2f}",
        *cells,
        f"{layer.with_zeros:.1f}",
    ]


def layers(count: int) -> str:
    """The table of layers."""
    head = [
        "layer at stride 8",
        "native, ms",
        "share of the product's rate",
        "sample, ms · times native",
        "stitched, ms · times native",
        "zeros, ms · times native",
        "zeros by arithmetic",
    ]
    with torch.inference_mode():
        rows = [one_layer(layer, count) for layer in LAYERS]
    return "One layer, 39×39 positions, one image.\n\n" + timing.table(head, rows)


def whole(count: int) -> str:
    """A whole network at stride 8: dense against shift-and-stitch, which runs the strided one 16 times."""
    strided = nn.Sequential(*create("vgg16-20m").eval())
    dense = densify(strided, 8)
    image = torch.randn(1, 3, 306, 306)
    with torch.inference_mode():
        works: dict[str, timing.Work] = {
            "dense": lambda: dense(image),
            "stitched": lambda: shift_and_stitch(strided, image, 8),
            "strided": lambda: strided(image),
        }
        torch.testing.assert_close(works["dense"](), works["stitched"](), rtol=1e-3, atol=1e-4)
        times = timing.rounds(works, count, warm=0)
    predicted = 16 * cost(strided, (306, 306)).macs / cost(dense, (306, 306)).macs
    rows = [
        ["hole algorithm, one run", timing.milliseconds(times["dense"]), "1", "1"],
        [
            "shift-and-stitch, 16 runs",
            timing.milliseconds(times["stitched"]),
            f"{timing.ratio(times, 'stitched', 'dense'):.2f}",
            f"{predicted:.2f}",
        ],
        [
            "for comparison: stride 32, one run",
            timing.milliseconds(times["strided"]),
            f"{timing.ratio(times, 'strided', 'dense'):.2f}",
            f"{predicted / 16:.2f}",
        ],
    ]
    return "VGG-16 with a 3×3×1024 fc6 from stride 32 to stride 8, one image of 306×306.\n\n" + timing.table(
        ["", "ms, median (best)", "times the hole algorithm", "by arithmetic"], rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", choices=["layers", "whole", "both"], default="both")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    parts = [f"# The hole algorithm, measured\n\n{timing.machine()}."]
    if chosen.part != "whole":
        parts.append(layers(chosen.rounds))
    if chosen.part != "layers":
        parts.append(whole(chosen.rounds))
    timing.save(chosen.out, "\n\n".join(parts))


if __name__ == "__main__":
    main()
