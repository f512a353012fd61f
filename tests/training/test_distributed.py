"""torchrun on this machine: two processes learn what one learns, and go on where they were after one is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlseg.networks import open_weights
from dlseg.training import Recipe
from dlseg.training.callbacks import read_log
from dlseg.training.distributed import Processes, joined, processes

RECIPE = Recipe(crop=66, batch=3, iterations=40, lr=1e-3, schedule="poly", precision="float64", batch_norm=True)


def start(root: Path, out: Path, recipe: Recipe, processes: int) -> subprocess.Popen:
    out.parent.mkdir(exist_ok=True)
    (out.parent / "recipe.json").write_text(recipe.to_json())
    run = (
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={processes}",
            "--max-restarts=3",
            "-m",
        ]
        if processes > 1
        else [sys.executable, "-m"]
    )
    options = [
        "--data",
        str(root),
        "--out",
        str(out),
        "--recipe",
        str(out.parent / "recipe.json"),
        "--log-file",
        str(out.with_suffix(".log")),
        "--init",
        "none",
        "--width",
        "0.0625",
        "--threads",
        "1",
        "--no-evaluate",
        "--every",
        "5",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    with out.with_suffix(".err").open("w") as err:
        return subprocess.Popen([*run, "dlseg", "train", *options], env=environment, stderr=err, stdout=err)


def finish(process: subprocess.Popen, out: Path) -> list[float]:
    assert process.wait(timeout=500) == 0, out.with_suffix(".err").read_text()
    return [entry["loss"] for entry in read_log(out.with_suffix(".log"))]


def workers_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes in /proc")
def test_two_processes_learn_what_one_learns_though_one_is_killed(
    small_set: Callable[[int], Path], tmp_path: Path
) -> None:
    """Shares of 1 and 2 images, dropout, and batch normalisation over both: within rounding of float64.

    torchrun starts both again when one is gone, and they go on from the last checkpoint.
    """
    root, one, two = small_set(5), tmp_path / "one" / "net.safetensors", tmp_path / "two" / "net.safetensors"
    process, checkpoint = start(root, two, RECIPE, 2), two.with_suffix(".checkpoint")
    while not checkpoint.exists():
        assert process.poll() is None, two.with_suffix(".err").read_text()
        time.sleep(0.02)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    os.kill(max(workers), signal.SIGKILL)
    together, alone = finish(process, two), finish(start(root, one, RECIPE, 1), one)
    assert len(alone) == RECIPE.iterations and together == pytest.approx(alone, rel=1e-9)
    a, b = (open_weights(path)[0].state_dict() for path in (one, two))
    assert all(torch.allclose(a[k], b[k], rtol=1e-5, atol=1e-7) for k in a)
    assert json.loads(two.with_suffix(".json").read_text())["processes"] == 2
    clock = [entry["seconds"] for entry in read_log(two.with_suffix(".log"))]
    assert clock != sorted(clock)  # begun anew in the middle


def test_alone_there_is_nobody_to_ask() -> None:
    with joined(torch.device("cpu")) as alone:
        assert alone == processes() == Processes(0, 1)
        assert list(alone.share(5)) == [0, 1, 2, 3, 4]
        assert torch.equal(alone.total(torch.tensor(3)), torch.tensor(3))


def test_every_process_needs_an_image() -> None:
    with pytest.raises(ValueError, match=r"batch: got 2, expected at least one image for each of 3 .*: 3"):
        Processes(0, 3).share(2)
    assert [list(Processes(rank, 3).share(5)) for rank in range(3)] == [[0], [1, 2], [3, 4]]
