"""A job's scratch memory covers a folder; it must not cover the Python or the package that the job runs."""

from pathlib import Path

import pytest

from dlseg.grading.sandbox import bubblewrap


@pytest.mark.parametrize(
    ("python", "package", "private"),
    [
        ("/usr/lib/python3", "/home/me/dlseg", "/tmp"),
        ("/tmp/clone/.venv", "/home/me/dlseg", "/scratch"),
        ("/usr/lib/python3", "/tmp/clone/dlseg", "/scratch"),
    ],
)
def test_scratch_memory_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, python: str, package: str, private: str
) -> None:
    monkeypatch.setattr(bubblewrap, "__file__", f"{package}/bubblewrap.py")
    assert bubblewrap.private_folder([Path(python)]) == Path(private)
