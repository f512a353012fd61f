"""On a machine that is busy with other things, what a job could not do is not taken for its slowness.

Here the job shares one processor with twenty-four loops, so that it gets about a twenty-fifth of it.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.sandbox import job
from dlseg.grading.sandbox.client import Sandbox
from dlseg.grading.sandbox.job import Limits, Stopwatch
from dlseg.grading.tolerance import exact

LOOPS = 24
PROCESSOR = min(os.sched_getaffinity(0))
# computes for 0.15 s, then touches pages until the memory is full, which takes about as long:
# on the clock that is 7 s, where the 5 s of clock(1) are allowed
WORK = f"""
import os, time
def hold(n):
    os.sched_setaffinity(0, {{{PROCESSOR}}})
    end = time.process_time() + 0.15
    while time.process_time() < end:
        pass
    held = [bytearray(b"1") * (10 << 20) for _ in range(50)]
    return n + 1
"""


def _number(rng: np.random.Generator) -> tuple[int]:
    return (int(rng.integers(1, 100)),)


TESTS = (Test("t", 1, _number, exact("whole numbers"), runs=1),)
HOLD = Exercise("small.hold", "hold", lambda n: n + 1, TESTS, seconds=1)


@contextlib.contextmanager
def crowded() -> Iterator[None]:
    """The processor is busy."""
    # each in a session of its own: the kernel may share processors between sessions first
    loops = [
        subprocess.Popen(["sh", "-c", "ulimit -t 20; while :; do :; done"], start_new_session=True)
        for _ in range(LOOPS)
    ]
    try:
        for loop in loops:
            os.sched_setaffinity(loop.pid, {PROCESSOR})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_waiting_for_a_processor_is_not_the_jobs_time(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    with crowded():
        result = Harness([HOLD], sandbox, 5, limits=Limits(memory_mb=400)).grade(Item("work", tmp_path / "work.py"))
    assert result.exercises[0].status == "limit", result


def test_the_stopwatch_stands_still_while_the_job_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.1, 0.2, 0.3, 60.0, 60.2, 60.4])
    monkeypatch.setattr(job.time, "monotonic", lambda: next(times))
    watch = Stopwatch()
    starved = (0.1, 0.15, 0.12, 29.9, 30.1, 99.0)  # a thread that waited long may end: no time comes back
    assert [round(watch.look(s), 2) for s in starved] == [0.0, 0.05, 0.15, 0.15, 0.25, 0.45]
