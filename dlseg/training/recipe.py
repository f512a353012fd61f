"""The solver's settings, as in the paper (section 5) and scaled down to the embedded data set."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Recipe:
    """The solver. The defaults are the paper's; `Recipe.shapes()` is scaled down to the embedded data set.

    `lr` is for all layers but the classifier fc8, which learns `classifier_lr_factor` times faster. The schedule
    `"step"` multiplies the rate by `gamma` every `step_size` iterations; `"poly"` is (1 − i/iterations)^power.
    `batch_norm` is not the paper's: it is put in for the training and folded away at its end.
    """

    crop: int = 321
    batch: int = 20
    iterations: int = 6000
    lr: float = 1e-3
    classifier_lr_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["step", "poly"] = "step"
    step_size: int = 2000
    gamma: float = 0.1
    power: float = 0.9
    mirror: bool = True
    dropout: float = 0.5
    batch_norm: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "batch", "iterations", "lr", "classifier_lr_factor", "step_size", "gamma", "power"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected more than 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: got {self.momentum}, expected 0 ≤ momentum < 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: got {self.dropout}, expected 0 ≤ dropout < 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: got {self.weight_decay}, expected 0 or more")
        if self.schedule not in ("step", "poly"):
            raise ValueError(f"schedule: got {self.schedule!r}, expected 'step' or 'poly'")

    @classmethod
    def shapes(cls, **changes: Any) -> Recipe:
        """For `data/shapes` (128 × 128 px): about two and a half minutes on two cores."""
        return dataclasses.replace(SHAPES, **changes)

    def to_json(self) -> str:
        """One JSON object, one key a field; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote. An unknown key is an error that names the known ones."""
        values = json.loads(text)
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"recipe: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

    def rate(self, iteration: int) -> float:
        """The learning rate factor (times `lr`) of an iteration, counted from 0."""
        if self.schedule == "poly":
            return float((1 - iteration / self.iterations) ** self.power)
        return float(self.gamma ** (iteration // self.step_size))


SHAPES = Recipe(crop=130, batch=16, iterations=800, lr=0.05, classifier_lr_factor=1.0, schedule="poly",
                dropout=0.1, batch_norm=True)
