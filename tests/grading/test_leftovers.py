"""A killed grader may leave its folder; the next grader removes it, and no folder of a living one."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dlseg.grading.sandbox import client


def test_folders_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f"dlseg-grading-{gone.pid}-abc" / "job").mkdir(parents=True)
    (tmp_path / "dlseg-grading-notes").mkdir()
    (tmp_path / f"dlseg-grading-{gone.pid}-link").symlink_to(tmp_path / "dlseg-grading-notes")
    mine = client.new_folder()
    again = client.new_folder()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [mine.name, again.name, "dlseg-grading-notes", f"dlseg-grading-{gone.pid}-link"]
    )
