"""The CRF's parameters, checked once and then trusted (paper, section 4)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

# Checked below, with this file's own words, also where tests check types at run time.
if TYPE_CHECKING:
    Number = float
    Whole = int
    Length = float | tuple[float, float]
else:
    Number = Whole = Length = Any

NORMALIZATIONS = ("after", "symmetric", "before", "none")
LARGEST = 1e6  # beyond it, weights and lengths leave single precision's room
SMALLEST_SIGMA = 1e-3  # below it, features do


@dataclass(frozen=True)
class CRFParams:
    """Two Gaussian kernels, and how long and how to iterate.

    k(i, j) = w1 exp(-|p_i - p_j|^2 / 2 sigma_alpha^2 - |I_i - I_j|^2 / 2 sigma_beta^2)
            + w2 exp(-|p_i - p_j|^2 / 2 sigma_gamma^2)

    Positions p are in pixels, colours I in 0..255. pydensecrf calls w1 and w2 ``compat``, sigma_alpha and
    sigma_gamma ``sxy``, sigma_beta ``srgb``. A weight rewards pixels that agree, so it is never negative
    (0 switches a kernel off); a sigma is a length, at least 0.001. sigma_alpha and sigma_gamma may be two, (y, x):
    down and across. sigma_beta holds for every band of an image; a grey image has one. The same grey image stacked
    three times counts each difference three times: sigma_beta times the square root of 3 makes up for it.

    ``normalization`` says how the kernel matrix K with row sums d is scaled before the weights are applied:
    "after" K_ij / d_i (what DeepLab's released code computes), "symmetric" K_ij / sqrt(d_i d_j) (pydensecrf's
    default), "before" K_ij / d_j, and "none" K_ij as it is. Weights tuned under one belong to that one.

    Raises TypeError or ValueError, naming the field, for anything else.
    """

    w1: Number = 5.0
    sigma_alpha: Length = 50.0
    sigma_beta: Number = 10.0
    w2: Number = 3.0
    sigma_gamma: Length = 3.0
    iterations: Whole = 10
    normalization: str = "after"

    def __post_init__(self) -> None:
        for name in ("w1", "w2"):
            object.__setattr__(self, name, _number(name, getattr(self, name), low=0.0))
        object.__setattr__(self, "sigma_beta", _number("sigma_beta", self.sigma_beta, low=SMALLEST_SIGMA))
        for name in ("sigma_alpha", "sigma_gamma"):
            object.__setattr__(self, name, _length(name, getattr(self, name)))
        object.__setattr__(self, "iterations", _count("iterations", self.iterations))
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization: got {self.normalization!r}, expected one of {NORMALIZATIONS}")

    def to_json(self) -> str:
        """The parameters as one JSON object; `from_json` gives them back, equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CRFParams:
        """Parameters from JSON; missing names keep their defaults, unknown names are an error."""
        try:
            values = json.loads(text)
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"text: not JSON ({error})") from error
        if not isinstance(values, dict):
            raise ValueError(f"text: got a JSON {type(values).__name__}, expected an object of parameters")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"text: unknown parameters {unknown}, expected some of {known}")
        return cls(**values)

    def scaled(self, factor: Number) -> CRFParams:
        """The same CRF for an image resized by `factor`: sigma_alpha, sigma_gamma are lengths in pixels.

        A length that would leave the range allowed stays at its end.
        """
        factor = _number("factor", factor, low=SMALLEST_SIGMA)
        (alpha_y, alpha_x), (gamma_y, gamma_x) = (
            [min(max(length * factor, SMALLEST_SIGMA), LARGEST) for length in both(sigma)]
            for sigma in (self.sigma_alpha, self.sigma_gamma)
        )
        return replace(self, sigma_alpha=(alpha_y, alpha_x), sigma_gamma=(gamma_y, gamma_x))

    @staticmethod
    def presets() -> dict[str, CRFParams]:
        """The values the authors selected, by model, and those of Krähenbühl and Koltun's demo program.

        DeepLab's are from the released scripts, with w2 = 3, sigma_gamma = 3 and 10 iterations throughout as
        the paper says; they lie partly outside the range that the paper's first search round names.
        """
        chosen = {
            "deeplab": (5, 50, 10),
            "deeplab-msc": (3, 95, 3),
            "deeplab-7x7": (4, 72, 5),
            "deeplab-largefov": (4, 121, 5),
            "deeplab-msc-largefov": (4, 83, 5),
            "deeplab-alexnet": (5, 61, 5),
            "densecrf-demo": (10, 60, 20),
        }
        return {name: CRFParams(w1, alpha, beta) for name, (w1, alpha, beta) in chosen.items()}


def _number(name: str, value: Any, *, low: float) -> float:
    kind = f"a number from {low:g} to {LARGEST:g}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {value!r} ({type(value).__name__}), expected {kind}")
    number = float(value)
    if not low <= number <= LARGEST:  # also false for NaN
        raise ValueError(f"{name}: got {number}, expected {kind}")
    return number


def both(sigma: Length) -> tuple[float, float]:
    """A length down and across, (y, x)."""
    return sigma if isinstance(sigma, tuple) else (sigma, sigma)


def _length(name: str, value: Any) -> Length:
    """A number, or a pair of unlike ones, (y, x); JSON knows pairs as lists."""
    if not isinstance(value, (list, tuple)):
        return _number(name, value, low=SMALLEST_SIGMA)
    if len(value) != 2:
        raise ValueError(f"{name}: got {value!r}, expected a number or two, (y, x)")
    y, x = (_number(name, one, low=SMALLEST_SIGMA) for one in value)
    return y if y == x else (y, x)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: got {value!r} ({type(value).__name__}), expected a whole number >= 1")
    if value < 1:
        raise ValueError(f"{name}: got {int(value)}, expected a whole number >= 1")
    return int(value)
