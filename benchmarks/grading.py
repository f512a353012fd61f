"""What grading costs beyond the student's own time, and what a second job brings.

Prints: the warm template against one fresh interpreter per exercise (the plain way to isolate), then throughput.

    python benchmarks/grading.py [--submissions 80] [--repeats 5]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dlseg.course import notebook_source
from dlseg.grading import batch, exercise
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.sandbox.client import open_best

ROOT = Path(__file__).resolve().parents[1]
EXERCISES = ROOT / "dlseg" / "course" / "exercises"
NOTEBOOKS = ROOT / "notebooks"
IMPORTS = "import numpy as np\nimport torch\n"
BUSY_HEAD = "def output_size("


def solved_cells() -> list[str]:
    """Every worked solution of the course."""
    return [
        cell.source
        for path in notebook_source.sources(NOTEBOOKS)
        for cell in notebook_source.solved(path).cells
        if notebook_source.solutions(cell.source)
    ]


def solved() -> str:
    """All of them in one file."""
    return IMPORTS + "\n\n".join(solved_cells())


def as_notebook(extra: int) -> str:
    """The solutions, each in a cell, after `extra` cells of the student's own that look at something."""
    sources = [IMPORTS, *[f"a{n} = np.arange(99) * {n}\nprint(a{n}.sum())" for n in range(extra)], *solved_cells()]
    cells = [{"cell_type": "code", "id": f"c{n}", "source": s, "metadata": {}} for n, s in enumerate(sources)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def busy(text: str) -> str:
    """The same with a second of honest computing, so that throughput is measured on work and not on start-up."""
    head = next(line for line in text.splitlines() if line.startswith(BUSY_HEAD))
    return text.replace(head, f"{head}\n    sum(i * i for i in range(2_000_000))")


def seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def overhead(folder: Path, repeats: int) -> None:
    exercises = exercise.load(EXERCISES)
    path = folder / "solved.py"
    path.write_text(solved())
    start = time.perf_counter()
    sandbox = open_best()
    print(f"isolation {sandbox.isolation}")
    print(f"template started once, torch imported   {time.perf_counter() - start:8.2f} s")
    harness = Harness(exercises, sandbox, 1)
    ours = seconds(lambda: harness.grade(Item("solved", path)), repeats)
    own = seconds(lambda: subprocess.run([sys.executable, "-I", "-c", solved()], check=True), repeats)
    for extra in (0, 40):  # the student's own cells run before every exercise
        (folder / "solved.ipynb").write_text(as_notebook(extra), encoding="utf-8")
        cells = seconds(lambda: harness.grade(Item("solved", folder / "solved.ipynb")), repeats)
        print(f"the same as a notebook with {extra:2} cells besides  {cells:8.2f} s")
    sandbox.close()
    fresh = own * len(exercises)
    print(f"one submission, {len(exercises)} exercises, warm      {ours:8.2f} s")
    print(f"one submission, a fresh interpreter each{fresh:8.2f} s   ratio {fresh / ours:5.1f}")


def throughput(folder: Path, count: int) -> None:
    (folder / "in").mkdir()
    text = busy(solved())
    for number in range(count):
        (folder / "in" / f"s{number:04}.py").write_text(text)
    times = {}
    for jobs in (1, 2):
        run = batch.prepare(folder / f"out{jobs}", EXERCISES, seed=1)
        start = time.perf_counter()
        scores = [document.score for document, _ in batch.grade_all(run, [folder / "in"], jobs=jobs)]
        times[jobs] = time.perf_counter() - start
        assert scores == [100] * count
        print(f"{count} submissions, {jobs} job(s)   {times[jobs]:8.2f} s   {count / times[jobs]:6.2f} per second")
    print(f"two jobs against one: {times[1] / times[2]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        overhead(Path(name), options.repeats)
        throughput(Path(name), options.submissions)
