"""`search`: the paper's cross-validation, in several processes, resumable; and `estimate`, what it will cost."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from dlseg.common.workers import Workers
from dlseg.crf.lattice.threads import checked_threads
from dlseg.crf.params import CRFParams, Length, both
from dlseg.crf.tuning.evaluate_params import Counts, Samples, evaluate_params, survey
from dlseg.crf.tuning.result import Log, SearchResult, Trial, open_log
from dlseg.crf.tuning.space import Space

CHUNK = 4  # images per task: small enough to keep all workers busy to the end of a round
MEASURED = 3  # images that an estimate looks at
LATTICES = 4  # pairs of lattices per task: an image is read, and its smoothness lattice built, once for so many


def search(
    samples: Samples,
    space: Space | None = None,
    *,
    subset: int = 100,
    seed: int = 10,
    jobs: int = 1,
    backend: str = "loky",
    threads: int = 1,
    log: str | Path | None = None,
    kernel: str = "lattice",
    trimap: int = 8,
    progress: bool = False,
) -> SearchResult:
    """The CRF parameters with the best mean IoU on labelled images, coarse to fine (paper, section 5).

    The network alone is always the first trial. Of equal settings the first counts. The result does not depend
    on jobs, backend or on having been killed and resumed.

    Args:
        samples: (name, image (H, W, 3) uint8, probs (C, H, W), truth (H, W) with 255 void) each; a list, or an
            object with a length that reads a sample when asked for it: that is copied to the workers, and should be
            small.
        space: the coarse box and its refinement; None is the paper's.
        subset: at most so many images, drawn by `seed`, the same ones for every setting.
        jobs: how many processes or threads; -1 is one per processor.
        backend: "loky" (processes), "threading", or "dask", the current `distributed.Client`.
        threads: of each job; more jobs are the better use of processors.
        log: a file to which every trial is appended as it ends; given again, the search goes on from it.
        kernel: as for `DenseCRF`.
        trimap: width of the band near boundaries, in pixels.
        progress: whether a bar is shown.

    Returns:
        The trials and the best of them.

    Raises:
        ValueError: a sample whose parts do not fit each other, or a log of another search.

    >>> truth = np.repeat([[0, 1]], 8, axis=0).repeat(8, axis=1)
    >>> image = np.stack([200 * truth] * 3, axis=2).astype(np.uint8)
    >>> noisy = np.where(np.random.default_rng(0).random(truth.shape) < 0.2, 1 - truth, truth)
    >>> probs = np.stack([0.8 - 0.6 * noisy, 0.2 + 0.6 * noisy])
    >>> space = Space(w1=[1, 5], sigma_alpha=[20], sigma_beta=[20], halvings=0, moves=0)
    >>> result = search([("edge", image, probs, truth)], space)
    >>> [round(trial.mean_iou, 2) for trial in result.trials]
    [0.68, 0.95, 1.0]
    """
    threads = checked_threads(threads)
    task = _Task(
        samples, draw(len(samples), subset, seed), kernel, trimap, threads, Workers(jobs, backend, threads)
    )
    space = checked_space(space)
    with task.workers.ready(task.portions()):
        baseline, digest = task.survey()
        head = {
            "space": asdict(space),
            "images": len(task.indices),
            "seed": seed,
            "kernel": kernel,
            "trimap": trimap,
            "data": digest,
        }
        with (
            open_log(None if log is None else Path(log), head) as kept,
            tqdm(unit="trial", disable=not progress) as bar,
        ):
            return _Rounds(task, space, kept, bar).run(baseline)


def checked_space(space: Space | None) -> Space:
    """The space, by default the paper's."""
    if space is not None and not isinstance(space, Space):
        raise TypeError(f"space: got {type(space).__name__}, expected dlseg.crf.Space(w1=[…], …) or None")
    return space or Space()


def draw(count: int, subset: int, seed: int) -> list[int]:
    """Which samples are used, ascending."""
    if count < 1:
        raise ValueError("samples: got none, expected one or more")
    if isinstance(subset, bool) or not isinstance(subset, int) or subset < 1:
        raise ValueError(f"subset: got {subset!r}, expected a whole number >= 1")
    return sorted(int(i) for i in np.random.default_rng(seed).permutation(count)[:subset])


