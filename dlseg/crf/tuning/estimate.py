"""What a search will cost, told before it is started from a few images measured."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

from dlseg.crf.params import CRFParams
from dlseg.crf.tuning.evaluate_params import Samples, run_group
from dlseg.crf.tuning.search import checked_space, draw, sharing_lattices
from dlseg.crf.tuning.space import Space
from dlseg.crf.tuning.workers import Workers

MEASURED = 3  # images


@dataclass(frozen=True)
class Estimate:
    """Of the coarse round: settings on so many pairs of lattices; of a round of neighbours: the most there can be.

    lattice_seconds, setting_seconds: one image, one worker: reading it and building both lattices; one setting.
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
    """Times a few of the images that `search` would use, with the arguments it takes; seconds, on this machine."""
    space, indices = checked_space(space), draw(len(samples), subset, seed)
    workers = Workers(jobs, backend, threads)
    coarse = space.coarse()
    middle = coarse[len(coarse) // 2]
    run_group(samples, indices[:1], [middle], kernel, workers.threads, 1)  # compiles
    few = indices[:: max(1, len(indices) // MEASURED)][:MEASURED]
    times = [_times(samples, index, middle, kernel, workers.threads) for index in few]
    setting = statistics.median(both - one for one, both in times)
    around = space.around(middle, space.steps())
    return Estimate(
        len(indices),
        workers.count(),
        len(coarse),
        len(sharing_lattices(coarse)),
        len(around) - 1,
        len(sharing_lattices(around)),
        statistics.median(one for one, _ in times) - setting,
        setting,
    )


def _times(samples: Samples, index: int, params: CRFParams, kernel: str, threads: int) -> tuple[float, float]:
    """Seconds of one setting, and of two that share their lattices."""
    found = []
    for group in ([params], [params, replace(params, w1=params.w1 * 1.2 + 0.1)]):
        start = time.perf_counter()
        run_group(samples, [index], group, kernel, threads, 1)
        found.append(time.perf_counter() - start)
    return found[0], max(found)


def duration(seconds: float) -> str:
    """For reading: 7.5 s, 12 min, 3.1 h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
