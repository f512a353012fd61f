"""A run that is paused, stopped and taken up again learns what an uninterrupted one learns, to the bit."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg.datasets import load
from dlseg.datasets.protocols import InMemory
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks import create
from dlseg.predict import predict
from dlseg.training import Recipe, train
from dlseg.widgets import training_explorer
from dlseg.widgets.training_explorer import RANDOM, graphs, standing
from dlseg.widgets.training_run import FAILED, FINISHED, PAUSED, READY, STOPPED, Trainer

RECIPE = Recipe.shapes(batch=2, crop=66, iterations=7, dropout=0.2)
WAIT = 120.0


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return create("deeplab-largefov", 13, 1 / 16)


@pytest.fixture(scope="module")
def data() -> InMemory:
    return InMemory(load("shapes", "train_sample"))


@pytest.fixture
def make(data: InMemory) -> Iterator[Callable[..., Trainer]]:
    made: list[Trainer] = []

    def trainer(recipe: Recipe = RECIPE, **options: int) -> Trainer:
        made.append(Trainer(net, data, [load("shapes", "val")[n] for n in (0, 3)], recipe, **options))
        return made[-1]

    yield trainer
    for one in made:
        one.close()


def plain(data: InMemory) -> tuple[list[float], dict[str, torch.Tensor]]:
    losses: list[float] = []
    trained = train(net(), data, RECIPE, [lambda step: losses.append(step.loss)])
    return losses, trained.state_dict()


def test_interrupted_it_ends_as_the_plain_loop_does(make: Callable[..., Trainer], data: InMemory) -> None:
    losses, weights = plain(data)
    trainer = make(every=2)
    trainer.go(1)
    assert trainer.wait(WAIT) and trainer.status == PAUSED and len(trainer.steps) == 1
    trainer.go(2)
    assert trainer.wait(WAIT) and len(trainer.steps) == 3
    trainer.stop()  # the checkpoint holds two iterations: the third is lost, and run once more
    assert trainer.wait(WAIT) and trainer.status == STOPPED
    assert [step.iteration for step in trainer.steps] == [1, 2], "no curve goes beyond what is left"
    trainer.go()
    assert trainer.wait(WAIT) and trainer.status == FINISHED
    assert [step.loss for step in trainer.steps] == losses
    assert all(torch.equal(mine, weights[name]) for name, mine in trainer.net.state_dict().items())
    assert [snapshot.iteration for snapshot in trainer.snapshots] == [0, 2, 4, 6, 7]


def test_a_snapshot_is_what_predict_says(make: Callable[..., Trainer]) -> None:
    trainer = make(every=3)
    trainer.go()
    assert trainer.wait(WAIT)
    matrix, last = ConfusionMatrix(13), trainer.snapshots[-1]
    for n, labels in zip((0, 3), last.labels, strict=True):
        sample = load("shapes", "val")[n]
        assert sample.label is not None
        # batch norm was folded away after the snapshot: scores that are nearly equal may change places
        assert (predict(trainer.net, sample.image).labels == labels).mean() > 0.99
        matrix.update(labels, sample.label)
    assert last.mean_iou == matrix.mean_iou("nan")


def test_reset_makes_it_new(make: Callable[..., Trainer]) -> None:
    trainer = make()
    first = trainer.snapshots[0].labels
    trainer.go(2)
    assert trainer.wait(WAIT)
    losses = [step.loss for step in trainer.steps]
    trainer.reset()
    assert trainer.wait(WAIT) and trainer.status == READY and not trainer.steps
    assert all(np.array_equal(a, b) for a, b in zip(first, trainer.snapshots[0].labels, strict=True))
    trainer.go(2)
    assert trainer.wait(WAIT) and [step.loss for step in trainer.steps] == losses


def test_a_loss_that_is_no_number_fails_in_words(
    make: Callable[..., Trainer], capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = make(Recipe.shapes(batch=2, crop=66, iterations=30, lr=1e12, batch_norm=False))
    trainer.go()
    assert trainer.wait(WAIT) and trainer.status == FAILED
    assert "a lower lr may help" in trainer.error and capfd.readouterr().err == ""
    trainer.reset()
    assert trainer.wait(WAIT) and trainer.status == READY and trainer.error == ""


def test_the_explorer_follows_and_looks_back() -> None:
    explorer = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=40), first=10)
    assert explorer.trainer.status == PAUSED and explorer.state.iteration == 10 and len(explorer.losses) == 10
    explorer.buttons["train"].click()
    assert explorer.trainer.wait(WAIT) and explorer.trainer.status == FINISHED
    settle(lambda: explorer.answer.status == "finished: 40 of 40 iterations")
    assert explorer.state.iteration == 40 and explorer.buttons["train"].disabled
    explorer.controls["iteration"].value = 20
    assert explorer.answer.snapshot.iteration == 20
    assert explorer.pictures[-1].title == "After 20 iterations"
    assert explorer.losses == tuple(step.loss for step in explorer.trainer.steps)
    assert all(a.iteration < b.iteration for a, b in pairwise(explorer.snapshots))
    loss, score, rate = (chart.data for chart in explorer.charts)
    assert loss["x"][0] == 1 and loss["x"][-1] == 40 and len(loss["x"]) == 40
    assert loss["lines"][1]["values"] == list(explorer.losses) and score["x"] == [0, 10, 20, 30, 40]
    assert rate["lines"][0]["values"] == pytest.approx([1000 * rate for rate in explorer.answer.rates])
    assert {chart.marker for chart in explorer.charts} == {20}
    rates = explorer.answer.rates
    assert rates[0] == explorer.recipe.lr and list(rates) == sorted(rates, reverse=True)
    explorer.close()


def test_looking_back_it_is_left_there_while_the_run_goes_on() -> None:
    explorer = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=30), first=20)
    explorer.controls["iteration"].value = 10
    assert explorer.answer.snapshot.iteration == 10
    explorer.trainer.go()
    assert explorer.trainer.wait(WAIT)
    settle(lambda: explorer.answer.status.startswith("finished"))
    assert explorer.state.iteration == 10
    explorer.close()


def test_data_of_ones_own(small_set: Callable[[int], Path]) -> None:
    explorer = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=2), small_set(3), first=2)
    assert explorer.trainer.status == FINISHED and len(explorer.answer.snapshot.labels) == 3
    assert explorer.controls["image"].options[-1] == ("3", 2)
    explorer.close()


def settle(done: Callable[[], bool]) -> None:
    """The run's end reaches the explorer a moment after the trainer says so."""
    end = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_another_run_with_other_settings_beside_the_first() -> None:
    """What is frozen stays as it was made; the curves of the first run stay to compare with."""
    explorer = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=6, batch_norm=False), first=2)
    assert explorer.buttons["train"].description == "train", "also after the iterations of the start"
    explorer.buttons["start again"].click()
    assert explorer.trainer.wait(WAIT)
    explorer.controls["batch"].value, explorer.controls["frozen"].value = 4, "all but fc8"
    explorer.controls["lr"].value, explorer.controls["schedule"].value = 0.001, "poly"
    explorer.controls["weights"].value = RANDOM
    assert "the last run's curves stay, to compare" in explorer.answer.status
    before = explorer.snapshots[0].labels
    explorer.buttons["train"].click()
    assert explorer.trainer.wait(WAIT) and explorer.trainer.status == FINISHED
    recipe = explorer.recipe
    assert (recipe.batch, recipe.lr, recipe.schedule) == (4, 0.001, "poly")
    fresh, trained = explorer._make_nets[RANDOM]().state_dict(), explorer.net.state_dict()
    moved = {name.split(".")[-2] for name in fresh if not torch.equal(fresh[name], trained[name])}
    assert moved == {"fc8"}
    assert any((a != b).any() for a, b in zip(before, explorer.snapshots[0].labels, strict=True)), "random at first"
    earlier = explorer.answer.earlier
    assert earlier is not None and "from the shapes classifier" in earlier.words
    answer = explorer.answer
    assert answer.earlier is not None and len(answer.earlier.losses) == 2 and "batch 2" in answer.earlier.words
    loss, score, _ = graphs(answer)
    assert list(loss.lines) == ["mean of 20", answer.earlier.words] and len(score.lines) == 2
    assert np.isnan(loss.lines[answer.earlier.words][-1]), "the first run was shorter"
    explorer.close()


def test_a_click_on_a_curve_looks_back_and_the_time_left_is_told() -> None:
    explorer = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=60), first=20)
    assert "left" not in explorer.answer.status and explorer.progress.value == 20
    explorer.charts[0].picked = (12.0, 1)
    assert explorer.answer.snapshot.iteration == 10 and explorer.controls["iteration"].value == 10
    told = list[str]()
    explorer.trainer.changed = lambda: told.append(standing(explorer.trainer, 0))
    explorer.trainer.go(20)
    assert explorer.trainer.wait(WAIT) and any("about" in words and " s left" in words for words in told)
    explorer.trainer.stop()
    assert explorer.trainer.wait(WAIT)
    assert standing(explorer.trainer, 40) == "stopped, back at the last checkpoint: 40 of 60 iterations"
    explorer.close()
