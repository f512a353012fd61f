"""A grader that is stopped for a while (Ctrl-Z, a frozen container) does not take that for a student's slowness."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlseg.grading.sandbox import job, processes
from dlseg.grading.sandbox.job import Stopwatch, clock

EXERCISES = """
import numpy as np
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact
tests = (Test("t", 2, lambda rng: (int(rng.integers(1, 100)),), exact("whole numbers"), runs=2),)
EXERCISES = [Exercise("small.much", "much", lambda n: n + np.arange(500_000), tests, seconds=1)]
"""
# two calls of 1.2 s each: within the 5 s on the clock that one second of computing may take
HONEST = """
import time
import numpy as np
def much(n):
    open("begun", "w").close()
    time.sleep(1.2)
    return n + np.arange(500_000)
"""
PAUSE = clock(1) + 6


@pytest.mark.slow
@pytest.mark.parametrize("who", ["grader", "all", "sandbox"])
def test_a_long_stop_is_not_the_students(tmp_path: Path, repo: Path, who: str) -> None:
    (tmp_path / "tests.py").write_text(EXERCISES)
    (tmp_path / "honest.py").write_text(HONEST)
    words = [
        "grade",
        str(tmp_path / "honest.py"),
        "--out",
        str(tmp_path / "out"),
        "--tests",
        str(tmp_path / "tests.py"),
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "dlseg", *words],
        env={**os.environ, "PYTHONPATH": str(repo)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_the_call(running)
        below = processes.descendants(running.pid)
        stopped = {"grader": [running.pid], "all": [running.pid, *below], "sandbox": below}[who]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE)
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        assert running.wait(300) == 0
    finally:
        running.kill()
    result = json.loads((tmp_path / "out" / "honest.json").read_text())
    assert result["score"] == 2, result


def wait_for_the_call(running: subprocess.Popen[bytes]) -> None:
    """Until the student's function has written its file: a process below sees it in its own folder."""
    end = time.monotonic() + 300
    while time.monotonic() < end and running.poll() is None:
        if any(Path(f"/proc/{pid}/cwd/begun").exists() for pid in processes.descendants(running.pid)):
            return
        time.sleep(0.02)
    raise AssertionError(f"the student's function was not seen at work; the grader's exit status: {running.poll()}")


def test_the_stopwatch_stands_still_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.05, 0.10, 60.0, 60.05])
    monkeypatch.setattr(job.time, "monotonic", lambda: next(times))
    watch = Stopwatch()
    assert [round(watch.look(), 2) for _ in range(4)] == [0.05, 0.1, 0.6, 0.65]
