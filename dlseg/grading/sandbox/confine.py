"""How a worker is locked in: four levels, each with every unprivileged lock that the kernel offers on top.

limits      budgets, an empty folder, an own session; the grader's own user
user        the same as an own unprivileged user (the grader is root)
namespaces  the same with an own root folder, processes, network and scratch memory
bubblewrap  `limits` inside a bubblewrap container
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlseg.grading.sandbox import kernel, landlock, namespaces, processes, seccomp
from dlseg.grading.sandbox.job import Limits

STATUS = struct.Struct("<id")
LEVELS = ("namespaces", "bubblewrap", "user", "limits")


@dataclass(frozen=True)
class Place:
    """Where jobs run: level, the worker's user (None: the grader's), scratch, files seen and not."""

    level: str
    uid: int | None
    scratch: Path
    visible: list[Path]
    hidden: list[Path]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Place:
        """From the JSON that the grader starts the template with."""
        paths = {key: [Path(p) for p in config[key]] for key in ("visible", "hidden")}
        return cls(config["level"], config["uid"], Path(config["scratch"]), **paths)

    @property
    def private(self) -> Path | None:
        """A job's own scratch memory, kept small by the kernel; None where there are no namespaces."""
        return namespaces.private_folder(self.visible) if self.level == "namespaces" else None


def enter(place: Place) -> list[str]:
    """Lock the template itself in; the names of the locks that jobs will get. OSError where refused."""
    if place.level == "namespaces":
        namespaces.enter_root(place.scratch, place.visible, place.hidden)
    if place.uid is not None and place.level == "user":
        _check_readable(place)
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    locks = ["landlock"] if landlock.abi() else []
    return [*locks, "seccomp"] if sys.platform == "linux" and seccomp.supported() else locks


def _check_readable(place: Place) -> None:
    """Whether the worker's user can use this Python at all: it must reach every folder it lives in."""
    for path in place.visible:
        for folder in [path, *path.parents]:
            if not folder.stat().st_mode & 0o001:
                raise OSError(f"{path} cannot be reached by user {place.uid}: {folder} is closed to others")


def confine(place: Place, limits: Limits, work: Path, told: int) -> None:
    """Lock this process in for good.

    With own namespaces the caller goes on as a grandchild, and its status is written to the open file `told`.
    """
    already = processes.same_user_tasks() if place.uid is None else 0
    if place.private is not None:
        _own_namespaces(place.private, told)
    os.close(told)
    os.setsid()
    os.chdir(work)
    os.umask(0o077)
    limits.apply(already)
    if place.uid is not None:
        os.setgroups([])
        os.setresgid(place.uid, place.uid, place.uid)
        os.setresuid(place.uid, place.uid, place.uid)
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it
        _lock(place, work)


def _lock(place: Place, work: Path) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.drop_capabilities()
    if landlock.abi():
        system = [Path(p) for p in (*namespaces.SYSTEM, *namespaces.DEVICES) if p != "/proc"]
        own = [Path("/proc/self"), Path("/proc/cpuinfo"), Path("/proc/meminfo"), Path("/proc/stat")]
        landlock.restrict([*system, *own, *place.visible], [work, Path("/dev/null")], place.hidden)
    if seccomp.supported():
        seccomp.install()


def _own_namespaces(private: Path, told: int) -> None:
    """Fork twice: this process waits, the next is the namespaces' first and waits too, the third returns."""
    first = namespaces.isolate(private)
    if first:
        os.waitpid(first, 0)
        os._exit(0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        return
    while True:
        ended, status, used = os.wait3(0)
        if ended == pid:
            os.write(told, STATUS.pack(status, used.ru_utime + used.ru_stime))
            os._exit(0)  # and with the first process the kernel ends all others
