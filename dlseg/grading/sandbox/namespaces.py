"""Linux namespaces: a root folder with Python alone; per job no network, own processes and scratch memory."""

from __future__ import annotations

import os
from pathlib import Path

from dlseg.grading.sandbox import kernel

SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/proc",
    "/sys/devices/system/cpu",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SCRATCH = "size=64m,nr_inodes=200,mode=1777"


def private_folder(visible: list[Path]) -> Path:
    """Where a job finds its own scratch memory: /tmp, unless this Python or this package lives below it."""
    needed = (*visible, Path(__file__).resolve())
    return Path("/scratch" if any(Path("/tmp") in path.parents for path in needed) else "/tmp")


def enter_root(folder: Path, visible: list[Path], hidden: list[Path]) -> None:
    """Make the empty `folder` this process's root, with `visible` and the system's libraries, read-only.

    As root this needs no user namespace; as anybody else one is entered first. OSError where not allowed.
    """
    if os.getuid() == 0:
        kernel.unshare(kernel.NEWNS)
    else:
        _enter_user_namespace()
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    os.umask(0o022)
    kernel.mount("tmpfs", str(folder), "tmpfs", kernel.MS_NOSUID, "size=1m,mode=755")
    for path in [*map(Path, SYSTEM), *map(Path, DEVICES), *visible]:
        _show(path, folder)
    for path in hidden:
        inside = Path(folder, *path.parts[1:])
        if inside.is_dir():
            kernel.mount("tmpfs", str(inside), "tmpfs", kernel.MS_NOSUID, "size=1k")
        elif inside.exists():
            kernel.mount("/dev/null", str(inside), flags=kernel.MS_BIND)
    for path in (private_folder(visible), Path("/dev/shm")):
        Path(folder, *path.parts[1:]).mkdir(parents=True)
    kernel.read_only(str(folder))
    kernel.change_root(str(folder))


def _enter_user_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.NEWUSER | kernel.NEWNS)
    Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="utf-8")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="utf-8")


def _show(path: Path, root: Path) -> None:
    """Bind `path` below the new root; links stay links, what is not there is left out."""
    target = Path(root, *path.parts[1:])
    if target.exists() or target.is_symlink() or not path.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(path.readlink())
        return
    if path.is_dir():
        target.mkdir()
    else:
        target.touch()
    kernel.mount(str(path), str(target), flags=kernel.MS_BIND | kernel.MS_REC)


def isolate(private: Path) -> int:
    """Fork a child that is first in its own process, network, IPC and name space; its pid, or 0 in the child.

    Returns twice, as fork does. The child sees only itself in /proc; `private` and /dev/shm are fresh and small.
    """
    kernel.unshare(kernel.NEWNS | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS)
    child = os.fork()
    if child == 0:
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
        for path in (str(private), "/dev/shm"):
            kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, SCRATCH)
    return child
