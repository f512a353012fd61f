"""What a worker may use, and what is reported when it has ended: plain data for parent and template."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass

MB = 1 << 20
AWAKE = 0.5  # whoever looks every 50 ms and finds a longer gap was not running
MOST_STARVED = 30.0  # seconds: a job that keeps itself from running, by processes of its own, ends all the same


@dataclass(frozen=True)
class Limits:
    """Budgets of one worker: seconds of computing (`loading`: of its cells, before), memory, files, output."""

    seconds: float | int = 10.0
    loading: float | int = 0.0
    memory_mb: int = 2048
    tasks: int = 64
    files: int = 100
    files_mb: int = 64
    output_mb: int = 100
    results_mb: int = 32
    threads: int = 1

    @property
    def wall(self) -> float | int:
        """Seconds after which a worker is stopped even if it sleeps, or the machine is too busy to run it."""
        return clock(self.seconds) + (clock(self.loading) if self.loading else 0.0)

    def apply(self, tasks_already: int) -> None:
        """Bind this process and all it will start. `tasks_already`: what the same user runs elsewhere."""
        import resource  # Unix alone has it; a grader's plans are read everywhere

        cpu = math.ceil((self.seconds + self.loading) * max(1, self.threads))
        memory = self.memory_mb * MB
        wanted = {
            resource.RLIMIT_CPU: (cpu, cpu + 1),
            resource.RLIMIT_CORE: (0, 0),
            resource.RLIMIT_FSIZE: (self.files_mb * MB,) * 2,
            resource.RLIMIT_NOFILE: (256, 256),
            resource.RLIMIT_NPROC: (self.tasks + tasks_already,) * 2,
        }
        if sys.platform == "linux":  # DATA counts what is really private; AS also bounds shared mappings
            wanted |= {resource.RLIMIT_DATA: (memory,) * 2, resource.RLIMIT_AS: (2 * memory + 4096 * MB,) * 2}
        for kind, (soft, hard) in wanted.items():
            ceiling = resource.getrlimit(kind)[1]
            bound = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
            resource.setrlimit(kind, (min(soft, bound), bound))


@dataclass(frozen=True)
class Ended:
    """How a worker ended: `exited` by itself, or stopped for `wall`, `memory`, `tasks`, `files`, `output`."""

    cause: str
    status: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    loading_seconds: float = 0.0
    loading_cpu: float = 0.0

    def to_bytes(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Stopwatch:
    """Seconds during which its owner looked at it, and the worker could run: else it stands still."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()
        self._starved = 0.0

    def look(self, starved: float = 0.0) -> float:
        """Seconds so far; a gap of more than AWAKE since the last look counts as that much.

        Args:
            starved: seconds, from the start, that the worker has waited for a processor: on a busy machine they
                are not its own. At most MOST_STARVED of them.
        """
        now, starved = time.monotonic(), max(self._starved, min(starved, MOST_STARVED))
        self.seconds += max(0.0, min(now - self._last, AWAKE) - (starved - self._starved))
        self._last, self._starved = now, starved
        return self.seconds


def clock(seconds: float | int) -> float | int:
    """How long so many seconds of computing may take on the clock: with sleeping, and waiting for files."""
    return 3 * seconds + 2
