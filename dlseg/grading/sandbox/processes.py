"""The processes below this one: count them, weigh them, end them. The process table is the only witness."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def parents() -> dict[int, int]:
    """Every visible process and its parent (where /proc exists; else nothing)."""
    table: dict[int, int] = {}
    for entry in Path("/proc").iterdir() if Path("/proc/self/stat").exists() else []:
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # the name in brackets may hold anything, so read from the last bracket on
                fields = Path(entry, "stat").read_bytes().rpartition(b")")[2].split()
                table[int(entry.name)] = int(fields[1])
    return table


def descendants(root: int) -> list[int]:
    """All processes below `root`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def tasks(pid: int) -> int:
    """Threads of a process; 0 when it is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


def own_memory(pid: int) -> int:
    """Bytes that a process holds for itself (resident, not shared); 0 when it is gone."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def starved(pid: int) -> float:
    """Seconds that a process was ready to run but waited for a processor; 0.0 where the kernel does not count them.

    Of its threads, the one that waited longest counts.
    """
    longest = 0
    with contextlib.suppress(OSError, IndexError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            longest = max(longest, int((task / "schedstat").read_bytes().split()[1]))
    return longest / 1e9


def same_user_tasks() -> int:
    """Processes and threads that this user runs now: a limit per user counts them too."""
    me = os.getuid()
    total = 0
    for pid in parents():
        with contextlib.suppress(OSError):
            total += tasks(pid) if Path(f"/proc/{pid}").stat().st_uid == me else 0
    return total


def end_all(root: int, group: int) -> None:
    """Kill the group and everything below `root` until nothing is left. Stopped first, none can breed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while True:
        reap()
        alive = descendants(root)
        if not alive:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)


def reap() -> None:
    """Collect every child that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
