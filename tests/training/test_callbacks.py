"""The log survives kills, the early stop is part of the checkpoint."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlseg.networks import create
from dlseg.training import Recipe, StopTraining, TrainingStep, train
from dlseg.training.callbacks import EarlyStop, JsonLog, ProgressBar, read_log

RECIPE = Recipe(crop=42, batch=4, iterations=30, lr=2e-3, schedule="poly")


def step(iteration: int, loss: float = 1.0) -> TrainingStep:
    return TrainingStep(iteration, 100, loss, 1.0)


def net() -> torch.nn.Module:
    torch.manual_seed(1)
    return create("deeplab-largefov", 3, width=1 / 16)


def test_a_line_for_each_iteration(tmp_path: Path, colours: object) -> None:
    steps: list[TrainingStep] = []
    train(net(), colours, replace(RECIPE, iterations=3), [JsonLog(tmp_path / "new" / "log"), steps.append])
    lines = [json.loads(line) for line in (tmp_path / "new" / "log").read_text().splitlines()]
    assert [(e["iteration"], e["loss"], e["rate"]) for e in lines] == [(s.iteration, s.loss, s.rate) for s in steps]
    assert lines[0]["seconds"] <= lines[1]["seconds"] <= lines[2]["seconds"]


def test_a_log_goes_on_where_the_run_does(tmp_path: Path) -> None:
    first = JsonLog(tmp_path / "log")
    for i in (1, 2, 3, 4):
        first(step(i, i / 10))
    with (tmp_path / "log").open("a") as file:
        file.write('{"iteration": 5, "lo')  # killed while it wrote
    again = JsonLog(tmp_path / "log")
    again(step(3, 0.7))
    again(step(4, 0.8))
    assert [(e["iteration"], e["loss"]) for e in read_log(tmp_path / "log")] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.7),
        (4, 0.8),
    ]


def test_early_stop_waits_for_patience() -> None:
    stop = EarlyStop(patience=5)
    for i in range(1, 11):
        stop(step(i, 1 / i))
    for i in range(11, 15):
        stop(step(i, 9.0))
    with pytest.raises(StopTraining):
        stop(step(15, 9.0))
    for wrong in ({"patience": 0}, {"patience": 3, "least": -1.0}):
        with pytest.raises(ValueError, match="got"):
            EarlyStop(**wrong)


def test_a_stopped_training_ends_in_good_order(tmp_path: Path, colours: object) -> None:
    seen: list[int] = []

    def third(s: TrainingStep) -> None:
        seen.append(s.iteration)
        if s.iteration == 3:
            raise StopTraining

    stopped = train(net(), colours, RECIPE, [third], tmp_path / "c", every=2)
    assert seen == [1, 2, 3] and not (tmp_path / "c").exists() and not stopped.training


def test_an_early_stop_comes_where_it_would_have_come(tmp_path: Path, colours: object) -> None:
    """Also when the run was interrupted: what it has seen is in the checkpoint."""
    recipe = replace(RECIPE, lr=1e-7, dropout=0.5)  # the loss goes up and down and nowhere
    whole: list[int] = []
    train(net(), colours, recipe, [EarlyStop(6), lambda s: whole.append(s.iteration)])

    class Killed(Exception):
        pass

    def kill(s: TrainingStep) -> None:
        if s.iteration == whole[-1] - 2:
            raise Killed

    rest: list[int] = []
    with pytest.raises(Killed):
        train(net(), colours, recipe, [EarlyStop(6), kill], tmp_path / "c", every=1)
    train(net(), colours, recipe, [EarlyStop(6), lambda s: rest.append(s.iteration)], tmp_path / "c", every=1)
    assert whole[-1] < recipe.iterations and rest == whole[-2:]  # the last step's callbacks end with the stop
    with pytest.raises(Killed):
        train(net(), colours, recipe, [EarlyStop(6), kill], tmp_path / "c", every=1)
    with pytest.raises(ValueError, match="holds the state of 1 callbacks, expected that of 0"):
        train(net(), colours, recipe, checkpoint=tmp_path / "c")


def test_the_bar_shows_where_a_run_goes_on() -> None:
    out = io.StringIO()
    with ProgressBar(100, "train", out) as bar:
        bar(step(51, 0.25))
        assert bar.bar.n == 51
    assert "51/100" in out.getvalue() and "loss=0.250" in out.getvalue()
