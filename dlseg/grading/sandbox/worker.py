"""The worker: run the student's statements, call their functions, give back arrays. No answers here."""

from __future__ import annotations
import __future__

import ast
import io
import linecache
import os
import random
import sys
import traceback
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from dlseg.grading import frames, parsing

CELL = "<cell "


class NoLibrary(MetaPathFinder):
    """`import dlseg` inside a graded cell: the exercise asks to write it, not to import it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse dlseg and its parts; leave all else to the other finders."""
        if name.partition(".")[0] == "dlseg":
            raise ImportError("dlseg is not there while grading: exercise cells must stand on their own")


def serve(request: BinaryIO, result: BinaryIO) -> None:
    """Read one request, answer it, frame by frame."""
    job = frames.decode(request.read, max_blob=1 << 30, max_text=frames.MAX_REQUEST_TEXT, tensors=True)
    if job is None:
        return
    if job["op"] == "reach":
        result.write(frames.encode({"found": {path: _inside(path) for path in job["paths"]}}))
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
    for name in [m for m in sys.modules if m.partition(".")[0] == "dlseg"]:
        del sys.modules[name]
    sys.meta_path.insert(0, NoLibrary())
    namespace: dict[str, Any] = {"__name__": "submission"}
    seed_all(job["seed"])
    try:
        for part in job["parts"]:
            _load(part, job["future"], namespace)
    except BaseException as error:  # a student's SystemExit is an answer too
        _send(result, _raised(error) | {"loading": True})
        return
    for call in job["calls"]:
        seed_all(call["seed"])
        _send(result, _call(namespace, call))


def _load(part: dict[str, Any], future: bool, namespace: dict[str, Any]) -> None:
    """Run the picked statements of one cell, with the cell's own line numbers."""
    name, source = f"{CELL}{part['number']}>", part["source"]
    body = parsing.parse(source)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = ast.Module([body[i] for i in part["statements"]], type_ignores=[])
    flags = __future__.annotations.compiler_flag if future else 0
    exec(compile(module, name, "exec", flags=flags, dont_inherit=True), namespace)


def _call(namespace: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    try:
        value = namespace[call["function"]](*call["arguments"])
    except BaseException as error:
        return _raised(error)
    return {"value": value}


def _send(result: BinaryIO, answer: dict[str, Any]) -> None:
    try:
        frame = frames.encode(answer)
    except frames.TooLarge as error:
        frame = frames.encode({"too_large": str(error)})
    except BaseException as error:  # the value may be a student's class with hostile methods
        frame = frames.encode({"unusable": _sentence(error)})
    result.write(frame)
    result.flush()


def _raised(error: BaseException) -> dict[str, Any]:
    mine = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(CELL)]
    line = f"{mine[-1].filename.strip('<>')}, line {mine[-1].lineno}" if mine else ""
    return {"raised": type(error).__name__, "message": _sentence(error), "where": line}


def _sentence(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException:  # a hostile __str__
        return type(error).__name__


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
