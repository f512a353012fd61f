"""kill -9 at random moments of `dlseg train`, the same command again each time: what weights does it end with?

    python benchmarks/kills.py --kills 20 --out benchmarks/results/kills.md

A moment is drawn from the whole life of the process: imports, reading, iterations, the writing of a checkpoint, the
measuring at the end, the writing of the weights.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from timing import machine, save, table

REPO = Path(__file__).resolve().parents[1]
OPTIONS = [
    "--split",
    "train_sample",
    "--iterations",
    "300",
    "--batch",
    "2",
    "--crop",
    "66",
    "--width",
    "0.0625",
    "--init",
    "none",
    "--lr",
    "0.01",
    "--threads",
    "1",
    "--every",
    "7",
]


def start(out: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "dlseg", "train", *OPTIONS, "--out", str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def done(out: Path) -> int:
    """Iterations in the last whole checkpoint."""
    path = out.with_suffix(".checkpoint")
    return torch.load(path, weights_only=True)["iteration"] if path.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    args = parser.parse_args()
    rng, rows = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole.safetensors", Path(folder) / "killed.safetensors"
        begin = time.perf_counter()
        if start(whole).wait():
            raise SystemExit("the undisturbed run failed")
        life = time.perf_counter() - begin
        while len(rows) < args.kills:
            begin, process = time.perf_counter(), start(killed)
            time.sleep(rng.uniform(0, life))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                rows.append(
                    [
                        str(len(rows) + 1),
                        f"{time.perf_counter() - begin:.2f}",
                        str(done(killed)),
                        "yes" if killed.exists() else "no",
                    ]
                )
            elif killed.exists():  # it was through before the moment came: once more from the beginning
                check(whole, killed)
                killed.unlink()
        if start(killed).wait():
            raise SystemExit("the last run failed")
        check(whole, killed)
        found = hashlib.sha256(whole.read_bytes()).hexdigest()
    text = (
        f"# {args.kills} kills\n\n{machine()}\n\nAn undisturbed run takes {life:.1f} s. After every kill the "
        "same command was given again; whenever a run came through, its weights were those of the undisturbed "
        f"one, bit by bit (SHA-256 {found[:16]}…).\n\n"
        + table(["kill", "seconds after start", "iterations in the checkpoint", "weights already there"], rows)
    )
    save(args.out, text)


def check(whole: Path, killed: Path) -> None:
    if whole.read_bytes() != killed.read_bytes():
        raise SystemExit("the weights differ")


if __name__ == "__main__":
    main()
