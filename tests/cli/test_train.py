"""`dlseg train`: whose recipe it follows, what it logs, and what it says of orders that cannot be followed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlseg.cli import main
from dlseg.cli.train import recipe_for
from dlseg.training import Recipe
from dlseg.training.callbacks import read_log


def run(root: Path, out: Path, *arguments: object) -> Result:
    options = ["--data", root, "--out", out, "--init", "none", "--width", 0.0625, "--batch", 2, "--no-evaluate"]
    return CliRunner().invoke(main, ["train", *map(str, [*options, *arguments])])


def test_recipes_by_name_and_from_a_file(tmp_path: Path) -> None:
    asked = {"seed": 3, "lr": None}
    assert recipe_for("shapes", "deeplab", asked) == Recipe.shapes(seed=3)
    assert recipe_for("paper", "deeplab", asked) == Recipe.paper("deeplab", seed=3)
    assert recipe_for("release", "deeplab", asked) == Recipe.release("deeplab", seed=3)
    assert recipe_for("release-2", "deeplab", asked) == Recipe.release("deeplab", 2, seed=3)
    (tmp_path / "mine.json").write_text('{"crop": 98, "lr": 0.5}')
    assert recipe_for(str(tmp_path / "mine.json"), "deeplab", asked) == Recipe(crop=98, lr=0.5, seed=3)
    with pytest.raises(FileNotFoundError, match="--recipe: got 'papper', expected 'shapes', 'laptop'"):
        recipe_for("papper", "deeplab", asked)


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
