"""The embedded data set: the same bytes from the same seed, however and wherever it is made."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dlseg.common.files import tree_hash
from dlseg.datasets import load, shapes, voc
from dlseg.datasets.check import check

GOLDEN_TREE = "967fcf63d1e56e5d6e4ecd6aadbed65516a364b866f78647690fcb0ec95fcbb9"
GOLDEN_PORTRAITS = "8d9c07a857ac417b264718bcdb9137aa943548eedc17709caf3d9e3b7228816e"


def make(out: Path, **settings: int) -> str:
    return shapes.make(out, **{"train": 4, "val": 3, "jobs": 1, **settings}, progress=False)  # type: ignore[arg-type]


def test_the_bytes_are_the_published_ones(tmp_path: Path) -> None:
    """If this fails on purpose, raise VERSION in shapes/__init__.py and make data/shapes and the weights again."""
    assert make(tmp_path / "set") == tree_hash(tmp_path / "set") == GOLDEN_TREE


def test_the_portraits_are_the_published_ones() -> None:
    images, indices = shapes.classification(0, 8, 64)
    assert hashlib.sha256(images.tobytes() + indices.tobytes()).hexdigest() == GOLDEN_PORTRAITS


def test_processes_do_not_matter(tmp_path: Path) -> None:
    settings = {"train": 27, "val": 2, "seed": 3}
    assert make(tmp_path / "one", **settings) == make(tmp_path / "two", **settings, jobs=2)
    assert tree_hash(tmp_path / "one") == tree_hash(tmp_path / "two")


def test_portraits_do_not_depend_on_processes_or_count() -> None:
    images, indices = shapes.classification(5, 40, 32)
    again, same = shapes.classification(5, 40, 32, jobs=2)
    fewer, less = shapes.classification(5, 27, 32)
    assert (images == again).all() and (indices == same).all()
    assert (images[:27] == fewer).all() and (indices[:27] == less).all()
    assert images.shape == (40, 32, 32, 3) and images.dtype == np.uint8 and indices.dtype == np.int64


def test_val_does_not_depend_on_train(tmp_path: Path) -> None:
    make(tmp_path / "a", train=2)
    make(tmp_path / "b", train=5)
    for kind in ("JPEGImages", "SegmentationClass"):
        files = sorted((tmp_path / "a" / kind).glob("*"))
        assert len(files) == 5
        for path in files:
            assert path.read_bytes() == (tmp_path / "b" / kind / path.name).read_bytes()


def test_seeds_and_splits_differ(tmp_path: Path) -> None:
    assert make(tmp_path / "a", seed=1) != make(tmp_path / "b", seed=2)
    first, second = shapes.picture(0, "train", 1)[0], shapes.picture(0, "val", 1)[0]
    assert (first != second).mean() > 0.5


def test_the_folder_is_vocs_layout(tmp_path: Path) -> None:
    make(tmp_path / "set")
    report = check(tmp_path / "set", progress=False)
    assert report.faults == [] and report.notes == [] and report.lists == {"train": 4, "val": 3}
    assert voc.read_list(tmp_path / "set", "train")[0] == "shapes_train_00001"
    assert load(tmp_path / "set", "train").classes == shapes.CLASSES
    assert len(shapes.CLASSES) == 13 and shapes.CLASSES[0] == "background"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed: got -1, expected a whole number >= 0"),
        ({"train": 0}, "train: got 0, expected a whole number >= 1"),
        ({"val": 0}, "val: got 0, expected a whole number >= 1"),
        ({"jobs": 0}, "jobs: got 0, expected a number of processes"),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


@pytest.mark.full  # by day the golden sums hold what is drawn
def test_colour_does_not_tell_the_class() -> None:
    """A linear classifier on the mean, spread and histogram of a portrait's colours is no better than a guess."""
    images, indices = shapes.classification(11, 900, 32)
    pixels = images.reshape(900, -1, 3).astype(np.float64) / 255
    bins = (images.reshape(900, -1, 3) // 64).astype(int) @ [16, 4, 1]
    histogram = np.stack([np.bincount(b, minlength=64) for b in bins]) / bins.shape[1]
    features = np.concatenate([np.ones((900, 1)), pixels.mean(1), pixels.std(1), histogram], axis=1)
    target = np.eye(12)[indices - 1]
    fitted = np.linalg.lstsq(features[:600].T @ features[:600] + 0.1 * np.eye(71), features[:600].T @ target[:600])[
        0
    ]
    right = (features[600:] @ fitted).argmax(1) == indices[600:] - 1
    # a guess is right 1 time in 12; of 300, 25 ± 5. Size alone (how much is covered) gives a little away
    assert right.mean() < 0.2


def test_the_checkout_carries_what_the_generator_makes(repo: Path) -> None:
    data = load("shapes", "val")
    assert data.root == repo / "data" / "shapes" and len(data) == 240
    assert check(data.root, progress=False).faults == []
    numbers = {"val": [1, 77, 240], "train": [1, 60]}
    for split, some in numbers.items():
        for number in some:
            image, label = shapes.picture(0, split, number)
            name = shapes.file_name(split, number)
            assert voc.image_path(data.root, name).read_bytes() == shapes.jpeg(image)
            assert (voc.read_indices(voc.label_path(data.root, name)) == label).all()


def test_the_excerpt_of_train(repo: Path) -> None:
    sample = load("shapes", "train_sample")
    assert sample.names == [shapes.file_name("train", n) for n in range(1, 61)]
    assert sum(path.stat().st_size for path in sample.root.rglob("*") if path.is_file()) < 6e6


def test_train_is_made_in_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path))
    made = []
    real = shapes.make

    def small(root: Path, replace: bool) -> str:
        made.append(root)
        return real(root, train=3, val=2, jobs=1, progress=False, replace=replace)

    monkeypatch.setattr(shapes, "make", small)
    data = load("shapes", "train")
    assert made == [tmp_path / shapes.folder_name()] and data.root == made[0] and len(data) == 3
    (data.root / "JPEGImages" / "shapes_train_00002.jpg").unlink()
    assert len(list(load("shapes", "train"))) == 3


def test_a_split_that_shapes_has_not() -> None:
    with pytest.raises(FileNotFoundError, match="split: got 'test' of shapes, expected train, val"):
        load("shapes", "test")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot write to .*file.*set DLSEG_CACHE to a folder"):
        load("shapes", "train")
