"""What the benchmarks share: rounds that time every candidate next to one matrix product, and who ran it."""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dlseg.common import tables

Work = Callable[[], object]
SIDE = 2048
table = tables.table  # Markdown


def machine(clock: str | None = None) -> str:
    """Processor, threads (or what `clock` says was measured) and torch, for the head of a table."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    features = next((line for line in lines if line.startswith("flags")), "")
    wide = ", ".join(f for f in ("avx512f", "amx_bf16") if f in features)
    threads = torch.get_num_threads()
    if clock is None:
        clock = (
            "one thread, processor time: what others take of a busy machine does not count"
            if threads == 1
            else f"{threads} threads, wall-clock time"
        )
    return (
        f"{name or platform.processor() or platform.machine()} ({wide or 'no wide vectors seen'}), "
        f"torch {torch.__version__}, Python {platform.python_version()}; {clock}"
    )


def product(dtype: torch.dtype = torch.float32) -> Work:
    """A matrix product of side 2048, the measure of what this machine can do."""
    a, b = torch.randn(SIDE, SIDE).to(dtype), torch.randn(SIDE, SIDE).to(dtype)
    return lambda: a @ b


def seconds(work: Work) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def clocked(work: Work) -> float:
    """Wall-clock seconds, whatever the number of threads."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rounds(candidates: dict[str, Work], count: int, warm: int = 1) -> dict[str, list[float]]:
    """Times of every candidate, round after round: what disturbs the machine disturbs all of them alike."""
    for _ in range(warm):
        for work in candidates.values():
            work()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(count):
        for name, work in candidates.items():
            times[name].append(seconds(work))
    return times


def ratio(times: dict[str, list[float]], slow: str, fast: str) -> float:
    """How many times faster `fast` is: the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))


def share(times: dict[str, list[float]], name: str, macs: float, of: str) -> float:
    """The rate at which `name` multiplies `macs`, as a share of the matrix product's rate in the same round."""
    return macs / SIDE**3 * ratio(times, of, name)


def milliseconds(values: list[float]) -> str:
    """Median, and the best in brackets."""
    return f"{1e3 * statistics.median(values):.1f} ({1e3 * min(values):.1f})"


def save(path: Path | None, text: str) -> None:
    """Print, and write where asked."""
    print(text, flush=True)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
