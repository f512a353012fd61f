"""What the training loop costs beside forward, backward and step; what the loader delivers; memory; two processes.

    python benchmarks/training.py --part loop --out benchmarks/results/training-loop.md

Parts: loop, loader, memory, processes, precision. A bare step is taken between every two iterations of the loop, on
a batch that lies ready and on a network of its own, so that whatever disturbs the machine disturbs both. VOC-sized
numbers are of real VOC images where DLSEG_SAMPLES names a folder of them, else of shapes in a frame of that size.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from timing import machine, save, table

from dlseg.datasets import load
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.networks import create
from dlseg.networks.batch_norm import insert_batch_norm
from dlseg.training import Recipe, TrainingStep, loss_at_stride, train
from dlseg.training.batches import batches
from dlseg.training.callbacks import read_log

REPO = Path(__file__).resolve().parents[1]
Config = tuple[str, LabelledImages, Recipe, float]


def clock() -> float:
    """Processor time on one thread, so that others on the machine do not count; else the wall clock."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def voc_sized() -> tuple[str, LabelledImages]:
    folder = Path(os.environ.get("DLSEG_SAMPLES", "")) / "voc"
    if os.environ.get("DLSEG_SAMPLES") and folder.is_dir():
        return "VOC images", load(folder, "train")
    return "shapes in VOC's frame", load("shapes", "train_sample")


def configs(iterations: int) -> list[Config]:
    name, voc = voc_sized()
    shapes = Recipe.shapes(iterations=iterations)
    paper = Recipe.paper(batch=4, iterations=iterations, lr=1e-5)
    return [
        ("shapes, width 1/8", InMemory(load("shapes", "train_sample")), shapes, 1 / 8),
        (f"{name}, 306 px, width 1/8", voc, paper, 1 / 8),
        (f"{name}, 306 px, width 1/4", voc, replace(paper, batch=2), 1 / 4),
    ]


def bare_step(net: torch.nn.Module, data: LabelledImages, recipe: Recipe) -> Callable[[], None]:
    """Forward, backward and step on one batch that lies ready: what no loop can do without."""
    images, labels = next(batches(data, recipe))
    if recipe.batch_norm:
        insert_batch_norm(net, images)
    optimiser = torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)
    targets = net.grid.decimate(labels, net.score_size(images.shape[2:]))
    for layer in net.train().modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = recipe.dropout

    def step() -> None:
        optimiser.zero_grad()
        loss_at_stride(net(images), targets).backward()
        optimiser.step()

    return step


def loop_against_bare(config: Config) -> list[str]:
    name, data, recipe, width = config
    nets = [create("deeplab-largefov", data.num_classes, width) for _ in range(2)]
    bare, times, marks = bare_step(nets[1], data, recipe), [], []

    def between(_: TrainingStep) -> None:
        now = clock()
        bare()
        done = clock()
        if marks:
            times.append((now - marks[-1], done - now))
        marks.append(done)

    train(nets[0], data, recipe, [between])
    kept = times[1:]
    ratio = statistics.median(loop / alone for loop, alone in kept)
    loop, alone = (statistics.median(column) for column in zip(*kept, strict=True))
    return [
        name,
        str(recipe.batch),
        f"{1e3 * alone:.0f}",
        f"{1e3 * loop:.0f}",
        f"{recipe.batch / loop:.1f}",
        f"{100 * (ratio - 1):+.1f} %",
    ]


def part_loop(iterations: int) -> str:
    rows = [loop_against_bare(config) for config in configs(iterations)]
    head = ["data and network", "batch", "bare step, ms", "an iteration, ms", "images/s", "loop over bare, median"]
    return table(head, rows)


def part_loader(iterations: int) -> str:
    rows = []
    for name, data, recipe, _ in configs(iterations)[:2]:
        for workers in (0, 1, 2):
            stream = batches(data, replace(recipe, iterations=iterations + 1), workers=workers)
            next(stream)  # workers start, pictures are read into memory
            start = time.perf_counter()
            count = sum(len(images) for images, _ in stream)
            rows.append([name, str(workers), f"{count / (time.perf_counter() - start):.0f}"])
    return table(["data", "workers", "samples/s"], rows)


MEMORY = """
import resource, sys
from dlseg.training import train
sys.path.insert(0, {folder!r})
from training import configs, replace
_, data, recipe, width = configs(2)[1]
from dlseg.networks import create
train(create("deeplab-largefov", data.num_classes, width), data, replace(recipe, batch=8), accumulate={parts})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def part_memory(_: int) -> str:
    rows = []
    for parts in (0, 1, 2, 4, 8):
        code = MEMORY.format(folder=str(Path(__file__).parent), parts=max(parts, 1))
        if not parts:  # what Python, torch and the data take before any training
            code = code.replace("train(create", "(create").replace(", accumulate=1)", ")")
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        rows.append(["no training" if not parts else f"a batch of 8 in {parts}", found.stdout.strip()])
    return table(["VOC size, width 1/8", "peak memory, MB"], rows)


def part_processes(iterations: int) -> str:
    rows, speeds = [], {}
    for processes in (1, 2, 1, 2):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
            options = [
                "--split",
                "train_sample",
                "--init",
                "none",
                "--iterations",
                str(iterations),
                "--threads",
                "1",
                "--no-evaluate",
                "--log-file",
                str(log),
                "--out",
                f"{folder}/n.safetensors",
            ]
            environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [sys.executable, *(start if processes > 1 else ["-m"]), "dlseg", "train", *options],
                check=True,
                capture_output=True,
                env=environment,
            )
            seconds = [entry["seconds"] for entry in read_log(log)]
        step = statistics.median(b - a for a, b in pairwise(seconds[2:]))
        speeds.setdefault(processes, []).append(16 / step)
    for processes, found in speeds.items():
        rows.append([str(processes), ", ".join(f"{s:.1f}" for s in found), f"{max(found) / max(speeds[1]):.2f}×"])
    return table(["processes, one thread each", "images/s, two runs", "best against best of one"], rows)


def part_precision(iterations: int) -> str:
    rows = []
    for name, data, recipe, width in configs(iterations)[:2]:
        steps: dict[str, list[float]] = {"float32": [], "bfloat16": []}
        for precision, found in steps.items():
            marks: list[float] = []
            train(
                create("deeplab-largefov", data.num_classes, width),
                data,
                replace(recipe, precision=precision),
                [lambda _, marks=marks: marks.append(clock())],
            )
            found.extend(b - a for a, b in pairwise(marks))
        full, half = (statistics.median(found) for found in steps.values())
        rows.append([name, f"{1e3 * full:.0f}", f"{1e3 * half:.0f}", f"{full / half:.2f}×"])
    return table(["data and network", "float32, ms", "bfloat16, ms", "faster"], rows)


PARTS = {
    "loop": part_loop,
    "loader": part_loader,
    "memory": part_memory,
    "processes": part_processes,
    "precision": part_precision,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, default="loop")
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = PARTS[args.part](args.iterations)
    save(args.out, f"# Training: {args.part}\n\n{machine()}\n\n{text}")


if __name__ == "__main__":
    main()
