"""The tools: the same bytes from the same seed, in VOC's layout, found by name."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.common.constants import VOID
from dlseg.common.files import tree_hash
from dlseg.datasets import load, tools
from dlseg.datasets.check import check
from dlseg.datasets.paths import EMBEDDED
from dlseg.datasets.tools import ends
from dlseg.training.pretraining import single_things

GOLDEN_TREE = "0843aea1f5acd58a7fccc2469b611545ae8554bc41c65e527d87f843e4032639"
GOLDEN_PORTRAITS = "ce0e8d5d7a3df69bbfa5269bcf411ff563c815c86945c42981313c41bf53f2a5"


def make(out: Path, **settings: int) -> str:
    return tools.make(out, **{"train": 2, "val": 2, "jobs": 1, **settings}, progress=False)  # type: ignore[arg-type]


def test_the_bytes_are_the_published_ones(tmp_path: Path) -> None:
    """If this fails on purpose, raise VERSION in tools/__init__.py and make data/tools and the weights again."""
    assert make(tmp_path / "set") == tree_hash(tmp_path / "set") == GOLDEN_TREE


def test_the_portraits_are_the_published_ones() -> None:
    images, indices = tools.classification(0, 8, 64)
    assert hashlib.sha256(images.tobytes() + indices.tobytes()).hexdigest() == GOLDEN_PORTRAITS


def test_processes_do_not_matter(tmp_path: Path) -> None:
    settings = {"train": 27, "val": 1, "seed": 3}
    assert make(tmp_path / "one", **settings) == make(tmp_path / "two", **settings, jobs=2)


def test_portraits_have_the_classifiers_size() -> None:
    images, indices = tools.classification(5, 2)
    assert images.shape == (2, 224, 224, 3) and images.dtype == np.uint8 and indices.dtype == np.int64


def test_the_folder_is_vocs_layout(tmp_path: Path) -> None:
    make(tmp_path / "set")
    report = check(tmp_path / "set", progress=False)
    assert report.faults == [] and report.notes == [] and report.lists == {"train": 2, "val": 2}
    data = load(tmp_path / "set", "train")
    assert data.classes == tools.CLASSES and data.names[0] == "tools_train_00001"
    assert data[0].image.shape == (321, 321, 3)


def test_the_command(tmp_path: Path) -> None:
    arguments = [
        "data",
        "make",
        "tools",
        "--out",
        str(tmp_path / "set"),
        "--train",
        "1",
        "--val",
        "1",
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0 and f"tree hash {tree_hash(tmp_path / 'set')}" in result.stdout


def test_it_is_made_in_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path))
    real = tools.make
    made = []

    def small(root: Path, replace: bool) -> str:
        made.append(root)
        return real(root, train=2, val=1, jobs=1, progress=False, replace=replace)

    monkeypatch.setattr(tools, "make", small)
    assert len(load("tools", "train")) == 2 and made == [tmp_path / tools.folder_name()]
    with pytest.raises(FileNotFoundError, match="split: got 'test' of tools, expected train, val"):
        load("tools", "test")


@pytest.mark.full  # by day the golden sums hold what is drawn
def test_colour_does_not_tell_the_class() -> None:
    """A linear classifier on the mean, spread and histogram of a portrait's colours is no better than a guess."""
    images, indices = tools.classification(11, 900, 32)
    pixels = images.reshape(900, -1, 3).astype(np.float64) / 255
    bins = (images.reshape(900, -1, 3) // 64).astype(int) @ [16, 4, 1]
    histogram = np.stack([np.bincount(b, minlength=64) for b in bins]) / bins.shape[1]
    features = np.concatenate([np.ones((900, 1)), pixels.mean(1), pixels.std(1), histogram], axis=1)
    fit, target = features[:600], np.eye(9)[indices[:600] - 1]
    weights = np.linalg.lstsq(fit.T @ fit + 0.1 * np.eye(71), fit.T @ target)[0]
    right = (features[600:] @ weights).argmax(1) == indices[600:] - 1
    # a guess is right 1 time in 9; of 300, 33 ± 5
    assert right.mean() < 0.2


def test_what_the_checkout_carries_is_what_the_seed_makes(tmp_path: Path) -> None:
    """All of val and the first sixty scenes of train, in 15 MB; four of them are drawn again here."""
    val, sample = load("tools", "val"), load("tools", "train_sample")
    assert val.root == sample.root == EMBEDDED / "tools"
    assert val.names == [tools.file_name("val", n) for n in range(1, 241)]
    assert sample.names == [tools.file_name("train", n) for n in range(1, 61)]
    assert sum(path.stat().st_size for path in val.root.rglob("*") if path.is_file()) < 15e6
    make(tmp_path / "set")
    drawn = [*(tmp_path / "set").rglob("*.jpg"), *(tmp_path / "set").rglob("*.png"), tmp_path / "set/classes.json"]
    assert len(drawn) == 9
    for path in drawn:
        assert path.read_bytes() == (val.root / path.relative_to(tmp_path / "set")).read_bytes()


def test_the_ends_are_a_first_lesson() -> None:
    """Found by the name that a plan's `lesson` has; one end each, five classes, the same whatever the processes."""
    images, classes, names = single_things("tools.ends", 3, 60, 48)
    assert images.shape == (60, 48, 48, 3) and images.dtype == np.uint8
    assert names == ("round", "square", "tines", "ring", "grip") and set(classes.tolist()) == set(range(5))
    again, same, _ = single_things("tools.ends", 3, 60, 48, 2)
    assert (again == images).all() and (same == classes).all()
    assert ends.classification(0, 1)[0].shape == (1, 112, 112, 3)


@pytest.mark.full  # by day the golden sums hold what is drawn
def test_thing_and_ground_share_their_colours() -> None:
    """No threshold on a colour's nearest cells separates them: the histograms of both overlap by more than half."""
    counts = np.zeros((2, 8**3))
    for number in range(24):
        image, label = tools.picture(2, "train", number)
        cells = (image // 32).astype(int) @ [64, 8, 1]
        for thing in (0, 1):
            seen = (label != VOID) & ((label > 0) == thing)
            counts[thing] += np.bincount(cells[seen], minlength=8**3)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert np.minimum(*shares).sum() > 0.5
