"""Work in many processes, here or on a cluster, through joblib: one way for searches and for grading."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config

from dlseg.common.checks import message, one_of

BACKENDS = ("loky", "threading", "dask")


class Workers:
    """Those who run tasks at the same time.

    Args:
        jobs: how many tasks at once, -1 for one per processor; the cluster decides for "dask".
        backend: "loky" (processes), "threading", or "dask", the current `distributed.Client`.
        threads: of each process of "loky"; None leaves it to joblib, which shares out the processors.

    Raises:
        ValueError: no such backend, or no such number of jobs.

    >>> workers = Workers(jobs=2, backend="threading")
    >>> with workers.ready():
    ...     sorted(workers.run(pow, [(2, 3), (3, 2)]))
    [(0, 8), (1, 9)]
    """

    def __init__(self, jobs: int, backend: str = "loky", threads: int | None = None) -> None:
        one_of("backend", backend, BACKENDS)
        if isinstance(jobs, bool) or not isinstance(jobs, int) or (jobs < 1 and jobs != -1):
            raise ValueError(message("jobs", repr(jobs), "a whole number >= 1, or -1 for every processor"))
        self.backend, self.threads = backend, threads
        self.jobs = cpu_count() if jobs == -1 else jobs
        self.alone = self.jobs == 1 and backend != "dask"

    def count(self) -> int:
        """How many tasks run at once."""
        return sum(_cluster().ncores().values()) if self.backend == "dask" else self.jobs

    @contextmanager
    def ready(self, shared: Sequence[Any] = ()) -> Iterator[None]:
        """Within it tasks run; `shared` arguments are sent to a cluster once."""
        options: dict[str, Any] = {}
        if self.backend == "loky" and self.threads is not None:
            options["inner_max_num_threads"] = self.threads
        if self.backend == "dask":
            _cluster()
            options["scatter"] = list(shared)
        if self.alone:
            yield
            return
        with parallel_config(backend=self.backend, n_jobs=self.jobs, **options):
            yield

    def run(self, work: Callable[..., Any], tasks: Iterable[tuple]) -> Iterator[tuple[int, Any]]:
        """(number of the task, work(*task)) as they are done; the first error is raised here."""
        if self.alone:
            yield from ((number, work(*task)) for number, task in enumerate(tasks))
            return
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        results = parallel(delayed(_attempt)(number, work, *task) for number, task in enumerate(tasks))
        for number, value in results:
            if isinstance(value, Exception):
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message=".*tasks", category=UserWarning)
                    results.close()  # warns of the tasks that it calls off
                raise value
            yield number, value


def _attempt(number: int, work: Callable[..., Any], *task: Any) -> tuple[int, Any]:
    """An error travels as a value: joblib's dask backend would wait for ever for the task that raised it."""
    try:
        return number, work(*task)
    except Exception as error:
        return number, error


def _cluster() -> Any:
    """The current distributed.Client, or an error that says what to do."""
    try:
        from distributed import get_client
    except ImportError:
        raise ImportError('backend: "dask" needs dask and distributed: pip install "dlseg[cluster]"') from None
    try:
        return get_client()
    except ValueError:
        raise ValueError(
            'backend: "dask" found no cluster; make one first: distributed.Client("scheduler-address:8786")'
        ) from None
