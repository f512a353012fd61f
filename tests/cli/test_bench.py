"""`dlseg bench` finds the benchmarks, hands options on, and gives their exit status back."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlseg.cli import bench, main

WORKS = '"""Counts its words."""\nimport sys\nif __name__ == "__main__":\n    sys.exit(len(sys.argv) - 1)\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "words.py").write_text(WORKS)
    (tmp_path / "helper.py").write_text('"""Helps the others."""\n')
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["bench", *words])


def test_all_are_listed(repo: Path) -> None:
    said = run().output
    assert all(name in said for name in ("atrous", "table2", "grading")) and "timing" not in said


def test_options_pass_through(folder: Path) -> None:
    assert run().output == "words        Counts its words.\n"
    assert run("words", "--help", "-x", "3").exit_code == 3
    assert run("words").exit_code == 0


def test_mistakes_are_named(folder: Path) -> None:
    assert "got 'wrods', expected one of words" in run("wrods").output
    (folder / "words.py").unlink()
    assert "clone it" in run("words").output
