"""The log survives kills, the early stop is part of the checkpoint."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlseg.networks import create, open_weights
from dlseg.predict.evaluate import evaluate
from dlseg.training import Recipe, StopTraining, TrainingStep, train
from dlseg.training.callbacks import EarlyStop, JsonLog, ProgressBar, Validation, duration, read_log

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


def test_validation_measures_the_network_as_it_would_be_left(tmp_path: Path, colours: object) -> None:
    """Batch normalisation and BGR included: its score is that of a run that ends there; the best one is kept."""
    recipe = replace(RECIPE, iterations=6, batch_norm=True, channels="bgr", schedule="step")
    one, best = net(), tmp_path / "best.safetensors"
    shown: list[str] = []
    validation = Validation(one, colours, recipe, 4, best, {"classes": colours.classes}, shown.append)
    train(one, colours, recipe, [validation])
    assert list(validation.scores) == [4, 6] and len(shown) == 2  # and after the last
    for iterations, score in validation.scores.items():
        ended = train(net(), colours, replace(recipe, iterations=iterations))
        assert evaluate(ended, colours)["net"].whole.mean_iou() == pytest.approx(score, abs=0.01)
    kept, info = open_weights(best)
    assert info["iterations_done"] == max(validation.scores, key=lambda i: validation.scores[i])
    assert evaluate(kept, colours)["net"].whole.mean_iou() == pytest.approx(validation.highest, abs=1e-9)
    assert f"mean IoU {100 * validation.scores[4]:.2f} % on val (the best so far)" in shown[0]


def test_the_best_weights_stay_the_best_after_a_kill(tmp_path: Path, colours: object) -> None:
    recipe, best = replace(RECIPE, iterations=4), tmp_path / "best.safetensors"

    def kill(s: TrainingStep) -> None:
        raise KeyboardInterrupt

    first = net()
    with pytest.raises(KeyboardInterrupt):
        train(first, colours, recipe, [Validation(first, colours, recipe, 1, best), kill], tmp_path / "c", every=1)
    killed = Validation(again := net(), colours, recipe, 1, best)
    train(again, colours, recipe, [killed], tmp_path / "c", every=1)
    whole = Validation(undisturbed := net(), colours, recipe, 1, None)
    train(undisturbed, colours, recipe, [whole])
    assert killed.scores == whole.scores and killed.highest == whole.highest
    best.unlink()
    gone = Validation(net(), colours, recipe, 1, best)
    gone.load_state_dict(killed.state_dict())
    assert gone.highest < 0  # the next ones are the best, since there are none


def test_durations_in_words() -> None:
    assert [duration(float(s)) for s in (1, 90, 3540, 3600, 46_860)] == [
        "1 min",
        "2 min",
        "59 min",
        "1 h 0 min",
        "13 h 1 min",
    ]
