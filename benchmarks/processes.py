"""Two processes by torchrun against one: the same losses, the same network in the end?

    python benchmarks/processes.py --precision float64 --out benchmarks/results/processes-float64.md

The shapes recipe with batch normalisation over both processes and dropout. In float64 what is left is rounding that
hardly grows; in float32 training amplifies the rounding of sums in another order, as any training does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import machine, save, table

from dlseg.training.callbacks import read_log

REPO = Path(__file__).resolve().parents[1]


def run(processes: int, precision: str, iterations: int, folder: Path) -> tuple[list[float], float]:
    """Losses, and the mean IoU on val."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [
        sys.executable,
        *(launch if processes > 1 else ["-m"]),
        "dlseg",
        "train",
        "--threads",
        "1",
        "--batch",
        "8",
        "--iterations",
        str(iterations),
        "--precision",
        precision,
        "--out",
        str(folder / f"net{processes}.safetensors"),
        "--log-file",
        str(folder / f"log{processes}"),
    ]
    environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    info = json.loads((folder / f"net{processes}.json").read_text())
    return [entry["loss"] for entry in read_log(folder / f"log{processes}")], info["mean_iou"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["float32", "float64"], default="float64")
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (one, alone), (two, together) = (run(n, args.precision, args.iterations, Path(folder)) for n in (1, 2))
    apart = [abs(a - b) / a for a, b in zip(one, two, strict=True)]
    rows = [
        [f"largest relative difference of the loss, iterations 1 to {n}", f"{max(apart[:n]):.1e}"]
        for n in (5, 50, args.iterations)
    ]
    rows += [
        ["mean IoU on val, one process", f"{100 * alone:.2f} %"],
        ["mean IoU on val, two processes", f"{100 * together:.2f} %"],
    ]
    save(
        args.out,
        f"# Two processes against one, {args.precision}\n\n{machine()}\n\n{args.iterations} iterations "
        "of the shapes recipe, batches of 8 or 4 + 4.\n\n" + table(["", ""], rows),
    )


if __name__ == "__main__":
    main()
