"""Moved: `open_weights` is in `dlseg.networks`, the rest in `dlseg.networks.weights`; gone in the next version."""

import warnings
from typing import Any

from dlseg.networks import weights


def __getattr__(name: str) -> Any:
    if name in ("open_weights", "find_weights", "WEIGHTS"):
        warnings.warn(f"dlseg.networks.saved.{name} is now dlseg.networks.weights.{name}", DeprecationWarning, 2)
        return getattr(weights, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
