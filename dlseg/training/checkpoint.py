"""The state of a run on disk, whole or not at all: a kill at any moment leaves the last whole checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from dlseg.common.files import whole_file
from dlseg.datasets.protocols import LabelledImages, names_of
from dlseg.networks import Network
from dlseg.training.distributed import processes
from dlseg.training.recipe import Recipe

FORMAT = 2
# what may differ when a run goes on: none of it changes which samples come, or what is trained
SOLVER = (
    "iterations",
    "lr",
    "schedule",
    "step_size",
    "gamma",
    "power",
    "momentum",
    "dropout",
    "classifier_std",
    "class_weights",
)


@runtime_checkable
class Stateful(Protocol):
    """A callback whose state belongs to the run."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take up what `state_dict` gave."""


def fingerprint(net: Network, data: LabelledImages) -> str:
    """What a run must have in common with the checkpoint it goes on from: the network and the data's names."""
    digest = hashlib.sha256("\n".join(names_of(data)).encode()).hexdigest()[:16]
    return json.dumps(
        dataclasses.asdict(net.spec) | {"images": len(data), "names": digest, "classes": list(data.classes)},
        sort_keys=True,
    )


@dataclass(frozen=True)
class TrainingState:
    """Everything that changes while a network trains; the data's position is the iteration alone."""

    net: Network
    optimiser: torch.optim.Optimizer
    recipe: Recipe
    fingerprint: str
    callbacks: Sequence[object] = ()
    classes: Sequence[str] = ()
    origin: str = ""

    def save(self, path: Path, iteration: int) -> None:
        """Write the state after `iteration` iterations, whole or not at all.

        Of several processes, which all have the same state, the first one writes.

        Raises:
            OSError: the disk is full or cannot be written; the last whole checkpoint stays.
        """
        if processes().rank:
            return
        state = {
            "iteration": iteration,
            "recipe": self.recipe.to_json(),
            "run": self.fingerprint,
            "classes": list(self.classes),
            "origin": self.origin,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            "callbacks": [c.state_dict() for c in self._stateful()],
        }
        write_state(path, state)

    def resume(self, path: Path) -> int:
        """Take up the state in `path`, if there is one; returns the number of iterations done.

        The solver's settings (`SOLVER`) may be others than when it was written: a run can be extended, or go on at
        another rate. They are used from here on.

        Raises:
            ValueError: the file is no checkpoint, or one of another recipe, network, origin or data set, or has
                more iterations than the recipe.
        """
        if not path.exists():
            return 0
        state = read_state(path)
        recipes = [dataclasses.asdict(each) for each in (Recipe.from_json(state["recipe"]), self.recipe)]
        fixed = [{k: v for k, v in each.items() if k not in SOLVER} for each in recipes]
        for theirs, ours in (fixed, (json.loads(state["run"]), json.loads(self.fingerprint))):
            if theirs != ours:
                raise ValueError(
                    f"checkpoint: {str(path)!r} belongs to another run "
                    f"({_differences(theirs, ours)}); name another file, or remove it to start afresh"
                )
        origin = state.get("origin") or self.origin  # files of version 0.1 have none
        if self.origin and origin != self.origin:
            raise ValueError(
                f"init: got {self.origin!r}, expected {origin!r}, from which the run in {str(path)!r} began; "
                "name another file, or remove it to start afresh"
            )
        if state["iteration"] > self.recipe.iterations:
            raise ValueError(
                f"iterations: got {self.recipe.iterations}, expected at least {state['iteration']}, "
                f"which are done in {str(path)!r}; remove it to start afresh"
            )
        if len(state["callbacks"]) != len(self._stateful()):
            raise ValueError(
                f"checkpoint: {str(path)!r} holds the state of {len(state['callbacks'])} callbacks, "
                f"expected that of {len(self._stateful())}; give the same ones, or remove it"
            )
        self.net.load_state_dict(state["net"])
        self._load_optimiser(state["optimiser"])
        torch.set_rng_state(state["rng"])
        for callback, known in zip(self._stateful(), state["callbacks"], strict=True):
            callback.load_state_dict(known)
        return int(state["iteration"])

    def _load_optimiser(self, state: dict[str, Any]) -> None:
        """The velocities of before, with the rates and the momentum that are wanted now."""
        wanted = [{k: v for k, v in group.items() if k != "params"} for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state)
        for group, settings in zip(self.optimiser.param_groups, wanted, strict=True):
            group.update(settings)

    def _stateful(self) -> list[Stateful]:
        return [callback for callback in self.callbacks if isinstance(callback, Stateful)]


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, plain values and tensors, whole or not at all.

    Raises:
        OSError: the disk is full or cannot be written; the last whole checkpoint stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as draft, draft.open("wb") as file:
            torch.save({"format": FORMAT} | state, file)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError where its own writer fails
        kept = "the last whole one stays" if path.exists() else "there is none yet"
        raise OSError(f"checkpoint: cannot write {str(path)!r} ({error}); {kept}") from error


def read_state(path: Path) -> dict[str, Any]:
    """What `write_state` wrote, on the CPU.

    Raises:
        ValueError: the file is no whole checkpoint of dlseg.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"checkpoint: {str(path)!r} is no whole checkpoint; remove it to start afresh") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"checkpoint: {str(path)!r} is not a checkpoint of dlseg; remove it to start afresh")
    return state


def changes(path: Path, recipe: Recipe) -> str:
    """What a run with `recipe` that goes on from `path` changes, in words; nothing where there is no such file.

    Raises:
        ValueError: a file that is no checkpoint.
    """
    if not path.exists():
        return ""
    state = read_state(path)
    there, here = dataclasses.asdict(Recipe.from_json(state["recipe"])), dataclasses.asdict(recipe)
    found = [f"{k} {there[k]} → {here[k]}" for k in SOLVER if there[k] != here[k]]
    return f"{path}: goes on after iteration {state['iteration']}" + (f" with {', '.join(found)}" if found else "")


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    keys = [k for k in sorted(there.keys() | here.keys()) if there.get(k) != here.get(k)]
    return ", ".join(f"{k} {there.get(k)!r} there, {here.get(k)!r} here" for k in keys)
