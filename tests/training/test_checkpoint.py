"""A killed run goes on and ends where it would have ended; a file that is no checkpoint is named, never used."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlseg.datasets import load
from dlseg.networks import create, open_weights
from dlseg.training import Recipe, TrainingStep, train
from dlseg.training.checkpoint import changes

RECIPE = Recipe(crop=66, batch=2, iterations=8, lr=0.01, schedule="poly", dropout=0.5, batch_norm=True)


class Stop(Exception):
    pass


def net() -> torch.nn.Module:
    torch.manual_seed(3)
    return create("deeplab-largefov", 13, width=1 / 16)


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    data, path = load("shapes", "val"), tmp_path / "c.checkpoint"
    whole = train(net(), data, RECIPE).state_dict()

    def stop_at_six(step: object) -> None:
        if step.iteration == 6:
            raise Stop

    with pytest.raises(Stop):
        train(net(), data, RECIPE, [stop_at_six], checkpoint=path, every=3)
    assert path.is_file()
    seen: list[int] = []
    resumed = train(net(), data, RECIPE, [lambda s: seen.append(s.iteration)], checkpoint=path, every=3)
    assert seen == [7, 8] and not path.exists()
    assert all(torch.equal(whole[k], v) for k, v in resumed.state_dict().items())


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.slow
def test_kill_minus_nine_at_any_moment(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    """The command is killed again and again; the weights that it ends with are the undisturbed command's."""
    root = small_set(5)

    def command(out: Path) -> list[str]:
        options = (
            "--init none --iterations 350 --batch 1 --crop 66 --lr 0.0001 --width 0.0625 --threads 1 --no-evaluate"
        )
        return [sys.executable, "-m", "dlseg", "train", "--data", str(root), "--out", str(out), *options.split()]

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path / "whole.safetensors"), env=environment, check=True, capture_output=True)
    out = tmp_path / "killed.safetensors"
    kills = 0
    while not out.exists():
        process = subprocess.Popen(command(out), env=environment, stderr=subprocess.DEVNULL)
        checkpoint, before = out.with_suffix(".checkpoint"), _stamp(out.with_suffix(".checkpoint"))
        while process.poll() is None and (kills == 3 or _stamp(checkpoint) == before):
            time.sleep(0.02)
        if process.poll() is None:  # some time after the next checkpoint, the third time not at all
            time.sleep(0.05 * kills)
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    first, second = (open_weights(tmp_path / f"{n}.safetensors")[0].state_dict() for n in ("whole", "killed"))
    assert kills and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.checkpoint"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.checkpoint.* is no whole checkpoint; remove it"):
        train(net(), load("shapes", "val"), RECIPE, checkpoint=path)
    assert path.read_bytes() == content


def test_foreign_files_and_other_runs(tmp_path: Path) -> None:
    data, path = load("shapes", "val"), tmp_path / "c.checkpoint"
    torch.save({"something": 1}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of dlseg"):
        train(net(), data, RECIPE, checkpoint=path)
    path.unlink()

    def stop(_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(net(), data, RECIPE, [stop], checkpoint=path, every=1)
    with pytest.raises(ValueError, match=r"another run \(batch 2 there, 3 here\); name another file, or remove it"):
        train(net(), data, replace(RECIPE, batch=3), checkpoint=path)
    with pytest.raises(ValueError, match=r"another run \(variant 'deeplab-largefov' there, 'deeplab-4x4' here\)"):
        train(create("deeplab-4x4", 13, width=1 / 16), data, RECIPE, checkpoint=path)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = load("shapes", "val"), tmp_path / "c.checkpoint"
    good = torch.save

    def full(state: dict[str, object], file: object) -> None:
        if state["iteration"] == 4:
            raise OSError(28, "No space left on device")
        good(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"checkpoint: cannot write .*No space left.*; the last whole one stays"):
        train(net(), data, RECIPE, checkpoint=path, every=2)
    assert torch.load(path, weights_only=True)["iteration"] == 2
    assert not list(tmp_path.glob("*.tmp"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"checkpoint: cannot write .*c\.checkpoint.*; there is none yet"):
        train(net(), load("shapes", "val"), RECIPE, checkpoint=tmp_path / "file" / "c.checkpoint", every=1)


def test_other_data_are_told_apart(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    path = tmp_path / "c.checkpoint"

    def stop(_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(net(), load("shapes", "val"), RECIPE, [stop], checkpoint=path, every=1)
    with pytest.raises(ValueError, match=r"another run .images 240 there, 5 here, names '"):
        train(net(), load(small_set(5), "train"), RECIPE, checkpoint=path)
    assert path.exists()


def test_a_run_is_extended(tmp_path: Path) -> None:
    """More iterations, and another rate: the state of before, the new settings from there on."""
    data, path = load("shapes", "val"), tmp_path / "c.checkpoint"
    constant = replace(RECIPE, schedule="step", step_size=100, batch_norm=False, lr=1e-4)
    whole = train(net(), data, constant).state_dict()
    train(net(), data, replace(constant, iterations=4), checkpoint=path, keep_checkpoint=True)
    assert changes(path, constant) == f"{path}: goes on after iteration 4 with iterations 4 → 8"
    seen: list[TrainingStep] = []
    extended = train(net(), data, constant, [seen.append], checkpoint=path, keep_checkpoint=True).state_dict()
    assert [step.iteration for step in seen] == [5, 6, 7, 8]
    assert all(torch.equal(whole[k], v) for k, v in extended.items())
    slow = replace(constant, iterations=10, lr=1e-12, momentum=0.0)
    still = train(net(), data, slow, checkpoint=path, keep_checkpoint=True).state_dict()
    assert all(torch.allclose(extended[k], v, rtol=1e-4, atol=1e-6) for k, v in still.items())
    with pytest.raises(ValueError, match=r"iterations: got 9, expected at least 10, which are done in .*remove it"):
        train(net(), data, replace(constant, iterations=9), checkpoint=path)


def test_a_complete_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    data, path = load("shapes", "val"), tmp_path / "c.checkpoint"
    first = train(net(), data, RECIPE, checkpoint=path, keep_checkpoint=True).state_dict()
    again = train(net(), data, RECIPE, checkpoint=path, keep_checkpoint=True).state_dict()
    assert all(torch.equal(first[k], v) for k, v in again.items()) and changes(tmp_path / "none", RECIPE) == ""
