"""A few threads for compiled loops that hold no interpreter lock.

Plain threads of our own rather than a compiler's: any number of Python threads may infer at once, a forked
process starts afresh, idle threads sleep instead of spinning beside torch's, and two busy processes do not stall
each other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

MOST = 8  # a pass takes a few milliseconds; more threads than this wait for each other
_pools: dict[int, ThreadPoolExecutor] = {}
os.register_at_fork(after_in_child=_pools.clear)


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


def share(work: Callable[..., Any], tasks: Sequence[tuple], threads: int) -> list[Any]:
    """[work(*task) for task in tasks] by up to `threads` threads, the caller's among them.

    Threads start at both ends: from call to call a thread gets much the same tasks, whose numbers are still in its
    processor's cache.
    """
    helpers = min(threads, len(tasks)) - 1
    if helpers < 1:
        return [work(*task) for task in tasks]
    results: list[Any] = [None] * len(tasks)
    waiting = deque(range(len(tasks)))

    def drain(take: Callable[[], int]) -> None:
        while True:
            try:
                which = take()  # atomic
            except IndexError:
                return
            results[which] = work(*tasks[which])

    if helpers not in _pools:
        _pools[helpers] = ThreadPoolExecutor(helpers, thread_name_prefix="dlseg-crf")
    ends = (waiting.pop, waiting.popleft)
    futures = [_pools[helpers].submit(drain, ends[helper % 2]) for helper in range(helpers)]
    drain(waiting.popleft)
    for future in futures:
        if not future.cancel():  # one whose thread has not begun is not waited for: nothing is left to do
            future.result()
    return results


def parts(count: int, threads: int = MOST, size: int = 16384) -> list[tuple[int, int]]:
    """range(count) in parts of about `size` for threads to share; in one part for one thread."""
    pieces = max(1, round(count / size)) if threads > 1 else 1
    edges = [count * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(edges))
