"""Reading what hostile code may write without end."""

from __future__ import annotations

import os
import threading


class Drain(threading.Thread):
    """Reads a pipe to its end, keeps the first bytes, and closes it on whoever writes more than the cap."""

    def __init__(self, cap: int, keep: int) -> None:
        super().__init__(daemon=True)
        self._source, self.target = os.pipe()
        self._cap, self._keep = cap, keep
        self._kept = bytearray()
        self.overflowed = False

    def run(self) -> None:
        """Read until every writer has closed, or one wrote too much."""
        seen = 0
        while data := os.read(self._source, 1 << 18):
            seen += len(data)
            self._kept += data[: max(0, self._keep - len(self._kept))]
            if seen > self._cap:
                self.overflowed = True
                break
        os.close(self._source)

    def finish(self) -> bytearray:
        """Wait for the end; what was kept, which is held here no longer."""
        self.join()
        kept, self._kept = self._kept, bytearray()
        return kept
