"""A search's log: one JSON line per trial, written as it ends, so that a killed search goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


class Log:
    """Lines on disk: first what is searched (`head`), then a document per trial.

    A line cut short by a kill is dropped; a log of another search, or a file that is no log, is refused.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self.trials: list[dict[str, Any]] = []
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if lines and not whole and not json.dumps(head).encode().startswith(lines[0]):
            self._parsed(1, b"")  # not even the beginning of this log: never to be overwritten
        documents = [self._parsed(number, line) for number, line in enumerate(whole, 1)]
        if documents:
            self._same_search(documents[0], head)
            self.trials = documents[1:]
        self.file = path.open("ab")
        self.file.truncate(sum(map(len, whole)))
        if not documents:
            self.write(head)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ValueError(
                f"log: line {number} of {self.path} is no trial of a search; expected a new file "
                "or the log of this search"
            )
        return document

    def _same_search(self, found: dict[str, Any], head: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps(head))
        other = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
        if other:
            raise ValueError(
                f"log: {self.path} belongs to another search: it has another {', '.join(other)}; "
                "expected a new file or the log of this search"
            )

    def write(self, document: dict[str, Any]) -> None:
        """Appends a line; it is on disk when this returns."""
        self.file.write(json.dumps(document).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def opened(path: Path | None, head: dict[str, Any]) -> Iterator[Log | None]:
    """The log, locked against a second search that would write to it; None where no log is wanted."""
    if path is None:
        yield None
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(f"log: no folder {path.parent}")
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        held = lock.acquire()
    except Timeout:
        raise ValueError(f"log: another search is writing to {path}") from None
    with held:
        log = Log(path, head)
        with log.file:
            yield log
