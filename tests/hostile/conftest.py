"""A sandbox per isolation level that works here, and the hostile answers."""

import os
import runpy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from filelock import FileLock

from dlseg.grading.sandbox.client import LEVELS, Sandbox, SandboxError, open_best

HERE = Path(__file__).parent


SAMPLE = 8  # on the other levels, each eighth attack, and every night all


def strongest() -> str:
    """The strongest isolation level that works here; found once, since all workers must collect the same tests."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    # in a folder of this user's: the suite also runs as another one, who may not write into the checkout
    note = Path(tempfile.gettempdir()) / f"dlseg-tests-{os.getuid()}" / f"level-{run}.txt"
    note.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(note.with_name("level.lock")):
        if not note.is_file():
            for old in note.parent.glob("level-*.txt"):
                old.unlink()
            try:
                with open_best() as sandbox:
                    note.write_text(sandbox.level, encoding="utf-8")
            except SandboxError:
                note.write_text(LEVELS[0], encoding="utf-8")
    return note.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything on the strongest level here; on the others a sample, until the night.

    Of the attacks an eighth, another one for each level; of the ways to the library those in an installed copy.
    """
    own = [item for item in items if item.path.parent == HERE and isinstance(item, pytest.Function)]
    attacks = list(runpy.run_path(str(HERE / "attacks.py"))["ATTACKS"])
    best = strongest() if own else ""
    for item in own:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        level = params.get("level_sandbox", params.get("level", best))
        kept = item.originalname == "test_no_way_leads_to_the_library" and params["where"] == "installed copy"
        if item.originalname == "test_attack":
            kept = (attacks.index(params["name"]) - LEVELS.index(level)) % SAMPLE == 0
        if level != best and not kept and item.originalname != "test_the_honest_answer_is_right":
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
