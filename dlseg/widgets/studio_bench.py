"""The CRF studio's work, on its own thread: what the controls ask for in, answers out, the quick one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dlseg.crf import Affinity, CRFParams
from dlseg.widgets.refiner import Refined, Refiner, Size, Trace
from dlseg.widgets.studio_views import AFFINITY, STEPS, View
from dlseg.widgets.subject import Subject


@dataclass(frozen=True)
class Asked:
    """What the controls ask for at one moment."""

    subject: Subject
    params: CRFParams
    kernel: str = "lattice"
    view: View = field(default_factory=View)
    pinned: Refined | None = None
    curves: bool = False

    @property
    def traced(self) -> bool:
        """Whether every iteration is wanted."""
        return self.curves or self.view.name == STEPS


@dataclass(frozen=True)
class Answer:
    """What is shown for it: `coarse` is the unary's own labelling, `working` the size that the CRF worked at."""

    asked: Asked
    coarse: Refined
    refined: Refined
    working: Size
    affinity: Affinity | None = None
    trace: Trace | None = None

    @property
    def before(self) -> Refined:
        """What the left picture shows."""
        return self.asked.pinned or self.coarse


class Bench:
    """Keeps one refiner, the latest one asked for, with its lattices. Used by one thread at a time.

    Args:
        options: passed on to `DenseCRF`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._kept: tuple[Subject, str, Refiner] | None = None

    def refiner(self, subject: Subject, kernel: str) -> Refiner:
        """The refiner for an image and its unary."""
        if self._kept is None or self._kept[0] is not subject or self._kept[1] != kernel:
            self._kept = None  # its memory is free before the next one's is taken
            self._kept = subject, kernel, Refiner(subject.image, subject.unary(), kernel, **self._options)
        return self._kept[2]

    def answers(self, asked: Asked, overtaken: Callable[[], bool]) -> Iterator[Answer]:
        """A preview where the image is large, the answer, and where it is asked for, the answer with its trace."""
        refiner, view = self.refiner(asked.subject, asked.kernel), asked.view
        affinity = refiner.affinity(asked.params, view.place) if view.name == AFFINITY else None
        trace = refiner.kept_trace(asked.params) if asked.traced else None
        refined = None
        for refined in refiner.answers(asked.params, overtaken):
            yield Answer(asked, refiner.coarse, refined, refiner.working, affinity, trace)
        if refined is not None and refined.full and asked.traced and trace is None:
            trace = refiner.trace(asked.params, overtaken)
            if trace is not None:
                yield Answer(asked, refiner.coarse, refined, refiner.working, affinity, trace)
