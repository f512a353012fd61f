"""A sandbox per isolation level that works here, and the hostile answers."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlseg.grading.sandbox.client import LEVELS, Sandbox, SandboxError

HERE = Path(__file__).parent


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
