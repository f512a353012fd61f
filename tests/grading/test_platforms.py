"""The ready-made autograders, started as their platforms would."""

import base64
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from dlseg.grading import platforms

EXERCISES = """
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact
tests = (Test("t", 2, lambda rng: (int(rng.integers(100)),), exact("whole numbers")),)
EXERCISES = [Exercise("small.next", "next_one", lambda n: n + 1, tests, seconds=5)]
"""
RIGHT = "def next_one(n):\n    return n + 1\n"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "small.py").write_text(EXERCISES)
    return tmp_path / "tests"


def started(root: Path, repo: Path) -> dict[str, object]:
    environment = {"PATH": os.environ["PATH"], "AUTOGRADER": str(root), "PYTHON": sys.executable}
    subprocess.run([str(root / "source" / "run_autograder")], env=environment, check=True, timeout=500)
    found: dict[str, object] = json.loads((root / "results" / "results.json").read_text())
    return found


def unpack(archive: Path, root: Path) -> None:
    with zipfile.ZipFile(archive) as source:
        source.extractall(root / "source")
        for entry in source.infolist():
            (root / "source" / entry.filename).chmod(entry.external_attr >> 16)
    (root / "submission").mkdir()


def test_gradescope(tmp_path: Path, tests: Path, repo: Path) -> None:
    platforms.gradescope_zip(tmp_path / "one.zip", tests)
    platforms.gradescope_zip(tmp_path / "two.zip", tests)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    unpack(tmp_path / "one.zip", tmp_path / "autograder")
    (tmp_path / "autograder" / "submission" / "hw.py").write_text(RIGHT)
    found = started(tmp_path / "autograder", repo)
    assert found["score"] == 2 and [t["status"] for t in found["tests"]] == ["passed"]  # type: ignore[attr-defined]


def test_gradescope_with_two_files(tmp_path: Path, tests: Path, repo: Path) -> None:
    platforms.gradescope_zip(tmp_path / "one.zip", tests)
    unpack(tmp_path / "one.zip", tmp_path / "autograder")
    for name in ("a.py", "b.py"):
        (tmp_path / "autograder" / "submission" / name).write_text(RIGHT)
    found = started(tmp_path / "autograder", repo)
    said = "hand in exactly one notebook or Python file: 2 were found"
    assert found == {"score": 0, "output": said, "tests": []}


def test_classroom_step(tmp_path: Path, tests: Path, repo: Path) -> None:
    """The workflow's own shell lines, run as the runner would; then read as the reporter reads them."""
    (tmp_path / "hw.py").write_text(RIGHT)
    workflow = tmp_path / ".github" / "workflows" / "classroom.yml"
    platforms.classroom_workflow(workflow, "hw.py", "tests")
    (block,) = re.findall(r"run: \|\n((?: {10}.*\n)+)", workflow.read_text())
    output = tmp_path / "output"
    environment = {
        **os.environ,
        "PYTHONPATH": str(repo),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(output),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    subprocess.run(["bash", "-e", "-c", block], cwd=tmp_path, env=environment, check=True, timeout=500)
    read = json.loads(base64.b64decode(output.read_text().removeprefix("result=")))
    assert read["status"] == "pass" and sum(t["score"] for t in read["tests"]) == read["max_score"] == 2


def test_the_autograder_needs_only_what_its_set_up_installs(repo: Path) -> None:
    """setup.sh installs the project without extras: nothing that `dlseg grade` loads may come from one."""
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    given = {re.split(r"[^\w.-]", name)[0].lower() for name in project["dependencies"]}
    code = "import sys, dlseg.cli.grade, dlseg.grading.platforms; print(*{m.split('.')[0] for m in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    extras = {
        re.split(r"[^\w.-]", name)[0].lower()
        for names in project["optional-dependencies"].values()
        for name in names
    }
    assert not (extras - given - {"dlseg"}) & set(ran.stdout.split())