@dataclass
class _Task:
    """The samples of a search, and who works on them."""

    samples: Samples
    indices: list[int]
    kernel: str
    trimap: int
    threads: int
    workers: Workers

    def __post_init__(self) -> None:
        chunks = [self.indices[at : at + CHUNK] for at in range(0, len(self.indices), CHUNK)]
        whole = isinstance(self.samples, list | tuple)  # then a task carries its own samples only
        self.chunks: list[tuple[Any, list[int]]] = [
            ({i: self.samples[i] for i in chunk} if whole else self.samples, chunk) for chunk in chunks
        ]

    def portions(self) -> list[Any]:
        """What tasks carry, each once."""
        return list({id(portion): portion for portion, _ in self.chunks}.values())

    def survey(self) -> tuple[Trial, str]:
        """The trial without a CRF, and a digest of all samples."""
        tasks = [(portion, i, self.trimap) for portion, chunk in self.chunks for i in chunk]
        found = dict(self.workers.run(survey, tasks))
        surveys = [found[number] for number in range(len(tasks))]
        classes = [len(survey.counts[0]) for survey in surveys]
        if len(set(classes)) > 1:
            raise ValueError(f"samples: got probabilities of {sorted(set(classes))} classes, expected one number")
        digest = blake2b("".join(survey.digest for survey in surveys).encode(), digest_size=16)
        return Trial.measured(None, sum(survey.counts for survey in surveys)), digest.hexdigest()


