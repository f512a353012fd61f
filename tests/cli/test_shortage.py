"""A device that is not there and memory that is not enough are one line, not a traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.training.setup import resolve


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def one_line(told: Result) -> str:
    assert told.exit_code == 1 and "Traceback" not in told.output
    lines = [line for line in told.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, told.output
    return lines[0]


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps", "xpu", "meta"])
def test_a_device_that_is_not_there(
    small_set: Callable[[int], Path], tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    told = run("train", "--data", small_set(2), "--out", tmp_path / "n.safetensors", "--device", device)
    words = one_line(told)
    assert f"device: got '{device}', which torch" in words
    assert "expected 'auto' or one of what is there: cpu" in words
    assert resolve("auto").type == resolve("cpu").type == "cpu"


def test_a_gpu_that_is_not_there_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"got 'cuda:2', which .* what is there: cpu, cuda:0 to cuda:1"):
        resolve("cuda:2")


SHORTAGES = [
    (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation"),
        "memory: there is not enough (CUDA out of memory. Tried to allocate 2.00 GiB.). Less is needed by a",
    ),
    (
        RuntimeError(
            "[enforce fail at alloc.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"
        ),
        "DefaultCPUAllocator: can't allocate memory: you tried 8 bytes). Less is needed by",
    ),
    (MemoryError(), "memory: there is not enough (MemoryError)"),
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "--workers 0 needs none"),
]


@pytest.mark.parametrize(("error", "message"), SHORTAGES, ids=range(len(SHORTAGES)))
def test_out_of_memory(
    small_set: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dlseg.cli.train.train_net", fail)
    assert message in one_line(run("train", "--data", small_set(2), "--out", tmp_path / "n.safetensors"))
    monkeypatch.setattr("dlseg.cli.predict.predict_image", fail)
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    assert message in one_line(run("predict", tmp_path / "a.png", "--out", tmp_path / "b.png"))


def test_a_fault_of_the_program_still_shows_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not agree")

    monkeypatch.setattr("dlseg.cli.predict.predict_image", fail)
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    assert isinstance(run("predict", tmp_path / "a.png", "--out", tmp_path / "b.png").exception, RuntimeError)
