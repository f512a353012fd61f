"""The state of a run on disk, whole or not at all: a kill at any moment leaves the last whole checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from dlseg.datasets.memory import LabelledImages, names_of
from dlseg.networks import Network
from dlseg.training.recipe import Recipe
from dlseg.training.team import team

FORMAT = 2


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
    return json.dumps(dataclasses.asdict(net.spec) | {"images": len(data), "names": digest}, sort_keys=True)


@dataclass(frozen=True)
class Run:
    """Everything that changes while a network trains; the data's position is the iteration alone."""

    net: Network
    optimiser: torch.optim.Optimizer
    recipe: Recipe
    fingerprint: str
    callbacks: Sequence[object] = ()

    def save(self, path: Path, iteration: int) -> None:
        """Write the state after `iteration` iterations: to a draft, flushed to the disk, then renamed.

        Of several processes, which all have the same state, the first one writes.

        Raises:
            OSError: the disk is full or cannot be written; the last whole checkpoint stays.
        """
        if team().rank:
            return
        state = {
            "format": FORMAT, "iteration": iteration, "recipe": self.recipe.to_json(), "run": self.fingerprint,
            "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(), "rng": torch.get_rng_state(),
            "callbacks": [c.state_dict() for c in self._stateful()],
        }
        draft = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError where its own writer fails
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            kept = "the last whole one stays" if path.exists() else "there is none yet"
            raise OSError(f"checkpoint: cannot write {str(path)!r} ({error}); {kept}") from error

    def resume(self, path: Path) -> int:
        """Take up the state in `path`, if there is one; returns the number of iterations done.

        Raises:
            ValueError: the file is no checkpoint, or one of another recipe, network or data set.
        """
        if not path.exists():
            return 0
        state = _read(path)
        for theirs, ours in ((state["recipe"], self.recipe.to_json()), (state["run"], self.fingerprint)):
            if theirs != ours:
                raise ValueError(f"checkpoint: {str(path)!r} belongs to another run "
                                 f"({_differences(theirs, ours)}); remove it to start afresh")
        if len(state["callbacks"]) != len(self._stateful()):
            raise ValueError(f"checkpoint: {str(path)!r} holds the state of {len(state['callbacks'])} callbacks, "
                             f"expected that of {len(self._stateful())}; give the same ones, or remove it")
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        for callback, known in zip(self._stateful(), state["callbacks"], strict=True):
            callback.load_state_dict(known)
        return int(state["iteration"])

    def _stateful(self) -> list[Stateful]:
        return [callback for callback in self.callbacks if isinstance(callback, Stateful)]


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"checkpoint: {str(path)!r} is no whole checkpoint; remove it to start afresh") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"checkpoint: {str(path)!r} is not a checkpoint of dlseg; remove it to start afresh")
    return state


def _differences(theirs: str, ours: str) -> str:
    there, here = json.loads(theirs), json.loads(ours)
    keys = [k for k in sorted(there.keys() | here.keys()) if there.get(k) != here.get(k)]
    return ", ".join(f"{k} {there.get(k)!r} there, {here.get(k)!r} here" for k in keys)
