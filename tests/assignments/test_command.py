"""What a student types, and what they read: `pytest tests/assignments --submission FILE`, and `dlseg grade`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from typical import IMPORTS

from dlseg.cli import main
from dlseg.course.wrong_answers import wrong_answers

POOLING = "dlseg/course/exercises/pooling.py"


def solved(solutions: dict[str, str]) -> str:
    """A file of answers to notebook 01."""
    return IMPORTS + "".join(f"\n\n{text}\n" for name, text in solutions.items() if name.startswith("pooling."))


def pytest_on(repo: Path, submission: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/assignments/test_submission.py",
        "-q",
        "-p",
        "no:cacheprovider",
        "--submission",
        str(submission),
        "--exercises",
        POOLING,
        "--seed",
        "3",
        *more,
    ]
    return subprocess.run(
        command,
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_solved_file(repo: Path, solutions: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hw.py").write_text(solved(solutions))
    said = pytest_on(repo, tmp_path / "hw.py")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "hw: 17 of 17 points  (seed 3, isolation " in said.stdout


def test_a_wrong_file(repo: Path, solutions: dict[str, str], tmp_path: Path) -> None:
    wrong = next(w.text for w in wrong_answers()["pooling.output_size"] if w.what == "always floors")
    (tmp_path / "hw.py").write_text(solved({**solutions, "pooling.output_size": wrong}))
    said = pytest_on(repo, tmp_path / "hw.py")
    assert said.returncode == 1
    assert "hw: 15 of 17 points" in said.stdout and "partly right" in said.stdout
    assert "3/5 points: partly right: Caffe rounds up: the result is " in said.stdout


def test_a_missing_file(repo: Path, tmp_path: Path) -> None:
    said = pytest_on(repo, tmp_path / "gone.py")
    assert said.returncode == 4 and "gone.py: no such file" in said.stdout + said.stderr


def test_grade(repo: Path, solutions: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hw.py").write_text(solved(solutions))
    arguments = [
        "grade",
        str(tmp_path / "hw.py"),
        "--out",
        str(tmp_path / "out"),
        "--tests",
        str(repo / POOLING),
        "--report",
        "json,gradescope,classroom,nbgrader,csv,html",
        "--seed",
        "3",
    ]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 0, said.output
    assert "hw: 17/17" in said.output and "1 graded" in said.output
    names = {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")}
    assert names == {
        "hw.json",
        "hw.gradescope.json",
        "hw.classroom.txt",
        "hw.nbgrader.json",
        "hw.html",
        "grades.csv",
        "index.html",
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--report", "pdf"], "unknown: pdf; choose from json"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--isolation", "hope"], "'hope' is not one of"),
        (["--tests", "empty"], "no exercises in"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hw.py").write_text("")
    said = CliRunner().invoke(main, ["grade", "hw.py", "--out", "out", *more])
    assert said.exit_code != 0 and words in said.output and "Traceback" not in said.output
