"""The warm template: torch is imported once, every job is a fork that locks itself in. It has no secrets.

It is started with a bare environment and one socket to the grader. A job is a line of JSON and three open
files (request, result, output); the reply says how the worker ended. Between jobs nothing of it is left.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlseg.grading.sandbox import cells, locks, processes, worker
from dlseg.grading.sandbox.job import MB, Ended, Limits, Stopwatch, clock
from dlseg.grading.sandbox.locks import Place

POLL = 0.05


def main(control: int, config: dict[str, Any]) -> None:
    """Lock in, say ready, serve jobs until the grader closes the socket."""
    link = socket.socket(fileno=control)
    place = Place.from_config(config)
    _warm_up()
    if sys.platform == "linux":
        locks.prctl(locks.PR_SET_CHILD_SUBREAPER, 1)
        locks.prctl(locks.PR_SET_DUMPABLE, 0)
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    link.sendall(json.dumps({"ready": locks.available()}).encode() + b"\n")
    while True:
        line, files, _, _ = socket.recv_fds(link, 4096, 3)
        if not line:
            os._exit(0)  # nothing to tidy, and at once
        ended = Job(place, Limits(**json.loads(line)), files, link, wake).run()
        for handle in files:
            os.close(handle)
        link.sendall(ended.to_bytes())


def _warm_up() -> None:
    """Import what students' code is likely to import, so that no job pays for it."""
    with contextlib.suppress(ImportError):
        importlib.import_module("matplotlib").use("Agg")
        importlib.import_module("matplotlib.pyplot")
    cells.warm_up()


@dataclass
class Job:
    """One worker, from fork to the last of its processes."""

    place: Place
    limits: Limits
    files: list[int]
    link: socket.socket
    wake: int
    loaded: tuple[float, float] | None = None

    def run(self) -> Ended:
        """Fork, watch, clean up."""
        work = make_folder(self.place)
        loaded, note = os.pipe()
        os.set_blocking(loaded, False)
        watch = Stopwatch()
        pid = os.fork()
        if pid == 0:
            os.close(loaded)
            self._become_worker(work, note)
        os.close(note)
        try:
            cause, status, cpu = self._watch(pid, watch, work, loaded)
        finally:
            processes.end_all(os.getpid(), pid)
            remove_folder(work)
        self._take_note(watch, loaded)
        os.close(loaded)
        return Ended(cause, status, watch.seconds, cpu, *(self.loaded or (watch.seconds, cpu)))

    def _take_note(self, watch: Stopwatch, loaded: int) -> None:
        """The moment when the worker had run its cells, and what they had computed: never more than they may."""
        if self.loaded is None and self.limits.loading:
            with contextlib.suppress(BlockingIOError):
                said = os.read(loaded, worker.NOTE.size)
                if len(said) == worker.NOTE.size:
                    most = self.limits.loading * self.limits.threads
                    used = worker.NOTE.unpack(said)[0]
                    self.loaded = (watch.seconds, used if 0 <= used <= most else most)

    def _late(self, watch: Stopwatch) -> bool:
        if self.limits.loading and self.loaded is None:
            return watch.seconds > clock(self.limits.loading)
        return watch.seconds > clock(self.limits.seconds) + (self.loaded[0] if self.loaded else 0.0)

    def _become_worker(self, work: Path, note: int) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if sys.platform == "linux":
                locks.prctl(locks.PR_SET_PDEATHSIG, signal.SIGKILL)
            self._arrange_files(note)
            locks.lock_in(self.place, self.limits, work)
            os.environ["TMPDIR"], tempfile.tempdir = str(work), None  # the only folder that it may write to
            worker.main(4, 5)
        except BaseException as error:  # nothing may unwind into the template's own loop
            os.write(2, f"sandbox: {error}".encode())
        finally:
            os._exit(71)

    def _arrange_files(self, note: int) -> None:
        """0 nothing, 1 and 2 output, 4 request, 5 result, LOADED all cells were run; the rest closed."""
        request, result, output = self.files
        high = [os.dup2(handle, 100 + i) for i, handle in enumerate((request, result, output, note))]
        null = os.open("/dev/null", os.O_RDWR)
        plan = {0: null, 1: high[2], 2: high[2], 4: high[0], 5: high[1], worker.LOADED: high[3]}
        for target, source in plan.items():
            os.dup2(source, target)
        os.close(3)
        os.closerange(worker.LOADED + 1, 1 << 16)

    def _watch(self, pid: int, watch: Stopwatch, work: Path, loaded: int) -> tuple[str, int, float]:
        """Wait for the worker's end, or for the first budget that it breaks."""
        while True:
            ready = select.select([self.link.fileno(), self.wake], [], [], POLL)[0]
            if self.wake in ready:
                os.read(self.wake, 4096)
            watch.look(processes.starved(pid))
            self._take_note(watch, loaded)
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                return "exited", status, used.ru_utime + used.ru_stime
            if self.link.fileno() in ready:  # the grader is going away
                return "cancelled", signal.SIGKILL, 0.0
            if self._late(watch):
                return "wall", signal.SIGKILL, 0.0
            if broken := self._broken(work):
                return broken, signal.SIGKILL, 0.0

    def _broken(self, work: Path) -> str:
        mine = processes.descendants(os.getpid())
        if len(mine) > 1 and sum(map(processes.tasks, mine)) > self.limits.tasks:
            return "tasks"
        # a fork's untouched pages count for each process: allow each what the template itself holds
        allowed = self.limits.memory_mb * MB + len(mine) * processes.own_memory(os.getpid())
        if sum(map(processes.own_memory, mine)) > allowed:
            return "memory"
        return "" if within(work, self.limits) else "files"


def make_folder(place: Place) -> Path:
    """A new empty folder that only the worker's user may enter."""
    work = Path(tempfile.mkdtemp(dir=place.scratch))
    if place.uid is not None:
        os.chown(work, place.uid, place.uid)
    return work


def remove_folder(work: Path) -> None:
    """Delete the folder, whatever modes its content was given."""
    for folder, _, _ in os.walk(work):  # top down: a folder is opened up before it is listed
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                Path(entry.path).chmod(0o700)
    shutil.rmtree(work)


def within(work: Path, limits: Limits) -> bool:
    """Whether number and size of the files stay in the budget."""
    size = 0
    for count, entry in enumerate(_entries(work), 1):
        size += entry
        if count > limits.files or size > limits.files_mb * MB:
            return False
    return True


def _entries(folder: Path) -> Iterator[int]:
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(Path(entry.path))
    except OSError:  # vanished, or closed to us, while it was looked at
        return
