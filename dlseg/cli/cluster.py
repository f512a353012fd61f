"""A dask cluster as the place where a command's work is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def cluster(scheduler: str | None) -> Iterator[Any]:
    """Connected to the scheduler at this address, as distributed's Client; None where no address is given."""
    if scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ImportError('--scheduler: needs dask and distributed: pip install "dlseg[cluster]"') from None
    with Client(scheduler, timeout=10) as client:
        yield client
