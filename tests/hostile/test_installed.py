"""Where teachers run the grader the library is installed: out of reach there, on every level, by every way."""

import inspect
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlseg.grading import exercise, platforms
from dlseg.grading.sandbox import library, locks
from dlseg.grading.sandbox.client import LEVELS

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or sys.prefix == sys.base_prefix,
        reason="needs Linux and a virtual environment to copy",
    ),
]
WAYS: dict[str, Any] = runpy.run_path(str(HERE / "ways.py"))
LAYOUT: dict[str, Any] = runpy.run_path(str(HERE / "installed.py"))


@pytest.fixture(scope="module")
def installed(repo: Path) -> Iterator[Any]:
    """The environment; removed at the end, whoever its files belong to."""
    root = Path(tempfile.mkdtemp(prefix="copy-installed-"))
    try:
        yield LAYOUT["make"](root, repo)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def folder(installed: Any) -> Iterator[Path]:
    """A folder that every user may write to, with a hostile and an honest file and the exercises."""
    path = Path(tempfile.mkdtemp(dir=installed.root))
    path.chmod(0o777)
    (path / "in").mkdir()
    (path / "in" / "hostile.py").write_text(WAYS["submission"]())
    (path / "in" / "honest.py").write_text(WAYS["honest"]())
    (path / "exercises.py").write_text(WAYS["exercises"]())
    yield path
    shutil.rmtree(path, ignore_errors=True)


def graded(folder: Path) -> dict[str, Any]:
    return {name: json.loads((folder / "out" / f"{name}.json").read_text()) for name in ("hostile", "honest")}


def reached(document: dict[str, Any]) -> list[str]:
    names = list(WAYS["WAYS"])
    return [f"{names[n]}: {e['reason']}" for n, e in enumerate(document["exercises"]) if e["points"]]


def check(folder: Path, ran: subprocess.CompletedProcess[str]) -> None:
    if ran.returncode and "is not available here" in ran.stderr:
        pytest.skip(ran.stderr.strip()[-200:])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = graded(folder)
    assert reached(found["hostile"]) == [] and found["hostile"]["score"] == 0
    assert found["honest"]["score"] == len(WAYS["WAYS"]), found["honest"]
    assert "in-reach" not in found["hostile"]["isolation"]


def words(folder: Path, level: str) -> list[str]:
    return [
        "-m",
        "dlseg",
        "grade",
        str(folder / "in"),
        "--out",
        str(folder / "out"),
        "--tests",
        str(folder / "exercises.py"),
        "--isolation",
        level,
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("as_nobody", [False, True])
@pytest.mark.parametrize("where", ["installed copy", "source folder"])
def test_no_way_leads_to_the_library(
    installed: Any, folder: Path, repo: Path, level: str, where: str, as_nobody: bool
) -> None:
    user = LAYOUT["NOBODY"] if as_nobody and os.getuid() == 0 else None
    cwd = folder
    if where == "source folder":  # as the Classroom workflow starts it: the grader is not the installed copy
        cwd = folder / "course"
        shutil.copytree(repo / "dlseg", cwd / "dlseg", ignore=shutil.ignore_patterns("__pycache__"))
    check(folder, installed.run(*words(folder, level), cwd=cwd, user=user))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("as_nobody", [False, True])
def test_copies_with_other_homes(installed: Any, folder: Path, level: str, as_nobody: bool) -> None:
    """A second copy in the environment that no search path names, one behind a link, and an archive."""
    user = LAYOUT["NOBODY"] if as_nobody and os.getuid() == 0 else None
    (site,) = installed.root.glob("venv/lib/python3*/site-packages")
    extra, moved = installed.root / "venv" / "share" / "old", site / "kept_for_later"
    extra.mkdir(parents=True)
    try:
        shutil.copytree(site / "dlseg", extra / "dlseg")
        (site / "dlseg").rename(moved)
        (site / "dlseg").symlink_to(moved.name)
        shutil.make_archive(str(extra / "dlseg-0.1.0"), "zip", extra, "dlseg")
        check(folder, installed.run(*words(folder, level), cwd=folder, user=user))
    finally:
        shutil.rmtree(extra.parent, ignore_errors=True)
        if moved.exists():
            (site / "dlseg").unlink()
            moved.rename(site / "dlseg")


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_every_attack_on_the_weaker_level(installed: Any, repo: Path) -> None:
    """As a user who is not root, whose jobs have no container: landlock is all that there is."""
    suite = str(repo / "tests" / "hostile" / "test_attacks.py")
    ran = installed.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "full or not full", "-k", "landlock", suite),
        cwd=installed.root,
        user=LAYOUT["NOBODY"] if os.getuid() == 0 else None,
    )
    assert ran.returncode == 0 and " passed" in ran.stdout, ran.stdout[-3000:] + ran.stderr[-1000:]
    assert "skipped" not in ran.stdout, ran.stdout[-1000:]


