"""The worker: run the student's cells, call their functions, give back arrays. No answers here."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from dlseg.grading import frames, parsing
from dlseg.grading.sandbox.cells import Cells, cpu_seconds, raised, sentence

LOADED = 6  # the open file that takes note of the moment when all cells were run
NOTE = struct.Struct("<d")


def serve(request: BinaryIO, result: BinaryIO) -> None:
    """Read one request, answer it, frame by frame."""
    job = frames.decode(request.read, max_blob=1 << 30, max_text=frames.MAX_REQUEST_TEXT, tensors=True)
    if job is None:
        return
    if job["op"] == "reach":
        result.write(frames.encode({"found": {path: _inside(path) for path in job["paths"]}}))
    elif job["op"] == "probe":
        result.write(frames.encode({"doors": _open_doors()}))
    elif job["op"] == "read":
        for text in job["cells"]:  # one frame each: a cell that Python cannot read costs itself
            result.write(_described(text))
            result.flush()
    else:
        _run(job, result)
    result.flush()


def _described(text: str) -> bytes:
    try:
        return frames.encode({"cell": parsing.describe(text)})
    except frames.TooLarge:
        return frames.encode({"cell": {"error": "the cell has more statements than the grader reads: split it"}})


def _open_doors() -> list[str]:
    """What this process could do that no job should, one sentence each."""
    found = []
    try:
        socket.socket().close()
        found.append("a job can use the network")
    except OSError:
        pass
    for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", sys.prefix, str(Path.home())):
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=folder):
            found.append(f"a job can write to {folder}")
    for number in {1, os.getppid()}:
        with contextlib.suppress(OSError):
            Path(f"/proc/{number}/environ").read_bytes()
            found.append(f"a job can look into process {number}")
    with contextlib.suppress(OSError):
        os.kill(os.getppid(), 0)
        found.append("a job can send signals to the process that started it")
    return found


def _inside(path: str) -> list[str]:
    """What can be read at a path that should be out of reach: a folder's entries, or the file itself."""
    try:
        if Path(path).is_dir():
            return [entry.name for entry in Path(path).iterdir()][:20]
        with Path(path).open("rb") as file:
            return [Path(path).name] if file.read(1) else []
    except OSError:
        return []


def _run(job: dict[str, Any], result: BinaryIO) -> None:
    torch.set_num_threads(job["threads"])
    cells = Cells(
        notebook=job["notebook"], future=job["future"], functions=job["functions"], wanted=set(job["wanted"])
    )
    seed_all(job["seed"])
    left = float(job["loading"])
    for part in job["parts"]:
        _send(result, {"cell": part["number"]})  # should this cell end us, the grader knows which it was
        before = cpu_seconds()
        cells.run(part, left / 2)
        left -= cpu_seconds() - before
    cells.finish()
    missing = [name for name in job["functions"] if name not in cells.functions]
    _send(result, {"errors": cells.errors, "missing": missing})
    if missing:
        return
    _begin_calls(job["seconds"])
    for call in job["calls"]:
        seed_all(call["seed"])
        _send(result, _call(cells.functions[call["function"]], call["arguments"]))


def _begin_calls(seconds: float) -> None:
    """From here on the exercise's own seconds count; what cells used is known to who watches."""
    used = cpu_seconds()
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    late = int(used + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, late), min(hard, late + 1)))
    os.write(LOADED, NOTE.pack(used))
    os.close(LOADED)


def _call(function: Any, arguments: list[Any]) -> dict[str, Any]:
    try:
        value = function(*arguments)
    except BaseException as error:  # a student's SystemExit is an answer too
        return raised(error)
    return {"value": value}


def _send(result: BinaryIO, answer: dict[str, Any]) -> None:
    try:
        frame = frames.encode(answer)
    except frames.TooLarge as error:
        frame = frames.encode({"too_large": str(error)})
    except BaseException as error:  # the value may be a student's class with hostile methods
        frame = frames.encode({"unusable": sentence(error)})
    result.write(frame)
    result.flush()


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def main(request: int, result: int) -> None:
    """The worker's whole life; never returns."""
    code = 0
    try:
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(os.fdopen(n, "wb"), "utf-8", "replace", line_buffering=True) for n in (1, 2)
        )
        with os.fdopen(request, "rb") as source, os.fdopen(result, "wb") as sink:
            serve(source, sink)
        sys.stdout.flush()
    except BaseException:  # nothing above this may catch it
        code = 70
    os._exit(code)
