"""The CRF's parameters, checked once and then trusted (paper, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dlseg.common.checks import message, number, one_of, whole_number
from dlseg.common.json_objects import from_json, to_json

# Checked below, with clear messages, also where tests check types at run time.
if TYPE_CHECKING:
    Number = float
    Whole = int
    Length = float | tuple[float, float]
else:
    Number = Whole = Length = Any

NORMALIZATIONS = ("after", "symmetric", "before", "none")
LARGEST = 1e6  # beyond it, weights and lengths leave what single precision can hold
SMALLEST_SIGMA = 1e-3  # below it, features do


@dataclass(frozen=True)
class CRFParams:
    """The weights and widths of both Gaussian kernels, and how to iterate (paper, section 4).

    k(i, j) = w1 exp(-|p_i - p_j|^2 / 2 sigma_alpha^2 - |I_i - I_j|^2 / 2 sigma_beta^2)
            + w2 exp(-|p_i - p_j|^2 / 2 sigma_gamma^2)

    for pixels i and j at positions p, in pixels, with colours I, 0 to 255. Frozen, and JSON both ways. pydensecrf
    calls w1 and w2 ``compat``, sigma_alpha and sigma_gamma ``sxy``, sigma_beta ``srgb``.

    Args:
        w1, w2: weights of the appearance and of the smoothness kernel, at least 0 (a kernel that is off). They
            reward pixels that agree.
        sigma_alpha, sigma_gamma: lengths in pixels, at least 0.001; one, or two, (y, x): down and across.
        sigma_beta: a colour distance, at least 0.001. It holds for every band of an image; a grey image has one.
            The same grey image stacked three times counts each difference three times: sigma_beta times the square
            root of 3 makes up for it.
        iterations: how many mean-field updates, at least 1.
        normalization: how the kernel matrix K with row sums d is scaled before the weights are applied: "after"
            K_ij / d_i (what DeepLab's released code computes), "symmetric" K_ij / sqrt(d_i d_j) (pydensecrf's
            default), "before" K_ij / d_j, and "none" K_ij as it is. Weights tuned under one belong to that one.

    Raises:
        TypeError, ValueError: for anything else; the message names the field.

    >>> CRFParams(w1=4, sigma_alpha=(60, 121), sigma_beta=5).sigma_alpha
    (60.0, 121.0)
    >>> CRFParams(w1=-1)
    Traceback (most recent call last):
    ValueError: w1: got -1.0, expected a number from 0 to 1e+06
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
            object.__setattr__(self, name, number(name, getattr(self, name), 0, LARGEST))
        object.__setattr__(self, "sigma_beta", number("sigma_beta", self.sigma_beta, SMALLEST_SIGMA, LARGEST))
        for name in ("sigma_alpha", "sigma_gamma"):
            object.__setattr__(self, name, _length(name, getattr(self, name)))
        object.__setattr__(self, "iterations", whole_number("iterations", self.iterations, 1))
        one_of("normalization", self.normalization, NORMALIZATIONS)

    def to_json(self) -> str:
        """The parameters as one JSON object; `from_json` gives them back, equal.

        >>> CRFParams.from_json(CRFParams(w1=4).to_json()) == CRFParams(w1=4)
        True
        """
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> CRFParams:
        """Parameters from a JSON object; missing names keep their defaults.

        Raises:
            ValueError: no JSON, an unknown name, or a value that is refused.

        >>> CRFParams.from_json('{"w1": 4, "iterations": 5}').iterations
        5
        """
        return from_json(cls, text)

    def scaled(self, factor: Number) -> CRFParams:
        """The same CRF for an image resized by `factor`: sigma_alpha and sigma_gamma are lengths in pixels.

        A length that would leave the allowed range stays at its end.

        >>> CRFParams(sigma_alpha=50, sigma_gamma=3).scaled(1 / 2).sigma_alpha
        25.0
        """
        factor = number("factor", factor, SMALLEST_SIGMA, LARGEST)
        (alpha_y, alpha_x), (gamma_y, gamma_x) = (
            [min(max(length * factor, SMALLEST_SIGMA), LARGEST) for length in both(sigma)]
            for sigma in (self.sigma_alpha, self.sigma_gamma)
        )
        return replace(self, sigma_alpha=(alpha_y, alpha_x), sigma_gamma=(gamma_y, gamma_x))

    @staticmethod
    def presets() -> dict[str, CRFParams]:
        """The values the authors selected, by model, and those of Krähenbühl and Koltun's demo program.

        DeepLab's are from the released scripts, with w2 = 3, sigma_gamma = 3 and 10 iterations throughout, as
        section 5 of the paper says; they lie partly outside the range that the paper's first search round names.

        >>> CRFParams.presets()["deeplab-largefov"].sigma_alpha
        121.0
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


def both(sigma: Length) -> tuple[float, float]:
    """A length down and across, (y, x)."""
    return sigma if isinstance(sigma, tuple) else (sigma, sigma)


def _length(name: str, value: Any) -> Length:
    """A number, or a pair of different ones, (y, x); JSON knows pairs as lists."""
    if not isinstance(value, (list, tuple)):
        return number(name, value, SMALLEST_SIGMA, LARGEST)
    if len(value) != 2:
        raise ValueError(message(name, repr(value), "a number or two, (y, x)"))
    y, x = (number(name, one, SMALLEST_SIGMA, LARGEST) for one in value)
    return y if y == x else (y, x)
