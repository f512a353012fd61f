"""`dlseg train --init`: what is copied is said and kept; a network that has nothing to copy is an error."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from dlseg.cli import main
from dlseg.cli.train import start_network
from dlseg.datasets import load
from dlseg.networks import create, load_trunk, open_weights, save_weights
from dlseg.training import Recipe, train

WIDTH = 1 / 16


def run(root: Path, out: Path, *arguments: object) -> Result:
    options = ["--data", root, "--out", out, "--width", WIDTH, "--batch", 2, "--crop", 66, "--no-evaluate"]
    return CliRunner().invoke(main, ["train", *map(str, [*options, *arguments])])


@pytest.mark.parametrize("recipe", ["paper", "shapes"])
def test_a_trained_classifier_is_kept(small_set: Callable[[int], Path], tmp_path: Path, recipe: str) -> None:
    """One iteration at a rate of almost nothing: what comes out is what went in, fc8 too."""
    root, classes = small_set(3), list(load("shapes", "val").classes)
    source = save_weights(create("deeplab-largefov", 13, WIDTH), tmp_path / "a.safetensors", {"classes": classes})
    before = open_weights(source)[0].state_dict()
    solver = ("--recipe", recipe, "--iterations", 1, "--lr", 1e-9)
    told = run(root, tmp_path / "b.safetensors", "--init", source, *solver)
    assert told.exit_code == 0, told.output
    after = open_weights(tmp_path / "b.safetensors")[0].state_dict()
    for key, value in before.items():  # batch normalisation, folded in, moves all other layers a little
        if key.startswith("fc8") or recipe == "paper":
            torch.testing.assert_close(after[key], value, rtol=1e-6, atol=1e-6)
    assert "copied conv1_1, " in told.stderr and "fc8; new nothing" in told.stderr


def test_a_new_classifier_is_as_the_release_has_it() -> None:
    net, words = start_network("deeplab-largefov", ["a"] * 400, 0.125, "paper", "shapes-classifier")
    assert words.endswith("new fc8")
    assert float(net.fc8.weight.detach().std()) == pytest.approx(0.01, rel=0.05) and not net.fc8.bias.any()
    for recipe in (Recipe.paper(), Recipe.release(), Recipe.release(stage=2), Recipe.shapes()):
        assert recipe.classifier_std is None


def test_as_many_classes_but_others(tmp_path: Path) -> None:
    source = save_weights(
        create("deeplab-largefov", 3, WIDTH), tmp_path / "a.safetensors", {"classes": ["sky", "road", "tree"]}
    )
    kept = open_weights(source)[0].fc8.weight
    net, words = start_network("deeplab-largefov", ["sky", "road", "tree"], WIDTH, "paper", str(source))
    assert torch.equal(net.fc8.weight, kept) and words.endswith("new nothing")
    net, words = start_network("deeplab-largefov", ["cat", "dog", "cow"], WIDTH, "paper", str(source))
    assert not torch.equal(net.fc8.weight, kept) and words.endswith("new fc8 (its classes have other names)")


@pytest.mark.parametrize(
    ("width", "variant", "difference"),
    [
        (0.125, "deeplab-largefov", r"conv1_1.weight is \(8, 3, 3, 3\) there, \(4, 3, 3, 3\) here"),
        (WIDTH, "alexnet", "the first layer is conv1.weight there, conv1_1.weight here"),
    ],
)
def test_nothing_copied_is_an_error(
    small_set: Callable[[int], Path], tmp_path: Path, width: float, variant: str, difference: str
) -> None:
    source = save_weights(create(variant, 13, width), tmp_path / "a.safetensors")
    told = run(small_set(2), tmp_path / "b.safetensors", "--init", source, "--iterations", 1)
    assert told.exit_code == 1 and not (tmp_path / "b.safetensors").exists()
    assert "no layer of that network fits deeplab-largefov of width 0.0625; expected one of the" in told.output
    assert "or --init none for random weights" in told.output
    with pytest.raises(ValueError, match=difference):
        load_trunk(create("deeplab-largefov", 13, WIDTH), create(variant, 13, width))


def test_the_branches_of_a_trained_network_are_copied_too() -> None:
    for name in ("deeplab-msc-largefov", "fcn-8s"):
        trained = create(name, 3, WIDTH)
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.add_(0.01)
        net = create(name, 3, WIDTH)
        assert load_trunk(net, trained).new == ()
        own = {k: v for k, v in net.state_dict().items() if not k.startswith("last.")}
        assert all(torch.equal(trained.state_dict()[k], v) for k, v in own.items())
    done = load_trunk(create("deeplab-msc-largefov", 3, WIDTH), create("deeplab-largefov", 3, WIDTH))
    assert "fc8" in done.copied and "branches.image.layers.conv1" in done.new


def test_a_finished_run_is_extended(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, out = small_set(3), tmp_path / "net.safetensors"
    options = ("--init", "none", "--recipe", "paper", "--keep-checkpoint")
    assert run(root, out, *options, "--iterations", 2).exit_code == 0
    told = run(root, out, *options, "--iterations", 3, "--lr", 0.0005)
    assert told.exit_code == 0, told.output
    assert "net.checkpoint: goes on after iteration 2 with iterations 2 → 3, lr 0.001 → 0.0005" in told.stderr
    assert json.loads(out.with_suffix(".json").read_text())["recipe"]["iterations"] == 3
    less = run(root, out, *options, "--iterations", 2)
    assert less.exit_code == 1 and "iterations: got 2, expected at least 3" in less.output


def test_the_papers_recipe_keeps_a_trained_network_in_the_library_too(small_set: Callable[[int], Path]) -> None:
    net = create("deeplab-largefov", 13, WIDTH)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    train(net, load(small_set(2), "train"), Recipe.paper(crop=66, batch=2, iterations=1, lr=1e-9))
    assert all(torch.allclose(before[k], v, atol=1e-6) for k, v in net.state_dict().items())
