"""A killed grader may leave its folder; the next grader removes it, and no folder of a living one.

Jobs see the folder's name, so it does not say whose it is.
"""

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
    notes, link = (f"{client.PREFIX}{end}" for end in ("notes", f"{gone.pid}-link"))
    (tmp_path / f"{client.PREFIX}{gone.pid}-abc" / "job").mkdir(parents=True)
    (tmp_path / notes).mkdir()
    (tmp_path / link).symlink_to(tmp_path / notes)
    mine = client.new_folder()
    again = client.new_folder()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([mine.name, again.name, notes, link])
    assert not any(word in mine.name for word in ("dlseg", "grad"))