class _Rounds:
    """The rounds of one search: which trials are known, and which are next."""

    def __init__(self, task: _Task, space: Space, log: Log | None, bar: Any) -> None:
        self.task, self.space, self.log, self.bar = task, space, log, bar
        logged = [Trial.from_dict(document) for document in (log.trials if log else [])]
        self.known: dict[CRFParams | None, Trial] = {trial.params: trial for trial in logged}
        self.order: list[CRFParams | None] = []
        self.round = self.done = 0

    def run(self, baseline: Trial) -> SearchResult:
        self.order.append(None)
        if None not in self.known:
            self._note(baseline)
        self._try(self.space.coarse())
        steps = self.space.steps()
        for _ in range(self.space.halvings + 1):
            self._walk(steps)
            steps = tuple(step / 2 for step in steps)
        return self._result()

    def _walk(self, steps: tuple[float, ...]) -> None:
        """Moves to the best neighbour as long as there is a better one."""
        for _ in range(self.space.moves):
            best = self._result().params
            news = [params for params in self.space.around(best, steps) if params not in self.order]
            if not news:
                return
            self.round += 1
            self._try(news)
            if self._result().params == best:
                return

    def _result(self) -> SearchResult:
        return SearchResult(tuple(self.known[params] for params in self.order), len(self.task.indices), self.done)

    def _try(self, settings: list[CRFParams]) -> None:
        """Runs the settings that no log knows, those with the same lattices together."""
        self.order.extend(settings)
        waiting = [params for params in settings if params not in self.known]
        groups = batched(by_lattices(waiting), self.task.workers.count())
        self.bar.total = len(self.order)
        self.bar.update(len(self.known) - self.bar.n)
        tasks = [
            (portion, chunk, group, self.task.kernel, self.task.threads, self.task.trimap)
            for group in groups
            for portion, chunk in self.task.chunks
        ]
        parts = len(self.task.chunks)
        sums: dict[int, list[Any]] = defaultdict(list)
        for number, counts in self.task.workers.run(evaluate_params, tasks):
            done = sums[number // parts]
            done.append(counts)
            if len(done) == parts:
                self._finish(groups[number // parts], done)

    def _finish(self, group: list[CRFParams], parts: list[list[Counts]]) -> None:
        for params, *counts in zip(group, *parts, strict=True):
            self._note(Trial.measured(params, sum(counts[1:], counts[0]), self.round))

    def _note(self, trial: Trial) -> None:
        if self.log is not None:
            self.log.write(trial.to_dict())
        self.known[trial.params] = trial
        self.done += 1
        self.bar.update()


def batched(groups: list[list[CRFParams]], workers: int) -> list[list[CRFParams]]:
    """A few groups for each task, but work for every worker."""
    size = max(1, min(LATTICES, len(groups) // workers))
    return [[params for group in groups[at : at + size] for params in group] for at in range(0, len(groups), size)]


def by_lattices(settings: Sequence[CRFParams]) -> list[list[CRFParams]]:
    """Settings with the same sigmas side by side: all weights of a lattice are one group."""
    groups: Mapping[tuple[Length, float], list[CRFParams]] = defaultdict(list)
    for params in sorted(settings, key=lambda p: both(p.sigma_gamma)):
        groups[params.sigma_alpha, params.sigma_beta].append(params)
    return list(groups.values())


@dataclass(frozen=True)
class Estimate:
    """What a search will cost.

    Args:
        images, workers: how many.
        settings, lattices: of the coarse round: how many settings, on how many pairs of lattices an image.
        neighbours, neighbour_lattices: the same of a later round, at most.
        lattice_seconds: of one worker, to read one image and to build both lattices.
        setting_seconds: of one worker, for one setting on one image.

    >>> print(Estimate(100, 2, 96, 48, 26, 9, lattice_seconds=0.1, setting_seconds=0.05))
    96 settings × 100 images, 48 lattices for each image: about 8.0 min with 2 workers (a lattice 0.10 s,
    a setting 0.05 s); each round of refinement at most 26 settings, 110.0 s
    """

    images: int
    workers: int
    settings: int
    lattices: int
    neighbours: int
    neighbour_lattices: int
    lattice_seconds: float
    setting_seconds: float

    @property
    def seconds(self) -> float:
        """The coarse round."""
        return self._seconds(self.lattices, self.settings)

    @property
    def refinement_seconds(self) -> float:
        """Each round of neighbours, at most."""
        return self._seconds(self.neighbour_lattices, self.neighbours)

    def _seconds(self, lattices: int, settings: int) -> float:
        return self.images * (lattices * self.lattice_seconds + settings * self.setting_seconds) / self.workers

    def __str__(self) -> str:
        return (
            f"{self.settings} settings × {self.images} images, {self.lattices} lattices for each image: about "
            f"{duration(self.seconds)} with {self.workers} worker{'s' * (self.workers > 1)} "
            f"(a lattice {self.lattice_seconds:.2f} s, a setting {self.setting_seconds:.2f} s); each round of "
            f"refinement at most {self.neighbours} settings, {duration(self.refinement_seconds)}"
        )


def estimate(
    samples: Samples,
    space: Space | None = None,
    *,
    subset: int = 100,
    seed: int = 10,
    jobs: int = 1,
    backend: str = "loky",
    threads: int = 1,
    kernel: str = "lattice",
) -> Estimate:
    """What `search` will cost on this machine, from a few of its images measured.

    Args:
        samples, space, subset, seed, jobs, backend, threads, kernel: as for `search`.

    Returns:
        Counts and seconds; `print` it.

    Raises:
        ValueError: as `search`.

    >>> image, probs, truth = np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5), np.zeros((4, 6), np.uint8)
    >>> estimate([("dark", image, probs, truth)], Space(w1=[1, 5])).settings
    96
    """
    space, indices = checked_space(space), draw(len(samples), subset, seed)
    threads = checked_threads(threads)
    workers = Workers(jobs, backend, threads)
    coarse = space.coarse()
    middle = coarse[len(coarse) // 2]
    evaluate_params(samples, indices[:1], [middle], kernel, threads, 1)  # compiles
    few = indices[:: max(1, len(indices) // MEASURED)][:MEASURED]
    times = [_times(samples, index, middle, kernel, threads) for index in few]
    setting = statistics.median(both - one for one, both in times)
    around = space.around(middle, space.steps())
    return Estimate(
        len(indices),
        workers.count(),
        len(coarse),
        len(by_lattices(coarse)),
        len(around) - 1,
        len(by_lattices(around)),
        statistics.median(one for one, _ in times) - setting,
        setting,
    )


def _times(samples: Samples, index: int, params: CRFParams, kernel: str, threads: int) -> tuple[float, float]:
    """Seconds of one setting, and of two on the same lattices."""
    found = []
    for group in ([params], [params, replace(params, w1=params.w1 * 1.2 + 0.1)]):
        start = time.perf_counter()
        evaluate_params(samples, [index], group, kernel, threads, 1)
        found.append(time.perf_counter() - start)
    return found[0], max(found)


def duration(seconds: float) -> str:
    """As a person reads it: 7.5 s, 12 min, 3.1 h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
