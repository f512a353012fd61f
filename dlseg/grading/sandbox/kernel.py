"""The Linux calls that Python has no name for, each failing with the OSError that the kernel gives."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import struct

# system call numbers: (x86_64, aarch64)
_NUMBERS = {
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
NEWNS, NEWUTS, NEWIPC = 0x20000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
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


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = [w.encode() or None for w in (source, target, kind)]
    _checked(_libc().mount(*words, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def read_only(target: str) -> None:
    """Make a mount and all below it read-only (mount_setattr(2), recursive)."""
    attributes = ctypes.create_string_buffer(struct.pack("<QQQQ", 1, 0, 0, 0))
    syscall("mount_setattr", -100, target.encode(), 0x8000, attributes, ctypes.c_size_t(32))


def change_root(new_root: str) -> None:
    """Make `new_root` (a mount) the root, and let go of the old one."""
    os.chdir(new_root)
    syscall("pivot_root", b".", b".")
    _checked(_libc().umount2(b".", 2), "umount2")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability for good."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # beyond the kernel's last one, or not privileged to drop: then there is none to gain
            break
    head = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    syscall("capset", head, ctypes.create_string_buffer(24))
