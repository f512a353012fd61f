"""What the labels of a split hold is counted: void that swallows a class, classes never seen, overlap."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tiny_run import TINY_RUN

from dlseg.cli import main
from dlseg.datasets import counts as module
from dlseg.datasets import load
from dlseg.datasets.counts import count_labels, shared_pictures
from dlseg.networks import create, save_weights


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))


def dlseg(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def described(root: Path, values: list[int], classes: list[str]) -> Path:
    """Masks whose halves hold the values in turn; train and val."""
    rng = np.random.default_rng(0)
    splits = {}
    for split in ("train", "val"):
        for folder in (split, f"{split}_masks"):
            (root / folder).mkdir(parents=True)
        for i in range(3):
            image = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / f"{split}{i}.png")
            mask = np.full((70, 80), values[0], np.uint8)
            for part, value in enumerate(values):
                mask[part * 70 // len(values) :] = value
            Image.fromarray(mask).save(root / f"{split}_masks" / f"{split}{i}.png")
        splits[split] = {"images": split, "labels": f"{split}_masks"}
    (root / "dataset.json").write_text(json.dumps({"classes": classes, "splits": splits}))
    return root


def train(root: Path, out: Path, *more: object) -> Result:
    return dlseg(
        "train",
        "--data",
        root,
        "--out",
        out,
        *TINY_RUN,
        *more,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [0, 255],
            "got labels with a single class, 'background', and 50.0 % void, expected at least two of "
            "background, object; value 255 always means void (not annotated); where it is a class of yours",
        ),
        ([255], "got 3 labels that are void everywhere, expected pixels of background, object; value 255 always"),
        ([1], "got labels with a single class, 'object', and 0.0 % void"),
    ],
)
def test_void_that_swallows_a_class(tmp_path: Path, values: list[int], message: str) -> None:
    root = described(tmp_path / "set", values, ["background", "object"])
    done = train(root, tmp_path / "net.safetensors")
    assert done.exit_code == 1 and f"--split train: {message}" in done.output, done.output
    assert not list(tmp_path.glob("net*"))
    checked = dlseg("data", "check", root)
    assert checked.exit_code == 1 and f"fault: dataset.json: split val: {message}" in checked.output
    weights = save_weights(create("deeplab-largefov", 2, 1 / 16), tmp_path / "two.safetensors")
    measured = dlseg("evaluate", "--data", root, "--weights", weights)
    assert message in measured.output and (measured.exit_code == 1) is (values == [255])


def test_void_that_swallows_a_class_in_vocs_layout(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(3)
    for path in (root / "SegmentationClass").iterdir():
        label = np.array(Image.open(path))
        made = Image.fromarray(np.where(label > 0, 255, 0).astype(np.uint8))
        made.putpalette(Image.open(path).getpalette())
        made.save(path)
    done = dlseg("data", "check", root)
    assert done.exit_code == 1 and "Segmentation/train.txt: got labels with a single class" in done.output
    assert "single class, 'background'" in train(root, tmp_path / "net.safetensors").output


def test_what_the_labels_hold_is_said_and_kept(tmp_path: Path) -> None:
    root = described(tmp_path / "set", [0, 2, 255, 2], ["sky", "road", "tree", "car"])
    words = "3 labels: tree 67.9 %, sky 32.1 %; void 24.3 % of all pixels; never seen: road, car"
    done = train(root, tmp_path / "net.safetensors")
    assert done.exit_code == 0 and f"train: {words}" in done.stderr and f"val: {words}" in done.stderr, done.output
    info = json.loads((tmp_path / "net.json").read_text())
    assert info["label_shares"]["road"] == 0 and info["void_share"] == pytest.approx(17 / 70)
    assert f"train: {words}" in dlseg("data", "check", root).stdout
    measured = dlseg("evaluate", "--data", root, "--weights", tmp_path / "net.safetensors", "--json")
    assert f"val: {words}" in measured.stderr
    assert json.loads(measured.stdout)["label_shares"]["tree"] == pytest.approx(36 / 53)


def test_labels_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = described(tmp_path / "set", [0, 1], ["sky", "road"])
    data = load(root, "train")
    first = count_labels(data)
    assert first.pixels == [3 * 35 * 80] * 2 and first.pictures == 3
    monkeypatch.setattr(module, "_labels", None)  # cannot be called
    assert count_labels(load(root, "train")) == first
    monkeypatch.undo()
    Image.fromarray(np.ones((70, 80), np.uint8)).save(data.label_files[0])
    assert count_labels(load(root, "train")).pixels == [2 * 35 * 80, 4 * 35 * 80]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "file"))
    assert count_labels(load(described(tmp_path / "set", [0, 1], ["a", "b"]), "train")).pictures == 3


def test_train_and_val_that_share_pictures(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(3)
    done = train(root, tmp_path / "net.safetensors")
    assert "note: 3 pictures are in val too" in done.stderr and "what is measured is too good" in done.stderr
    assert len(shared_pictures(load(root, "train"), load(root, "val"))) == 3


@pytest.mark.parametrize("spoil", ["no list", "bad value", "no label", "wrong size", "damaged"])
def test_val_is_looked_at_before_the_first_step(tmp_path: Path, spoil: str) -> None:
    root = described(tmp_path / "set", [0, 1], ["sky", "road"])
    label, message = root / "val_masks" / "val2.png", "val2.png: "
    if spoil == "no list":
        description = json.loads((root / "dataset.json").read_text())
        del description["splits"]["val"]
        (root / "dataset.json").write_text(json.dumps(description))
        message = "split 'val': "
    elif spoil == "bad value":
        Image.fromarray(np.full((70, 80), 9, np.uint8)).save(label)
        message += "values [9] are neither a class (0 to 1) nor void (255)"
    elif spoil == "no label":
        label.unlink()
        message += "missing label"
    elif spoil == "wrong size":
        Image.fromarray(np.zeros((80, 70), np.uint8)).save(label)
        message += "the label is 70×80 pixels, its image 80×70; it seems to be turned"
    else:
        label.write_bytes(label.read_bytes()[:60])
        message += "is damaged or cut short"
    done = train(root, tmp_path / "net.safetensors", "--log-file", tmp_path / "log")
    assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output, done.output
    assert "; --no-evaluate trains without measuring" in done.output and not (tmp_path / "log").exists()
    assert train(root, tmp_path / "net.safetensors", "--no-evaluate").exit_code == 0


def test_a_bad_training_label_is_found_before_the_first_step(tmp_path: Path) -> None:
    root = described(tmp_path / "set", [0, 1], ["sky", "road"])
    Image.fromarray(np.full((70, 80), 9, np.uint8)).save(root / "train_masks" / "train1.png")
    done = train(root, tmp_path / "net.safetensors", "--log-file", tmp_path / "log")
    assert done.exit_code == 1 and "train1.png: values [9]" in done.output and not (tmp_path / "log").exists()


def test_weights_are_saved_before_they_are_measured(tmp_path: Path) -> None:
    root = described(tmp_path / "set", [0, 1], ["sky", "road"])
    broken = root / "val" / "val1.png"  # its header is sound, its pixels are not
    broken.write_bytes(broken.read_bytes()[:2000])
    done = train(root, tmp_path / "net.safetensors")
    assert done.exit_code == 1 and "damaged or cut short" in done.output
    assert (tmp_path / "net.safetensors").is_file() and (tmp_path / "net.json").is_file()
    assert "the weights are saved in" in done.output and not (tmp_path / "net.checkpoint").exists()
