"""The paper's wish for video rate (section 3.2): DeepLab on AlexNet beside LargeFOV, one image of 321 px at a time.

    python benchmarks/alexnet.py [--rounds 7] [--threads 1] [--out benchmarks/results/alexnet.md]

Every round times a 2048×2048 matrix product of each type and then each network once, so that a busy machine
disturbs all alike; ratios are medians over rounds of the ratio within a round. A forward run only: no upsampling,
no CRF.
"""

import argparse
import copy
import statistics
from pathlib import Path

import timing
import torch

from dlseg.networks import create
from dlseg.receptive_field import cost

SIDE = 321
NETWORKS = ("deeplab-largefov", "deeplab-alexnet")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def forward(net: torch.nn.Module, image: torch.Tensor) -> timing.Work:
    def run() -> None:
        with torch.inference_mode():
            net(image)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    image, works, macs, counts = torch.randn(1, 3, SIDE, SIDE), {}, {}, {}
    for name in NETWORKS:
        net = create(name, geometry="release").eval()
        assert net.score_size((SIDE, SIDE)) == (41, 41)
        macs[name], counts[name] = cost(net, (SIDE, SIDE)).macs, sum(p.numel() for p in net.parameters())
        for kind, dtype in TYPES.items():
            works[name, kind] = forward(copy.deepcopy(net).to(dtype), image.to(dtype))
    products = {("product", kind): timing.product(dtype) for kind, dtype in TYPES.items()}
    times = timing.rounds(products | works, chosen.rounds)
    rows = [
        [
            name,
            kind,
            f"{counts[name] / 1e6:.1f} M",
            f"{macs[name] / 1e9:.1f}",
            timing.milliseconds(times[name, kind]),
            f"{1 / statistics.median(times[name, kind]):.2f}",
            f"{timing.ratio(times, ('deeplab-largefov', kind), (name, kind)):.2f}",
            f"{timing.ratio(times, ('deeplab-largefov', 'float32'), (name, kind)):.2f}",
            f"{timing.share(times, (name, kind), macs[name], ('product', kind)):.2f}",
        ]
        for name, kind in works
    ]
    head = [
        "network",
        "type",
        "parameters",
        "GMACs",
        "ms, median (best)",
        "images/s",
        "times LargeFOV's of its type",
        "times LargeFOV's in float32",
        "share of the product's rate",
    ]
    text = (
        f"# DeepLab on AlexNet\n\n{timing.machine()}.\n\nFull width, release geometry, one image of {SIDE} px → "
        "41 × 41 scores. The paper's remark: networks of Krizhevsky's size could reach video rate.\n\n"
    )
    timing.save(chosen.out, text + timing.table(head, rows))


if __name__ == "__main__":
    main()
