"""The commands as a user types them: on the shipped data and weights, and on everything that can go wrong."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import COMMANDS, main
from dlseg.datasets import load


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(load("shapes", "val")[0].image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


# an installation of the library alone, without the packages of [lab], [cluster] and [book]
ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from dlseg.cli import COMMANDS, main
for command in COMMANDS:
    main([command, "--help"], standalone_mode=False)
main(["course", "copy", sys.argv[1]], standalone_mode=False)
"""


def test_without_the_labs_packages_every_command_is_there(tmp_path: Path, repo: Path) -> None:
    parts = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    words = [word for part in ("lab", "cluster", "book") for word in parts[part] if not word.startswith("dlseg")]
    missing = {re.split(r"[^\w-]", word)[0].replace("-", "_") for word in words}
    assert {"ipywidgets", "dask", "myst_nb"} <= missing
    code = ALONE.format(missing=missing)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "course")],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and (tmp_path / "course" / "00_tour.ipynb").is_file(), done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_every_command(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0 and "Usage" in result.output


def test_predict_writes_a_palette_png(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.png"
    result = run("predict", photo, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    with Image.open(out) as labels:
        assert labels.mode == "P" and labels.size == (128, 128)
        shares = {int(c): float((np.asarray(labels) == c).mean()) for c in np.unique(labels)}
    assert sorted(report["share"].values()) == pytest.approx(sorted(shares.values()))
    assert "background" in report["share"] and list(tmp_path.glob("*.tmp")) == []


def test_the_crf_changes_the_labels(photo: Path, tmp_path: Path) -> None:
    plain, refined = tmp_path / "a.png", tmp_path / "b.png"
    assert run("predict", photo, "--out", plain).exit_code == 0
    assert run("predict", photo, "--out", refined, "--crf").exit_code == 0
    assert not np.array_equal(np.asarray(Image.open(plain)), np.asarray(Image.open(refined)))


@pytest.mark.parametrize("mode", ["RGBA", "L", "I;16", "CMYK", "1", "P", "LA"])
def test_predict_takes_any_kind_of_picture(photo: Path, tmp_path: Path, mode: str) -> None:
    picture = Image.open(photo)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    path = tmp_path / f"p.{'tif' if mode == 'CMYK' else 'png'}"
    picture.save(path)
    result = run("predict", path, "--out", tmp_path / "o.png", "--crf")
    assert result.exit_code == 0, result.output


def test_a_turned_picture_is_turned_back(photo: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).crop((0, 0, 128, 64)).save(tmp_path / "t.jpg", exif=exif)
    assert run("predict", tmp_path / "t.jpg", "--out", tmp_path / "o.png").exit_code == 0
    assert Image.open(tmp_path / "o.png").size == (64, 128)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (20_000, 3)])
def test_predict_extreme_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 120, 40)).save(tmp_path / "s.png")
    result = run("predict", tmp_path / "s.png", "--out", tmp_path / "o.png", "--crf")
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "o.png").size == size


def test_predict_says_what_is_wrong(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (20_000, 9_000)).save(tmp_path / "huge.png")
    for arguments, message in [
        ((tmp_path / "none.png",), "no file"),
        ((tmp_path / "text.png",), "is not an image"),
        ((tmp_path / "huge.png",), "far too large"),
        ((photo, "--out", tmp_path / "no" / "o.png"), "--out: no folder"),
        ((photo, "--out", tmp_path / "o.jpg"), "ends in .png"),
        ((photo, "--weights", tmp_path / "none.safetensors"), "weights: no file"),
        ((photo, "--crf", "--kernel", "gauss"), "kernel"),
    ]:
        result = run("predict", *arguments)
        assert result.exit_code == 1 and message in result.output, result.output
        assert "Traceback" not in result.output and result.output.startswith("Error: ")


def test_evaluate_reports_both(small_set: Callable[[int], Path]) -> None:
    root = small_set(6)
    plain = json.loads(run("evaluate", "--data", root, "--json").stdout)
    refined = json.loads(run("evaluate", "--data", root, "--crf", "--json").stdout)
    assert plain["images"] == 6 and 0.2 < plain["mean_iou"] <= 1 and len(plain["iou"]) == 13
    assert refined["without_crf"]["mean_iou"] == pytest.approx(plain["mean_iou"])
    assert refined["trimap_mean_iou"].keys() == {"1", "3", "8"} and refined["crf"]["iterations"] == 10
    text = run("evaluate", "--data", root, "--crf").stdout
    assert "mean IoU" in text and "with CRF" in text and "background" in text


def test_train_from_the_classifier_and_use_what_it_wrote(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, out = small_set(4), tmp_path / "runs" / "net.safetensors"
    result = run(
        "train",
        "--data",
        root,
        "--iterations",
        2,
        "--lr",
        0.001,
        "--batch",
        2,
        "--crop",
        130,
        "--out",
        out,
        "--json",
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert "copied conv1_1" in report["init"] and "new fc8" in report["init"]
    assert out.is_file() and json.loads(out.with_suffix(".json").read_text())["recipe"]["iterations"] == 2
    again = run("evaluate", "--data", root, "--weights", out, "--json")
    assert json.loads(again.stdout)["mean_iou"] == pytest.approx(report["mean_iou"], abs=1e-4)


def test_train_says_what_is_wrong(tmp_path: Path) -> None:
    for arguments, message in [
        (("--data", tmp_path / "none"), "neither a folder nor a known data set"),
        (("--variant", "resnet"), "resnet"),
        (("--init", tmp_path / "none.safetensors"), "weights: no file"),
        (("--lr", "-1"), "lr: got -1"),
        (("--out", tmp_path / "x.pth"), ".safetensors"),
    ]:
        result = run("train", "--split", "train_sample", *arguments)
        assert result.exit_code == 1 and message in result.output, (arguments, result.output)


def test_pretrain_makes_a_classifier(tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    result = run("pretrain", "--out", out, "--images", 64, "--epochs", 1, "--width", 0.0625, "--jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert 0 <= report["accuracy"] <= 1 and len(report["classes"]) == 12 and out.is_file()
    assert not out.with_suffix(".checkpoint").exists() and report["init"] == "nothing copied: random weights"
    more = ("--images", 64, "--epochs", 1, "--width", 0.0625, "--jobs", 1, "--variant", "vgg16-20m", "--init", out)
    again = run(
        "pretrain", "--out", tmp_path / "d.safetensors", *more, "--optimiser", "adamw", "--lr", 1e-4, "--json"
    )
    assert json.loads(again.stdout)["init"].startswith(f"{out}: copied conv1_1, ")
    assert json.loads(again.stdout)["init"].endswith("fc8; new nothing")
