"""Landlock: a process gives up for good, unprivileged, the network and all files but those it names."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from dlseg.grading.sandbox import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 2, 4, 8, 1 << 14
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
READ = EXECUTE | READ_FILE | READ_DIR
# how many file rights each version of the interface knows
RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    try:
        return kernel.syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def restrict(readable: list[Path], writable: list[Path], hidden: list[Path]) -> None:
    """Leave this process only these files (folders with all below, except the hidden ones). No network."""
    version = abi()
    every = (1 << RIGHTS_OF_ABI[min(version, 5)]) - 1
    rules = struct.pack("<QQQ", every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    rules = rules[: 8 if version < 4 else 16 if version < 6 else 24]
    buffer = ctypes.create_string_buffer(rules, len(rules))
    ruleset = kernel.syscall("landlock_create_ruleset", buffer, ctypes.c_size_t(len(rules)), 0)
    for path in readable:
        for part in without(path.resolve(), hidden):
            _allow(ruleset, part, READ & every)
    for path in writable:
        _allow(ruleset, path, every)
    kernel.syscall("landlock_restrict_self", ruleset, 0)
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
    kernel.syscall("landlock_add_rule", ruleset, 1, rule, 0)
    os.close(handle)
