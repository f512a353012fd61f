"""Training (section 5): the recipe, the batches, one plain loop, checkpoints, and the classifier it starts from."""

from __future__ import annotations

import warnings
from typing import Any

from dlseg.training.loop import Callback, StopTraining, TrainingStep, loss_at_stride, train
from dlseg.training.recipe import SHAPES_CRF, Recipe

__all__ = ["SHAPES_CRF", "Callback", "Recipe", "StopTraining", "TrainingStep", "loss_at_stride", "train"]


def __getattr__(name: str) -> Any:
    if name == "Step":
        warnings.warn("dlseg.training.Step is now TrainingStep", DeprecationWarning, 2)
        return TrainingStep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
