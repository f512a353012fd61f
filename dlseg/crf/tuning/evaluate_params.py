"""What a search's workers do: build an image's lattices once, run every setting on them, count the labels.

And the workers: processes here or on a cluster, through joblib, each with its own thread count.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer
from joblib import Parallel, cpu_count, delayed, parallel_config

from dlseg.common.checks import one_of
from dlseg.common.constants import VOID
from dlseg.crf.dense import DenseCRF
from dlseg.crf.lattice.threads import checked_threads
from dlseg.crf.params import CRFParams
from dlseg.crf.validation import to_numpy
from dlseg.evaluation import ConfusionMatrix, trimap_band

BACKENDS = ("loky", "threading", "dask")
Counts = Integer[np.ndarray, "2 C C"]  # confusion matrices: of all pixels, and of the trimap band


class Scored(NamedTuple):
    """An image, the probabilities that a network gave it, and its true labels: what `search` takes.

    Args:
        name: of the image.
        image: (H, W, 3) uint8 RGB.
        probs: (C, H, W) probabilities.
        truth: (H, W) whole numbers, 255 void.

    >>> image, probs = np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5)
    >>> Scored("dark", image, probs, truth=np.zeros((4, 6), np.uint8)).name
    'dark'
    """

    name: str
    image: Any
    probs: Any
    truth: Any


@runtime_checkable
class Readable(Protocol):
    """Samples by number."""

    def __getitem__(self, index: int, /) -> Scored: ...


@runtime_checkable
class Samples(Readable, Protocol):
    """What can be searched on: a list of samples, or something that reads one when asked for it."""

    def __len__(self) -> int: ...


class Survey(NamedTuple):
    """What is known of a sample before any CRF: a digest of its content, its labels without one."""

    digest: str
    pixels: int
    counts: Counts


def survey(samples: Readable, index: int, trimap: int) -> Survey:
    """Reads one sample and counts its labels as they are without a CRF."""
    name, image, probs, truth = _read(samples, index)
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    for array in (image, probs, truth):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    counts = _count(probs.argmax(axis=0), truth, trimap_band(truth, trimap), len(probs))
    return Survey(digest.hexdigest(), truth.size, counts)


def evaluate_params(
    samples: Readable, indices: Sequence[int], group: Sequence[CRFParams], kernel: str, threads: int, trimap: int
) -> list[Counts]:
    """Counts of each setting of the group, summed over some samples; equal sigmas use the same lattices."""
    sums: list[Counts] = []
    for index in indices:
        _, image, probs, truth = _read(samples, index)
        band, crf = trimap_band(truth, trimap), DenseCRF(image, probs=probs, kernel=kernel, threads=threads)
        counts = [_count(crf.label(params), truth, band, len(probs)) for params in group]
        sums = [a + b for a, b in zip(sums, counts, strict=True)] if sums else counts
    return sums


def _read(samples: Readable, index: int) -> Scored:
    """A sample as arrays that belong together, or a ValueError that says which one does not."""
    try:
        name, *values = samples[index]
        image, probs, truth = (
            to_numpy(field, value) for field, value in zip(("image", "probs", "truth"), values, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"samples[{index}]: expected (name, image, probs, truth): {error}") from error
    if probs.ndim != 3 or truth.shape != probs.shape[1:] or image.shape[:2] != truth.shape:
        raise ValueError(
            f"samples[{index}] ({name}): image {image.shape}, probs {probs.shape}, truth "
            f"{truth.shape}; expected (H, W, 3), (C, H, W), (H, W)"
        )
    if truth.dtype.kind not in "iu":
        raise ValueError(f"samples[{index}] ({name}): truth of {truth.dtype}, expected whole numbers, {VOID} void")
    return Scored(str(name), image, probs, truth)


def _count(labels: np.ndarray, truth: np.ndarray, band: np.ndarray, classes: int) -> Counts:
    every, near = ConfusionMatrix(classes), ConfusionMatrix(classes)
    every.update(labels, truth)
    near.update(labels[band], truth[band])
    return np.stack([every.counts, near.counts])


class Workers:
    """jobs: how many tasks at once, -1 for one per processor; the cluster decides for "dask". threads: of each."""

    def __init__(self, jobs: int, backend: str, threads: int) -> None:
        one_of("backend", backend, BACKENDS)
        if isinstance(jobs, bool) or not isinstance(jobs, int) or (jobs < 1 and jobs != -1):
            raise ValueError(f"jobs: got {jobs!r}, expected a whole number >= 1, or -1 for every processor")
        self.backend, self.jobs = backend, cpu_count() if jobs == -1 else jobs
        self.threads = checked_threads(threads)
        self.alone = self.jobs == 1 and backend != "dask"

    def count(self) -> int:
        """How many tasks run at once."""
        return sum(_cluster().ncores().values()) if self.backend == "dask" else self.jobs

    @contextmanager
    def ready(self, shared: Sequence[Any]) -> Iterator[None]:
        """Within it tasks run; `shared` arguments are sent to a cluster once."""
        options: dict[str, Any] = {}
        if self.backend == "loky":
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
