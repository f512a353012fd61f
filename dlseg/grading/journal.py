"""The journal of a folder of results: what was graded from which bytes, and whether a regrading is under way.

One line of JSON an event, only ever added to, by the one grader that holds the folder. A line that a killed grader
left half written is dropped; a result that it wrote and did not note is noted by the next.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dlseg.grading.result import Result, now

NAME = ".journal.jsonl"


class Journal:
    """The journal in a folder; made there with the first event."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mend()
        self._known = {(e["submission"], e["digest"]) for e in self.events() if e["event"] == "graded"}

    def events(self) -> list[dict[str, Any]]:
        """All events, the oldest first; lines that are none are passed over."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and {"event", "time", "submission", "digest"} <= event.keys():
                found.append(event)
        return found

    def graded(self, document: Result) -> None:
        """Note a result; one whose bytes were already noted (by a grader that was killed afterwards) only once."""
        self._add(
            "graded",
            submission=document.submission,
            digest=document.digest,
            graded=document.graded,
            score=document.score,
            max_score=document.max_score,
            complete=document.complete,
        )
        self._known.add((document.submission, document.digest))

    def found(self, document: Result) -> None:
        """Note a whole result that lies there, unless it was noted before."""
        if (document.submission, document.digest) not in self._known:
            self.graded(document)

    def regrade(self) -> str:
        """Begin to grade everything anew, or go on with it where a grader was killed; the time it began."""
        if not self.regrading:
            self._add("regrade")
        return self.regrading

    def regraded(self) -> None:
        """Everything was graded anew."""
        if self.regrading:
            self._add("regraded")

    @property
    def regrading(self) -> str:
        """When the regrading began that is still under way; '' if none is."""
        steps = [event for event in self.events() if event["event"] in ("regrade", "regraded")]
        return str(steps[-1]["time"]) if steps and steps[-1]["event"] == "regrade" else ""

    def _add(self, event: str, **more: Any) -> None:
        line = json.dumps({"event": event, "time": now(), "submission": "", "digest": "", **more}) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode(errors="replace"))
            file.flush()
            os.fsync(file.fileno())

    def _mend(self) -> None:
        """Drop a last line without an end."""
        if self.path.exists() and not (text := self.path.read_bytes()).endswith(b"\n") and text:
            with self.path.open("r+b") as file:
                file.truncate(text.rfind(b"\n") + 1)
