"""A sandbox per isolation level that works here, and the hostile answers."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlseg.grading.sandbox.client import Sandbox, SandboxError, open_best
from dlseg.grading.sandbox.confine import LEVELS

HERE = Path(__file__).parent


SAMPLE = 8  # on the other levels, each eighth attack, and every night all


def strongest() -> str:
    """The strongest isolation level that works here."""
    try:
        with open_best() as sandbox:
            return sandbox.level
    except SandboxError:
        return LEVELS[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every attack on the strongest level here; on the others a sample, of another eighth each, until the night."""
    graded = [item for item in items if isinstance(item, pytest.Function) and item.originalname == "test_attack"]
    if not graded:
        return
    best, attacks = strongest(), list(runpy.run_path(str(HERE / "attacks.py"))["ATTACKS"])
    for item in graded:
        level, name = item.callspec.params["level_sandbox"], item.callspec.params["name"]
        if level != best and (attacks.index(name) - LEVELS.index(level)) % SAMPLE:
            item.add_marker(pytest.mark.full)


@pytest.fixture(scope="session")
def attacks() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "attacks.py"))


@pytest.fixture(scope="module", params=LEVELS)
def level_sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Hidden from it: the exercises, and the folder of results that the attacks are told about."""
    out = tmp_path_factory.mktemp("results")
    sandbox = Sandbox(request.param, hidden=[HERE, out])
    try:
        sandbox.start()
    except SandboxError as error:
        pytest.skip(str(error))
    sandbox.results = out  # type: ignore[attr-defined]
    yield sandbox
    sandbox.close()
