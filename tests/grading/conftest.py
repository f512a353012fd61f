"""A sandbox at the strongest level that works here, two tiny exercises, and a way to grade text."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg.grading import batch
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox, open_best
from dlseg.grading.tolerance import numeric


def _draw(rng: np.random.Generator) -> tuple[np.ndarray]:
    return (rng.standard_normal((4, 5)),)


def _tensors(rng: np.random.Generator) -> tuple[torch.Tensor]:
    return (torch.from_numpy(rng.standard_normal((3, 4), dtype=np.float32)),)


CLOSE = numeric("a few operations in any precision", 1e-3, 1e-4)


@pytest.fixture(scope="session")
def double() -> Exercise:
    tests = (Test("positive", 1, _draw, CLOSE), Test("again", 2, _draw, CLOSE))
    return Exercise("small.double", "double", lambda x: 2 * x, tests, seconds=5)


@pytest.fixture(scope="session")
def square() -> Exercise:
    return Exercise("small.square", "square", lambda x: x * x, (Test("tensors", 3, _tensors, CLOSE),), seconds=5)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    sandbox = open_best()
    yield sandbox
    sandbox.close()


@pytest.fixture
def one_sandbox(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class runs in this process take the session's sandbox: each would warm up one of its own, for seconds."""
    monkeypatch.setattr(batch, "open_best", lambda hidden, threads: sandbox)
    monkeypatch.setattr(batch.Graders, "close", lambda graders: graders.kept.clear())


@pytest.fixture
def grade(sandbox: Sandbox, double: Exercise, square: Exercise, tmp_path: Path) -> Callable[..., Result]:
    def run(text: str, suffix: str = ".py", seed: int = 5) -> Result:
        path = tmp_path / f"work{suffix}"
        path.write_text(text)
        return Harness([double, square], sandbox, seed).grade(Item("work", path))

    return run