POOLING = """
import sys
def answers():
    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "NoLibrary"]
    for name in [m for m in sys.modules if m.startswith("dlseg")]:
        del sys.modules[name]
    from dlseg.course.exercises.pooling import EXERCISES
    return {e.function: e.reference for e in EXERCISES}
"""


def test_gradescope(installed: Any, folder: Path, repo: Path) -> None:
    """The zip as it is uploaded: its own set-up installs the library, its own script grades from the source."""
    tests = repo / "dlseg" / "course" / "exercises" / "pooling.py"
    stolen = POOLING + "".join(
        f"def {name}(*a, **k):\n    return answers()[{name!r}](*a, **k)\n"
        for e in exercise.load(tests)
        for name in e.functions
    )
    platforms.gradescope_zip(folder / "grader.zip", tests)
    root = folder / "autograder"
    shutil.unpack_archive(folder / "grader.zip", root / "source")
    environment = {
        "PATH": f"{installed.python.parent}:/usr/bin:/bin",
        "AUTOGRADER": str(root),
        "HOME": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_DEPS": "1",
    }
    subprocess.run(["bash", "source/setup.sh"], cwd=root, env=environment, check=True, capture_output=True)
    (root / "submission").mkdir()
    own = "".join(inspect.getsource(e.reference) for e in exercise.load(tests))
    for text, right in ((stolen, False), (f"import torch\nimport numpy as np\n{own}", True)):
        shutil.rmtree(root / "results", ignore_errors=True)
        (root / "submission" / "01_pooling.py").write_text(text)
        subprocess.run(
            ["bash", "source/run_autograder"], cwd=root, env=environment, check=True, capture_output=True
        )
        found = json.loads((root / "results" / "results.json").read_text())
        assert found["score"] == (sum(t["max_score"] for t in found["tests"]) if right else 0), found
        # what is not even run breaks a rule: `answers()["upsample"]`
        words = [("dlseg" in t["output"]) or ("a rule of this exercise" in t["output"]) for t in found["tests"]]
        assert len(words) > 4 and (right or all(words)), found


def test_links_are_not_other_doors(tmp_path: Path) -> None:
    """Every path that leads to a secret, through any link, is outside what is allowed."""
    (tmp_path / "usr" / "lib" / "site" / "secret").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "other").mkdir()
    (tmp_path / "usr" / "lib64").symlink_to("lib")
    (tmp_path / "usr" / "here").symlink_to(".")
    (tmp_path / "usr" / "up").symlink_to("..")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr" / "straight").symlink_to("lib/site/secret")
    secret = tmp_path / "usr" / "lib" / "site" / "secret"
    for top in (tmp_path / "usr", tmp_path / "lib", tmp_path / "usr" / "straight"):
        allowed = locks.without(top.resolve(), [secret])
        for path in allowed:
            real = path.resolve()
            assert secret not in (real, *real.parents) and real not in secret.parents, (top, path)
    assert tmp_path / "usr" / "lib" / "other" in locks.without(tmp_path / "usr", [secret])
    assert locks.without(secret / "deeper", [secret]) == []


def test_an_environment_may_carry_the_librarys_name(tmp_path: Path) -> None:
    place = tmp_path / "envs" / "dlseg"
    (place / "lib" / "dlseg").mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin" / "dlseg").write_text("the command")
    found = library.copies((tmp_path, place))
    assert place / "lib" / "dlseg" in found and place not in found and place / "bin" / "dlseg" not in found
