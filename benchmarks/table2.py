"""The four networks of table 2: a forward run and a training step of one image, beside the paper's speeds.

    python benchmarks/table2.py [--rounds 5] [--threads 1] [--geometry paper|release] [--out FILE.md]

Every round times a 2048×2048 matrix product of the same type and then each candidate once, so that a busy machine
disturbs all alike; ratios and shares are medians over rounds of the ratio within a round.
"""

import argparse
import copy
from collections import OrderedDict
from pathlib import Path

import timing
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlseg.networks import Network, create
from dlseg.networks.table2 import ROWS, show, table2
from dlseg.receptive_field import cost


class ConvReLU(nn.Module):
    """A convolution and its ReLU in one call of oneDNN, the one torch's compiler emits."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        c = self.conv
        return torch.ops.mkldnn._convolution_pointwise(
            x, c.weight, c.bias, list(c.padding), list(c.stride), list(c.dilation), c.groups, "relu", [], ""
        )


def fused(net: Network) -> nn.Sequential:
    """`net` for prediction: every convolution that a ReLU follows joined with it, dropout left out."""
    layers = list(net.main.named_children())
    kept: OrderedDict[str, nn.Module] = OrderedDict()
    for (name, layer), (_, after) in zip(layers, [*layers[1:], ("", nn.Identity())], strict=True):
        if not isinstance(layer, nn.ReLU | nn.Dropout):
            kept[name] = ConvReLU(layer) if isinstance(layer, nn.Conv2d) and isinstance(after, nn.ReLU) else layer
    return nn.Sequential(kept)


def without_gradients(net: nn.Module, image: Tensor) -> timing.Work:
    def run() -> None:
        with torch.inference_mode():
            net(image)

    return run


def options(size: int, geometry: str, count: int) -> str:
    """What each of torch's means buys one LargeFOV forward run."""
    net = create("deeplab-largefov", geometry=geometry).eval()
    macs = cost(net, (size, size)).macs
    image = torch.randn(1, 3, size, size)
    default, images = copy.deepcopy(net).to(memory_format=torch.contiguous_format), image.repeat(4, 1, 1, 1)
    small = copy.deepcopy(net).bfloat16()
    fast = fused(net)
    with torch.inference_mode():
        torch.testing.assert_close(fast(image), net(image), rtol=1e-4, atol=1e-5)
    steps: dict[str, tuple[timing.Work, int]] = {
        "default layout, gradients kept": (lambda: default(image), 1),
        "default layout, inference_mode": (without_gradients(default, image), 1),
        "channels_last (what create gives), gradients kept": (lambda: net(image), 1),
        "channels_last, inference_mode (what predict does)": (without_gradients(net, image), 1),
        "… with convolution and ReLU fused": (without_gradients(fast, image), 1),
        "… four images at once": (without_gradients(net, images), 4),
        "… bfloat16 (another arithmetic)": (without_gradients(small, image.bfloat16()), 1),
    }
    works = {"product": timing.product(), "product bf16": timing.product(torch.bfloat16)}
    times = timing.rounds(works | {name: work for name, (work, _) in steps.items()}, count)
    rows = []
    for name, (_, batch) in steps.items():
        of = "product bf16" if "bfloat16" in name else "product"
        rows.append(
            [
                name,
                timing.milliseconds([t / batch for t in times[name]]),
                f"{timing.ratio(times, 'default layout, gradients kept', name) * batch:.2f}",
                f"{timing.share(times, name, macs * batch, of):.2f}",
            ]
        )
    head = ["one image", "ms, median (best)", "times faster than the first", "share of the matrix product's rate"]
    return (
        f"LargeFOV at {size} px, {macs / 1e9:.1f} GMACs. The matrix product: "
        f"{timing.milliseconds(times['product'])} ms in float32, "
        f"{timing.milliseconds(times['product bf16'])} ms in bfloat16.\n\n" + timing.table(head, rows)
    )


def training_step(net: Network, image: Tensor) -> timing.Work:
    """Forward, loss at stride 8, backward, SGD with momentum: as the paper trains, one image."""
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    labels = torch.randint(0, 21, (1, *net.score_size((image.shape[2], image.shape[3]))))

    def run() -> None:
        optimiser.zero_grad()
        F.cross_entropy(net(image), labels).backward()
        optimiser.step()

    return run


def variants(size: int, geometry: str, count: int) -> str:
    """The four networks, forward and training, in one run."""
    image = torch.randn(1, 3, size, size)
    nets = {name: create(name, geometry=geometry) for name in ROWS}
    rows = {row.name: row for row in table2(geometry, (size, size))}
    first = rows["deeplab-7x7"]
    forward = timing.rounds(
        {"product": timing.product()} | {name: without_gradients(net.eval(), image) for name, net in nets.items()},
        count,
    )
    cells = nets["deeplab-7x7"].score_size((size, size))
    pool5 = torch.randn(1, 512, *cells).to(memory_format=torch.channels_last)
    fc6 = timing.rounds(
        {name: without_gradients(net.get_submodule("fc6"), pool5) for name, net in nets.items()}, count
    )
    training = timing.rounds({name: training_step(net, image) for name, net in nets.items()}, count)
    lines = []
    for name, row in rows.items():
        lines.append(
            [
                name,
                f"{timing.milliseconds(fc6[name])}",
                f"{timing.ratio(fc6, 'deeplab-7x7', name):.2f} ({first.fc6_macs / row.fc6_macs:.2f})",
                f"{first.macs / row.macs:.2f}",
                timing.milliseconds(forward[name]),
                f"{timing.ratio(forward, 'deeplab-7x7', name):.2f}",
                f"{timing.share(forward, name, row.macs, 'product'):.2f}",
                timing.milliseconds(training[name]),
                f"{timing.ratio(training, 'deeplab-7x7', name):.2f}",
                f"{row.paper.speed / first.paper.speed:.2f} ({row.paper.speed})",
            ]
        )
    head = [
        "variant",
        "fc6, ms",
        "times faster than 7×7's (by MACs)",
        "times fewer MACs in all",
        "forward, ms",
        "times faster",
        "share of the product's rate",
        "training step, ms",
        "times faster",
        "paper (images/s)",
    ]
    return f"Four variants at {size} px, {geometry} geometry, one image.\n\n" + timing.table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--geometry", choices=["paper", "release"], default="paper")
    parser.add_argument("--part", choices=["options", "variants", "both"], default="both")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    size = 306 if chosen.geometry == "paper" else 321
    parts = [f"# Table 2, measured\n\n{timing.machine()}.", show(table2(chosen.geometry))]
    if chosen.part != "variants":
        parts.append(options(size, chosen.geometry, chosen.rounds))
    if chosen.part != "options":
        parts.append(variants(size, chosen.geometry, chosen.rounds))
    timing.save(chosen.out, "\n\n".join(parts))


if __name__ == "__main__":
    main()
