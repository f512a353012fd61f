"""Names: of classes that are compared, of files that messages name, of results that are not overwritten."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tiny_run import TINY_RUN, WIDTH

from dlseg.cli import main
from dlseg.datasets import load, voc
from dlseg.networks import create, save_weights
from dlseg.training import Recipe, train


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def train_small(root: Path, *more: object) -> Result:
    return run(
        "train",
        "--data",
        root,
        *TINY_RUN,
        "--no-evaluate",
        *more,
    )


def test_classes_are_compared_by_name(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, classes = small_set(2), list(load("shapes", "val").classes)
    swapped = [classes[0], classes[2], classes[1], *classes[3:]]
    net = create("deeplab-largefov", 13, WIDTH)
    weights = save_weights(net, tmp_path / "net.safetensors", {"classes": swapped})
    for more in ((), ("--export", tmp_path / "out")):
        told = run("evaluate", "--data", root, "--weights", weights, *more)
        assert told.exit_code == 1 and "the network was trained for other classes: 1 is" in told.output, told.output
        assert f"1 is {classes[2]!r} there and {classes[1]!r} in the data, 2 is" in told.output
    save_weights(create("deeplab-largefov", 4, WIDTH), tmp_path / "four.safetensors", {"classes": classes[:4]})
    told = run("evaluate", "--data", root, "--weights", tmp_path / "four.safetensors")
    assert told.exit_code == 1 and "got a network of 4 classes, expected the data's 13" in told.output


def test_a_run_goes_on_with_its_own_classes_only(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root, path = small_set(2), tmp_path / "net.checkpoint"
    recipe = Recipe(crop=66, batch=2, iterations=1, lr=1e-4)
    train(create("deeplab-largefov", 13, WIDTH), load(root, "train"), recipe, checkpoint=path, keep_checkpoint=True)
    classes = list(load(root, "train").classes)
    (root / "classes.json").write_text(json.dumps({"classes": [*classes[:-1], "zebra"]}))
    with pytest.raises(ValueError, match=r"belongs to another run \(classes \["):
        train(create("deeplab-largefov", 13, WIDTH), load(root, "train"), recipe, checkpoint=path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (255, "got the values [255], expected a class from 0 to 12 for every pixel (255, void, is allowed"),
        (200, "got the values [200], expected a class from 0 to 12 for every pixel"),
    ],
)
def test_a_stray_value_in_results_names_its_file(
    small_set: Callable[[int], Path], tmp_path: Path, value: int, message: str
) -> None:
    root = small_set(3)
    data, out = load(root, "val"), tmp_path / "results"
    out.mkdir()
    for i, sample in enumerate(data):
        labels = np.where(sample.label == 255, 255 if i == 0 else 0, sample.label).astype(np.uint8)
        if i == 1:
            labels[np.argwhere(sample.label != 255)[0][0], np.argwhere(sample.label != 255)[0][1]] = value
        voc.write_indices(labels, out / f"{sample.name}.png")
    told = run("evaluate", "--data", root, "--results", out)
    assert told.exit_code == 1 and f"{data.names[1]}.png: {message}" in told.output, told.output


def test_a_photo_turned_by_its_tag_is_said_to_be(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(2)
    name = load(root, "val").names[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (128, 96)).save(root / "JPEGImages" / f"{name}.jpg", exif=exif)
    voc.write_indices(np.zeros((96, 128), np.uint8), root / "SegmentationClass" / f"{name}.png")
    words = f"its image 96×128; {name}.jpg is turned by its EXIF tag and the label is not: turn the"
    assert words in train_small(root, "--out", tmp_path / "net.safetensors").output
    told = run("data", "check", root)
    assert told.exit_code == 1 and words in told.output
    voc.write_indices(np.zeros((128, 96), np.uint8), root / "SegmentationClass" / f"{name}.png")
    assert load(root, "val")[0].image.shape == (128, 96, 3) and load(root, "val").label(0).shape == (128, 96)


def test_finished_weights_are_not_overwritten(
    small_set: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_set(2)
    monkeypatch.chdir(tmp_path)
    assert train_small(root).exit_code == 0
    made = tmp_path / "runs" / "set-deeplab-largefov.safetensors"
    before = made.read_bytes()
    again = train_small(root, "--seed", 1)
    assert again.exit_code == 1 and made.read_bytes() == before
    assert "holds the weights of a finished training; name another file, or --overwrite to replace" in again.output
    assert train_small(root, "--variant", "deeplab").exit_code == 0  # another network, another file
    assert train_small(root, "--seed", 1, "--overwrite").exit_code == 0 and made.read_bytes() != before
    told = run("pretrain", "--out", made, "--images", 64)
    assert told.exit_code == 1 and "holds the weights of a finished training" in told.output
