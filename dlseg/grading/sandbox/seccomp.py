"""A system call filter: no sockets, tracing, signals to others, new namespaces; nothing that outlives.

Ordinary calls of Python, numpy and torch pass; what is refused fails with EPERM, as on a locked-down machine.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from dlseg.grading.sandbox import kernel

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


def supported() -> bool:
    """Whether the numbers of this machine's calls are known."""
    return platform.machine() in kernel.MACHINES


def program(pid: int) -> list[tuple[int, int, int, int]]:
    """The filter's instructions (code, jump if true, jump if false, constant) for the process `pid`."""
    arch = kernel.MACHINES[platform.machine()]
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


def install() -> None:
    """Filter this process and all it will start, for good. Needs no privilege, only no_new_privs."""
    steps = program(os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    filter_ = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, filter_)
