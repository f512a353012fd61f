"""Which settings a search tries: the paper's coarse box, then smaller and smaller steps around the best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from dlseg.common.checks import whole_number
from dlseg.common.json_objects import from_json, to_json
from dlseg.crf.params import SMALLEST_SIGMA, CRFParams, Whole

# Checked below, with clear messages, also where tests check types at run time.
if TYPE_CHECKING:
    Values = tuple[float, ...]
else:
    Values = Any

# the loops of the authors' script, outermost first: of equally good settings the one that comes first wins
AXES = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma")
DIGITS = 6  # values this close are one setting


@dataclass(frozen=True)
class Space:
    """The settings a search tries: a coarse box, then smaller and smaller steps around the best (paper, section 5).

    The default is the paper's first round, 96 settings: w1 5 and 10, sigma_alpha 50, 60 … 100, sigma_beta 3 … 10,
    with w2 = 3, sigma_gamma = 3 and 10 iterations. Each further round tries all neighbours of the best setting so
    far one step away, inside the box or not, and halves the step where none of them is better: the optima that
    the authors report lie outside of their box.

    Args:
        w1, sigma_alpha, sigma_beta, w2, sigma_gamma: ascending values; a parameter with one value stays as it is.
        iterations, normalization: as for `CRFParams`, the same for all settings.
        halvings: how often the step is halved.
        moves: at most as many steps of one size.

    Raises:
        TypeError, ValueError: for anything else; the message names the field.

    >>> len(Space().coarse())
    96
    >>> Space(w1=[3, 5, 7], sigma_alpha=[80], sigma_beta=[5]).steps()
    (2.0, 0.0, 0.0, 0.0, 0.0)
    """

    w1: Values = (5.0, 10.0)
    sigma_alpha: Values = (50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
    sigma_beta: Values = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    w2: Values = (3.0,)
    sigma_gamma: Values = (3.0,)
    iterations: Whole = 10
    normalization: str = "after"
    halvings: Whole = 2
    moves: Whole = 8

    def __post_init__(self) -> None:
        for name in AXES:
            object.__setattr__(self, name, _ascending(name, getattr(self, name)))
        for name in ("halvings", "moves"):
            whole_number(name, getattr(self, name), 0)
        self.coarse()  # CRFParams checks every value

    def coarse(self) -> list[CRFParams]:
        """The settings of the first round, in the order in which the authors' loops visit them."""
        return [self._params(values) for values in product(*(getattr(self, name) for name in AXES))]

    def steps(self) -> tuple[float, ...]:
        """Each parameter's step in the coarse round: its smallest gap; 0 where it has one value."""
        return tuple(
            min((b - a for a, b in pairwise(axis)), default=0.0) for axis in (getattr(self, name) for name in AXES)
        )

    def around(self, best: CRFParams, steps: tuple[float, ...]) -> list[CRFParams]:
        """All settings at most one step from the best along each parameter that make sense, the best among them."""
        axes = []
        for name, step in zip(AXES, steps, strict=True):
            centre = getattr(best, name)
            least = SMALLEST_SIGMA if name.startswith("sigma") else min(centre, step / 2)
            values = {round(centre + sign * step, DIGITS) for sign in (-1, 0, 1)}
            axes.append(sorted(value for value in values if value >= least))
        return [self._params(values) for values in product(*axes)]

    def _params(self, values: Iterable[float]) -> CRFParams:
        return CRFParams(
            **dict(zip(AXES, values, strict=True)), iterations=self.iterations, normalization=self.normalization
        )

    def to_json(self) -> str:
        """The space as one JSON object; `from_json` gives it back, equal."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Space:
        """A space from a JSON object; missing names keep their defaults.

        Raises:
            ValueError: no JSON, an unknown name, or a value that is refused.
        """
        return from_json(cls, text)


def _ascending(name: str, values: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(round(float(value), DIGITS) for value in values)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {values!r}, expected a list of numbers") from None
    if not numbers or any(a >= b for a, b in pairwise(numbers)):
        raise ValueError(f"{name}: got {list(numbers)}, expected one or more ascending numbers")
    return numbers
