"""What a worker gives up for good before a student's code runs: files, network, calls, processes, memory, time.

Three locks that need no privilege, each where the kernel has it: Landlock (no file but those named), a system call
filter (no sockets, tracing, signals to others, new namespaces), and limits on resources. As root the worker also
becomes a user of its own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlseg.grading.sandbox import processes
from dlseg.grading.sandbox.job import Limits

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
OWN_PROCESS = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")


@dataclass(frozen=True)
class Place:
    """Where jobs run: the worker's user (None: the template's), the folder for its files, files seen and not."""

    uid: int | None
    scratch: Path
    visible: list[Path]
    hidden: list[Path]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Place:
        """From the JSON that the grader starts the template with."""
        paths = {key: [Path(p) for p in config[key]] for key in ("visible", "hidden")}
        return cls(config["uid"], Path(config["scratch"]), **paths)


def available() -> list[str]:
    """The locks that this machine has, beside limits on resources."""
    found = ["landlock"] if landlock_version() else []
    return [*found, "seccomp"] if sys.platform == "linux" and platform.machine() in MACHINES else found


def lock_in(place: Place, limits: Limits, work: Path) -> None:
    """Lock this process in for good; `work` is the folder that it may write to."""
    already = processes.same_user_tasks() if place.uid is None else 0
    os.setsid()
    os.chdir(work)
    os.umask(0o077)
    limits.apply(already)
    if place.uid is not None:
        os.setgroups([])
        os.setresgid(place.uid, place.uid, place.uid)
        os.setresuid(place.uid, place.uid, place.uid)
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        drop_capabilities()
    locks = available()
    if "landlock" in locks:
        readable = [Path(p) for p in (*SYSTEM, *DEVICES, *OWN_PROCESS) if p != "/proc"]
        restrict([*readable, *place.visible], [work, Path("/dev/null")], place.hidden)
    if "seccomp" in locks:
        filter_calls()


# --- the kernel's calls that Python has no name for ---

# numbers on (x86_64, aarch64)
_NUMBERS = {
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_SECCOMP = 1, 4, 24, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
MACHINES = {"x86_64": 0, "aarch64": 1}


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # when it is called for: Windows has none


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(name: str, *arguments: object) -> int:
    """A system call by name. Raises OSError, also on a machine whose numbers are not known."""
    if platform.machine() not in MACHINES:
        raise OSError(38, f"{name}: not known on {platform.machine()}")
    number = _NUMBERS[name][MACHINES[platform.machine()]]
    return _checked(_libc().syscall(ctypes.c_long(number), *arguments), name)


def prctl(option: int, value: object = 0, more: object = 0) -> None:
    """prctl(2)."""
    second = value if isinstance(value, ctypes._Pointer | ctypes.Array) else ctypes.c_ulong(int(str(value)))
    _checked(_libc().prctl(option, second, more, ctypes.c_ulong(0), ctypes.c_ulong(0)), "prctl")


def drop_capabilities() -> None:
    """Give up every capability for good."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # beyond the kernel's last one, or not privileged to drop: then there is none to gain
            break
    head = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    syscall("capset", head, ctypes.create_string_buffer(24))


# --- Landlock: no file but those named, no network ---

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 2, 4, 8, 1 << 14
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
READ = EXECUTE | READ_FILE | READ_DIR
# how many file rights each version of the interface knows
RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    try:
        return syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def restrict(readable: list[Path], writable: list[Path], hidden: list[Path]) -> None:
    """Leave this process only these files (folders with all below, except the hidden ones). No network."""
    version = landlock_version()
    every = (1 << RIGHTS_OF_ABI[min(version, 5)]) - 1
    rules = struct.pack("<QQQ", every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    rules = rules[: 8 if version < 4 else 16 if version < 6 else 24]
    buffer = ctypes.create_string_buffer(rules, len(rules))
    ruleset = syscall("landlock_create_ruleset", buffer, ctypes.c_size_t(len(rules)), 0)
    for path in readable:
        for part in without(path.resolve(), hidden):
            _allow(ruleset, part, READ & every)
    for path in writable:
        _allow(ruleset, path, every)
    syscall("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def without(path: Path, hidden: list[Path]) -> list[Path]:
    """`path`, or, where something below it is hidden, everything beside that. All paths with links resolved.

    A link is passed over: a rule for it would hold for what it leads to, and open that again (a virtual
    environment's lib64 leads to lib). What it leads to is reached through its own rule, if it has one.
    """
    if any(secret in (path, *path.parents) for secret in hidden):
        return []
    if not any(path in secret.parents for secret in hidden):
        return [path]
    try:
        children = sorted(child for child in path.iterdir() if not child.is_symlink())
    except OSError:  # closed to this user: what lies below is left out rather than opened as a whole
        return []
    return [part for child in children for part in without(child, hidden)]


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, or not ours to see: then there is nothing to allow
        return
    rights = rights if path.is_dir() else rights & FILE_RIGHTS
    rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, handle))
    syscall("landlock_add_rule", ruleset, 1, rule, 0)
    os.close(handle)


# --- the system call filter: what is refused fails with EPERM, as on a locked-down machine ---

# refused outright: (x86_64, aarch64) numbers
REFUSED = {
    "socket": (41, 198),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "setpriority": (141, 140),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "personality": (135, 92),
}
# allowed only with oneself (or 0) as the first argument
SELF_ONLY = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
}
CLONE, CLONE3 = (56, 220), (435, 435)
AUDIT = (0xC000003E, 0xC00000B7)
NAMESPACE_FLAGS = 0x7E020000
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | 1, 0x50000 | 38
LOAD, JUMP_EQUAL, JUMP_BITS, JUMP_ABOVE, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06


def filter_program(pid: int) -> list[tuple[int, int, int, int]]:
    """The filter's instructions (code, jump if true, jump if false, constant) for the process `pid`."""
    arch = MACHINES[platform.machine()]
    steps = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, AUDIT[arch]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if arch == 0:  # the x32 calls of x86_64 would be a second door
        steps += [(JUMP_ABOVE, 0, 1, 0x40000000), (RETURN, 0, 0, EPERM)]
    for numbers in REFUSED.values():
        steps += [(JUMP_EQUAL, 0, 1, numbers[arch]), (RETURN, 0, 0, EPERM)]
    for numbers in SELF_ONLY.values():
        steps += [
            (JUMP_EQUAL, 0, 5, numbers[arch]),
            (LOAD, 0, 0, 16),
            (JUMP_EQUAL, 2, 0, pid),
            (JUMP_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, EPERM),
            (RETURN, 0, 0, ALLOW),
        ]
    steps += [(JUMP_EQUAL, 0, 1, CLONE3[arch]), (RETURN, 0, 0, ENOSYS)]  # the C library then uses clone
    steps += [
        (JUMP_EQUAL, 0, 3, CLONE[arch]),
        (LOAD, 0, 0, 16),
        (JUMP_BITS, 0, 1, NAMESPACE_FLAGS),
        (RETURN, 0, 0, EPERM),
    ]
    return [*steps, (RETURN, 0, 0, ALLOW)]


def filter_calls() -> None:
    """Filter this process and all it will start, for good. Needs no privilege, only no_new_privs."""
    steps = filter_program(os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    filter_ = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, 2, filter_)
