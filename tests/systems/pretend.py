"""Another operating system, as far as dlseg's own code can see it: what Python does not have there is not there.

Only modules of dlseg see it. Other packages choose by the real system, so that they go on working. Import this
before anything of dlseg: `import pretend; pretend.system("win32")`.
"""

from __future__ import annotations

import builtins
import errno
import sys
from types import ModuleType
from typing import Any

UNIX_MODULES = {
    "crypt",
    "fcntl",
    "grp",
    "nis",
    "posix",
    "pty",
    "pwd",
    "resource",
    "spwd",
    "syslog",
    "termios",
    "tty",
}
LINUX_CALLS = """
    copy_file_range eventfd getrandom getresgid getresuid memfd_create pidfd_open pipe2 posix_fadvise
    posix_fallocate sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity sched_setparam
    sched_setscheduler setns setresgid setresuid splice unshare getxattr setxattr listxattr removexattr
"""
UNIX_CALLS = """
    WCOREDUMP WEXITSTATUS WIFCONTINUED WIFEXITED WIFSIGNALED WIFSTOPPED WSTOPSIG WTERMSIG
    chflags chown chroot confstr ctermid fchdir fchmod fchown fork forkpty fpathconf fstatvfs getegid geteuid getgid
    getgrouplist getgroups getloadavg getpgid getpgrp getpriority getsid getuid initgroups killpg lchown lockf major
    makedev minor mkfifo mknod nice openpty pathconf posix_spawn posix_spawnp pread preadv pwrite pwritev readv
    register_at_fork sched_yield sched_get_priority_max sched_get_priority_min sched_rr_get_interval sendfile
    set_blocking setegid seteuid setgid setgroups setpgid setpriority setregid setreuid setsid setuid statvfs sync
    sysconf tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid waitpid writev
    O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC
"""
WINDOWS_SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
UNIX_SIGNAL_CALLS = """
    alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait sigwaitinfo
    sigtimedwait ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF SIG_BLOCK SIG_UNBLOCK SIG_SETMASK
"""


class Seen(ModuleType):
    """A module without some of its names."""

    def __init__(self, real: ModuleType, gone: set[str], **instead: Any) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(_real=real, _gone=gone, **instead)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_gone"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self.__dict__["_real"]) if name not in self.__dict__["_gone"]]


def _no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "a required privilege is not held by the client")


def _modules(name: str) -> dict[str, ModuleType]:
    import ctypes
    import os
    import select
    import signal
    import socket

    linux = set(LINUX_CALLS.split())
    if name == "darwin":
        return {
            "os": Seen(os, linux | {"O_PATH", "O_TMPFILE"}),
            "sys": Seen(sys, set(), platform="darwin"),
            "select": Seen(select, {"epoll"}),
        }
    numbers = {n for n in dir(signal) if n.startswith("SIG") and n[3:4].isalpha()} - WINDOWS_SIGNALS

    def no_library(path: str | None, *args: Any, **options: Any) -> Any:
        if path is None:
            raise TypeError("argument of type 'NoneType' is not iterable")  # what ctypes raises there
        return ctypes.CDLL(path, *args, **options)

    return {
        "os": Seen(os, linux | set(UNIX_CALLS.split()), name="nt", symlink=_no_links),
        "sys": Seen(sys, {"getdlopenflags", "setdlopenflags", "abiflags"}, platform="win32"),
        "signal": Seen(signal, numbers | set(UNIX_SIGNAL_CALLS.split())),
        "select": Seen(select, {"epoll", "poll"}),
        "socket": Seen(socket, {"AF_UNIX", "SCM_RIGHTS", "send_fds", "recv_fds"}),
        "ctypes": Seen(ctypes, set(), CDLL=no_library),
    }


def system(name: str) -> None:
    """From now on dlseg's modules see `name`: "win32" or "darwin"."""
    seen, real_import = _modules(name), builtins.__import__

    def as_there(
        wanted: str,
        globals: dict[str, Any] | None = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        if level or str((globals or {}).get("__name__", "")).split(".")[0] != "dlseg":
            return real_import(wanted, globals, locals, fromlist, level)
        if name == "win32" and wanted in UNIX_MODULES:
            raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)
        if "." not in wanted or not fromlist:  # `import os.path` binds os
            real_import(wanted, globals, locals, fromlist, level)
            if wanted.split(".", maxsplit=1)[0] in seen:
                return seen[wanted.split(".", maxsplit=1)[0]]
        return real_import(wanted, globals, locals, fromlist, level)

    builtins.__import__ = as_there
