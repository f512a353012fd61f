"""`dlseg train`: whose recipe it follows, what it logs, and what it says of orders that cannot be followed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlseg.cli import main
from dlseg.cli.train import recipe_for
from dlseg.datasets import load
from dlseg.training import Recipe
from dlseg.training.callbacks import read_log


def run(root: Path, out: Path, *arguments: object) -> Result:
    options = ["--data", root, "--out", out, "--init", "none", "--width", 0.0625, "--batch", 2, "--no-evaluate"]
    return CliRunner().invoke(main, ["train", *map(str, [*options, *arguments])])


def test_recipes_by_name_and_from_a_file(tmp_path: Path) -> None:
    asked = {"seed": 3, "lr": None}
    assert recipe_for("shapes", "deeplab", asked) == Recipe.shapes(seed=3)
    assert recipe_for("tools", "deeplab", asked) == Recipe.tools(seed=3)
    assert recipe_for("paper", "deeplab", asked) == Recipe.paper("deeplab", seed=3)
    assert recipe_for("release", "deeplab", asked) == Recipe.release("deeplab", seed=3)
    assert recipe_for("release-2", "deeplab", asked) == Recipe.release("deeplab", 2, seed=3)
    (tmp_path / "mine.json").write_text('{"crop": 98, "lr": 0.5}')
    assert recipe_for(str(tmp_path / "mine.json"), "deeplab", asked) == Recipe(crop=98, lr=0.5, seed=3)
    with pytest.raises(FileNotFoundError, match="--recipe: got 'papper', expected 'shapes', 'tools', 'laptop'"):
        recipe_for("papper", "deeplab", asked)


def test_a_wrong_setting_is_named_before_any_data_are_read(tmp_path: Path) -> None:
    told = run(tmp_path / "nowhere", tmp_path / "net.safetensors", "--lr", -1)
    assert told.exit_code == 1 and "lr: got -1" in told.output


def test_a_recipe_of_ones_own_with_a_log(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, out = small_set(3), tmp_path / "net.safetensors"
    (tmp_path / "mine.json").write_text(json.dumps({"crop": 66, "iterations": 4, "schedule": "poly"}))
    told = run(root, out, "--recipe", tmp_path / "mine.json", "--log-file", tmp_path / "log", "--workers", 1)
    assert told.exit_code == 0, told.output
    info = json.loads(out.with_suffix(".json").read_text())
    assert info["recipe"]["crop"] == 66 and info["recipe"]["batch"] == 2 and info["processes"] == 1
    assert [entry["iteration"] for entry in read_log(tmp_path / "log")] == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.glob("net*")) == ["net.json", "net.safetensors"]


def test_patience_ends_it_early(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, out = small_set(3), tmp_path / "net.safetensors"
    log = tmp_path / "log"
    told = run(root, out, "--crop", 66, "--iterations", 50, "--lr", 1e-9, "--patience", 2, "--log-file", log)
    assert told.exit_code == 0 and out.exists() and 2 < len(read_log(log)) < 50


def test_class_weights_by_name_in_a_list_and_balanced(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(2)
    classes = load("shapes", "val").classes
    numbers = [1 + i / 10 for i in range(len(classes))]
    (tmp_path / "list.json").write_text(json.dumps(numbers))
    (tmp_path / "named.json").write_text(json.dumps(dict(zip(classes, numbers, strict=True))))
    options = ("--crop", 66, "--iterations", 1)
    for kind in ("list.json", "named.json"):
        out = tmp_path / f"{kind}.safetensors"
        assert run(root, out, *options, "--class-weights", tmp_path / kind).exit_code == 0
        info = json.loads(out.with_suffix(".json").read_text())
        assert info["class_weights"] == dict(zip(classes, numbers, strict=True))
        assert info["recipe"]["class_weights"] == numbers
    out = tmp_path / "balanced.safetensors"
    assert run(root, out, *options, "--class-weights", "balanced").exit_code == 0
    info = json.loads(out.with_suffix(".json").read_text())
    shares = [info["class_weights"][name] * info["label_shares"][name] for name in classes]
    occurring = [share for share in shares if share]
    assert occurring == pytest.approx([1 / len(occurring)] * len(occurring))
    assert "class_weights" not in json.loads(plain_run(root, tmp_path).read_text())


def plain_run(root: Path, folder: Path) -> Path:
    out = folder / "plain.safetensors"
    assert run(root, out, "--crop", 66, "--iterations", 1).exit_code == 0
    return out.with_suffix(".json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "got 2 numbers, expected one for each of the 13 classes, or by name"),
        ('{"disc": 1}', "unknown disc"),
        ('{"background": 1}', "lacks "),
        ("3", "got int, expected one for each"),
        ("[1", "--class-weights: "),
    ],
)
def test_class_weights_that_do_not_fit(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "w.json").write_text(content)
    told = run(Path("shapes"), tmp_path / "n.safetensors", "--class-weights", tmp_path / "w.json")
    assert told.exit_code == 1 and "Error: --class-weights: " in told.output and message in told.output, told.output
    told = run(Path("shapes"), tmp_path / "n.safetensors", "--class-weights", "ballanced")
    assert "--class-weights: got 'ballanced', expected 'balanced' or a JSON file" in told.output


def test_the_best_weights_are_kept_beside_the_last(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, out, best = small_set(2), tmp_path / "net.safetensors", tmp_path / "net-best.safetensors"
    measured = ("--evaluate", "--val-every", 2, "--crop", 66)
    told = run(root, out, *measured, "--iterations", 3, "--class-weights", "balanced")
    assert told.exit_code == 0, told.output
    info = json.loads(out.with_suffix(".json").read_text())
    assert list(info["val_mean_iou"]) == ["2", "3"] and info["mean_iou"] == info["val_mean_iou"]["3"]
    kept = json.loads(best.with_suffix(".json").read_text())
    assert kept["mean_iou"] == max(info["val_mean_iou"].values()) and kept["iterations_done"] in (2, 3)
    assert "after 2 iterations: mean IoU" in told.stderr
    out.unlink()
    again = run(root, out, *measured, "--iterations", 3)
    assert again.exit_code == 1 and "net-best.safetensors' holds the weights of a finished" in again.output
    both = run(root, tmp_path / "other.safetensors", "--val-every", 2)
    assert both.exit_code == 1 and "--val-every: got it with --no-evaluate" in both.output


def test_a_narrow_network_has_the_laptops_recipe(
    small_set: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says how long it will take, before the first step, where it is long."""
    root, out = small_set(2), tmp_path / "net.safetensors"
    monkeypatch.setattr("dlseg.cli.train.seconds_needed", lambda *_: 46_860.0)
    told = run(root, out, "--iterations", 1)
    assert told.exit_code == 0, told.output
    assert "recipe laptop, for pictures of 128 × 128 px: 1 iterations of 2 crops of 130 px" in told.stderr
    assert "about 13 h 1 min for 1 iterations on this machine; --recipe laptop takes less" not in told.stderr
    assert "about 13 h 1 min for 1 iterations" in told.stderr
    recipe = json.loads(out.with_suffix(".json").read_text())["recipe"]
    assert Recipe(**recipe) == Recipe.laptop((128, 128), batch=2, iterations=1)
    told = run(root, tmp_path / "wide.safetensors", "--recipe", "paper", "--crop", 66, "--iterations", 1)
    assert "; --recipe laptop takes less" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", 320], "crop: got 320, expected 8k + 2, so that labels decimated as [1::8] meet"),
        (["--geometry", "release", "--crop", 320], "meet the score positions; nearest: 321"),
        (["--recipe", "release"], "label_offset: got 0, expected 1, where the scores of deeplab-largefov"),
        (["--recipe", "release", "--variant", "deeplab-huge"], "variant: got 'deeplab-huge', expected"),
        (["--lr", -0.001], "lr: got -0.001, expected more than 0; nearest: 0.001"),
        (["--accumulate", 3], "accumulate: got 3, expected 1 to 2 parts of a batch; nearest: 2"),
        (["--device", "gpu"], "device: got 'gpu', expected 'auto'"),
        (["--init", "imagenet"], "--init imagenet: VGG-16's weights need --width 1; got 0.0625"),
    ],
)
def test_what_cannot_be_followed(
    small_set: Callable[[int], Path], tmp_path: Path, arguments: list[object], message: str
) -> None:
    told = run(small_set(2), tmp_path / "net.safetensors", *arguments)
    assert told.exit_code == 1 and message in told.output, told.output
    assert "Traceback" not in told.output and not (tmp_path / "net.safetensors").exists()
