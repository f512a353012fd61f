"""Weak labels as a unary: class-activation maps, and labels that say less than one label a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlseg.crf.params import Number
from dlseg.crf.validation import to_numpy


def from_cams(cams: Any, *, threshold: Number | None = None, power: Number | None = None) -> Any:
    """Probabilities (C + 1, H, W) float32 from class-activation maps; label 0 is the background.

    cams: (C, H, W) activations 0..1, one map for each class: negative ones cut off, each divided by its largest, 0
    throughout where the image is known not to hold the class. Exactly one of
    threshold: what the background scores at every pixel, 0..1; a class wins where it scores more, or
    power: the background scores (1 - the largest activation) to this power; a larger one leaves less to it.
    Every pixel's scores are divided by their sum. Torch in, torch out, with a gradient.

    Raises TypeError or ValueError, naming the argument, for anything else.

        crf = DenseCRF(image, probs=from_cams(cams, power=4))
        pseudo = crf.label(CRFParams(w1=10, sigma_alpha=80, sigma_beta=13))     # 0 background, 1 + class else
    """
    scores = _maps("cams", cams, least=1)
    low, high = scores.detach().min().item(), scores.detach().max().item()
    if not (low >= 0 and high <= 1):  # also where there is a NaN
        raise ValueError(
            f"cams: got values from {low:g} to {high:g}, expected 0..1: cut off what is negative and "
            "divide each map by its largest value"
        )
    if (threshold is None) == (power is None):
        raise TypeError(f"threshold, power: got {'none' if power is None else 'both'}, expected one")
    if threshold is not None:
        _check("threshold", threshold, 1.0)
        background = torch.full_like(scores[:1], float(threshold))
    else:
        _check("power", power, float("inf"))
        background = (1 - scores.amax(0, keepdim=True)) ** float(power or 0)
    every = torch.cat([background, scores])
    return _like(cams, every / every.sum(0).clamp(min=1e-12))


def soft_labels(shares: Any) -> Any:
    """Probabilities (C, H, W) float32 from labels that are soft, or that name several.

    shares: (C, H, W), how much speaks for each label of a pixel, 0 or more: a distribution, votes, or booleans that
    say which labels are possible. Every pixel's are divided by their sum; a pixel for which nothing speaks gets
    even odds. Torch in, torch out.

        crf = DenseCRF(image, probs=soft_labels(votes))
    """
    amounts = _maps("shares", shares, least=2)
    total = amounts.sum(0)
    low, high = amounts.detach().min().item(), total.detach().max().item()
    if not (low >= 0 and high < float("inf")):
        raise ValueError(f"shares: got values from {low:g}, or NaN or infinity, expected finite numbers >= 0")
    return _like(shares, torch.where(total > 0, amounts / total.clamp(min=1e-30), 1 / len(amounts)))


def _maps(name: str, value: Any, least: int) -> Tensor:
    array = to_numpy(name, value)
    if array.ndim != 3 or 0 in array.shape or array.shape[0] < least:
        raise ValueError(f"{name}: got shape {array.shape}, expected (C, H, W), C at least {least}")
    whole = value if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(array))
    return whole.to(torch.float32)


def _check(name: str, value: Any, most: float) -> None:
    if isinstance(value, (bool, str)) or np.ndim(value) != 0:
        raise TypeError(f"{name}: got {value!r}, expected a number")
    if not 0 < float(value) < most:
        raise ValueError(f"{name}: got {value!r}, expected more than 0 and less than {most:g}")


def _like(given: Any, found: Tensor) -> Any:
    return found if isinstance(given, Tensor) else found.numpy()
