"""A few threads for compiled loops that hold no interpreter lock.

Plain threads of our own rather than a compiler's: any number of Python threads may infer at once, a forked
process starts afresh, idle threads sleep instead of spinning beside torch's, and two busy processes do not stall
each other. And rather than concurrent.futures': those stop before threads that outlive the main one do, and an
exception from outside (Ctrl-C) can leave their locks locked.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from queue import SimpleQueue
from threading import RLock
from typing import Any

MOST = 8  # a pass takes a few milliseconds; more threads than this wait for each other


class _Job:
    """One call of `parallel`.

    locks: one for each helper thread, which holds it while it works for this job. Whoever holds them all knows that
    no helper is at work, nor will be. The same thread can take a lock twice: the caller may have been interrupted
    after it took one and before it could note that.
    """

    def __init__(self, work: Callable[..., Any], tasks: Sequence[tuple], helpers: int) -> None:
        self.work, self.tasks = work, tasks
        self.results: list[Any] = [None] * len(tasks)
        self.waiting = deque(range(len(tasks)))
        self.failures: list[BaseException] = []
        self.locks = [RLock() for _ in range(helpers)]

    def do_tasks(self, take: Callable[[], int]) -> None:
        """Does what is waiting, one task after another."""
        work, tasks, results = self.work, self.tasks, self.results
        while True:
            try:
                which = take()  # atomic
            except IndexError:
                return
            results[which] = work(*tasks[which])

    def help(self, helper: int) -> None:
        """A helper's part, where the caller has not left yet."""
        lock = self.locks[helper]
        if not lock.acquire(blocking=False):
            return
        try:
            self.do_tasks(self.waiting.popleft if helper % 2 else self.waiting.pop)
        except BaseException as error:  # the caller raises it
            self.waiting.clear()
            self.failures.append(error)
        finally:
            lock.release()

    def release_arrays(self) -> None:
        """Helpers may come to see this job much later."""
        self.tasks, self.failures = (), []


class _Pool:
    """This process's helper threads.

    They are no `threading.Thread`s: the interpreter does not wait for them at its end, and starting one takes no
    lock that an exception could leave locked.
    """

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[_Job, int]] = SimpleQueue()
        self.size = self.forks = 0

    def submit(self, job: _Job) -> None:
        """Asks for as many helpers as the job takes; there may be fewer, or none, and none is waited for."""
        while self.size < len(job.locks):
            try:
                start_new_thread(_serve, (self.jobs,))
            except RuntimeError:  # too many threads, or the interpreter is about to end
                break
            self.size += 1
        for helper in range(min(self.size, len(job.locks))):
            self.jobs.put((job, helper))

    def reset(self) -> None:
        """In a forked process: none of the threads exists any more, and what they locked stays locked."""
        self.jobs, self.size = SimpleQueue(), 0
        self.forks += 1


_pool = _Pool()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_pool.reset)


def _serve(jobs: SimpleQueue[tuple[_Job, int]]) -> None:
    while True:
        job, helper = jobs.get()
        job.help(helper)
        del job  # holds nothing while it waits for the next one


class ForkSafeLock:
    """A lock that the same thread may take again: ``with lock():``. A forked process, or a copy, has its own.

    It is called because a `with` statement takes a lock of C at once: an __enter__ of Python's could be
    interrupted when the lock was taken already.
    """

    def __init__(self) -> None:
        self._locks: dict[int, Any] = {}

    def __call__(self) -> Any:
        return self._locks.setdefault(_pool.forks, RLock())  # atomic

    def __reduce__(self) -> tuple[type[ForkSafeLock], tuple[()]]:
        return ForkSafeLock, ()


def default_threads() -> int:
    """NUMBA_NUM_THREADS where it is set, else the processors this process may use, at most eight."""
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)


def checked_threads(threads: int | None) -> int:
    """A thread count, or a clear error; None is `default_threads()`."""
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads: got {threads!r}, expected a whole number >= 1, or None for all processors")
    return threads


def parallel(work: Callable[..., Any], tasks: Sequence[tuple], threads: int) -> list[Any]:
    """[work(*task) for task in tasks] by up to `threads` threads, the caller's among them.

    Threads start at both ends: from call to call a thread gets much the same tasks, whose numbers are still in its
    processor's cache.

    When it returns or raises, no thread is at work here any more. An exception of `work` stops the others and is
    raised, one of them if there are several. So does one from outside, Ctrl-C's KeyboardInterrupt for example,
    wherever it comes; what comes while that waits for the helpers does not cut the waiting short.
    """
    helpers = min(threads, len(tasks)) - 1
    if helpers < 1:
        return [work(*task) for task in tasks]
    job = _Job(work, tasks, helpers)
    late: BaseException | None = None
    try:
        _pool.submit(job)
        job.do_tasks(job.waiting.popleft)
    finally:
        # Not a function of its own: an exception could come on the way into it.
        finished = False
        while not finished:
            try:
                job.waiting.clear()
                for lock in job.locks:
                    lock.acquire()  # at once where the helper has not begun: then it never will
                finished = True
            except BaseException as error:
                late = error
        failures = job.failures
        job.release_arrays()
    try:
        if late is not None:
            raise late
        if failures:
            raise failures[0]
        return job.results
    finally:
        del late, failures  # their tracebacks lead here: a circle that would keep the arrays


def interleaved(first: list[tuple], *others: list[tuple]) -> list[tuple]:
    """The other tasks in the middle of the first ones: threads start at both ends, so that they end together."""
    half = len(first) // 2
    return [*first[:half], *(task for tasks in others for task in tasks), *first[half:]]


def parts(count: int, threads: int = MOST, size: int = 16384) -> list[tuple[int, int]]:
    """range(count) in parts of about `size` for threads to share; in one part for one thread."""
    pieces = max(1, round(count / size)) if threads > 1 else 1
    edges = [count * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(edges))
