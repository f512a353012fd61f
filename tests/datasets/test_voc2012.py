"""VOC 2012 as published, and with SBD's labels: lists, lengths, and both forms of SBD."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dlseg.datasets import load, voc
from dlseg.datasets.check import check
from dlseg.datasets.voc2012 import LENGTHS, merge, read_label

SIZE = (6, 8)


def label(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1, 20], SIZE).astype(np.uint8)


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A VOCdevkit with images 0 to 9, of which 0 and 1 are train, 2 and 3 val; its labels have a void pixel."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    for i in range(10):
        Image.fromarray(np.full((*SIZE, 3), 20 * i, np.uint8)).save(root / "JPEGImages" / f"2008_{i}.jpg")
    for i in range(4):
        own = label(i)
        own[0, 0] = 255
        voc.write_indices(own, voc.label_path(root, f"2008_{i}"))
    for split, names in {"train": (0, 1), "val": (2, 3), "test": (9,)}.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"2008_{i}\n" for i in names))
    return root


def write_sbd(folder: Path, form: str, names: range, lists: bool = True) -> Path:
    (folder / "cls").mkdir(parents=True)
    for i in names:
        if form == "mat":
            inner = np.zeros((1, 1), dtype=[("Boundaries", "O"), ("Segmentation", "O")])
            inner["Segmentation"][0, 0] = label(100 + i)
            savemat(folder / "cls" / f"2008_{i}.mat", {"GTcls": inner})
        elif form == "grey png":
            Image.fromarray(label(100 + i)).save(folder / "cls" / f"2008_{i}.png")
        else:
            voc.write_indices(label(100 + i), folder / "cls" / f"2008_{i}.png")
    if lists:
        (folder / "train.txt").write_text("".join(f"2008_{i}\n" for i in list(names)[::2]))
        (folder / "val.txt").write_text("".join(f"2008_{i}\n" for i in list(names)[1::2]))
    return folder


@pytest.mark.parametrize("form", ["mat", "grey png", "palette png"])
@pytest.mark.parametrize("place", ["", "dataset", "benchmark_RELEASE/dataset"])
def test_sbd_is_merged(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, place: str) -> None:
    """SBD has 1 (VOC train), 2 (VOC val) and 4 to 7: train_aug is 0, 1, 4 to 7."""
    sbd = write_sbd(tmp_path / "sbd" / place, form, range(1, 8), lists=place != "")
    for i in (3,):
        for path in (sbd / "cls").glob(f"2008_{i}.*"):
            path.unlink()
    for name in ("train.txt", "val.txt"):
        if (sbd / name).exists():
            (sbd / name).write_text((sbd / name).read_text().replace("2008_3\n", ""))
    assert merge(kit, tmp_path / "sbd", progress=False) == {"train_aug": 6, "trainval_aug": 8}
    monkeypatch.setenv("DLSEG_VOC", str(kit))
    for split, count in {"train_aug": 6, "trainval_aug": 8, "train": 2, "val": 2, "test": 1}.items():
        monkeypatch.setitem(LENGTHS, split, count)
    data = load("voc2012-aug", "train")
    assert data.names == [f"2008_{i}" for i in (0, 1, 4, 5, 6, 7)]
    assert [bool((s.label == 255).any()) for s in data] == [True, True, False, False, False, False]
    assert all(np.array_equal(data[i].label, label(100 + k)) for i, k in [(2, 4), (3, 5), (4, 6), (5, 7)])
    assert len(load("voc2012-aug", "trainval")) == 8 and load("voc2012-aug", "val").names == ["2008_2", "2008_3"]
    assert load("voc2012-aug", "test")[0].label is None
    assert merge(kit, tmp_path / "sbd", progress=False)["train_aug"] == 6  # once more is nothing new


def test_what_is_wrong_with_sbd_is_named(kit: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="sbd: no folder cls in"):
        merge(kit, tmp_path, progress=False)
    sbd = write_sbd(tmp_path / "sbd", "mat", range(4, 6))
    (sbd / "cls" / "2008_5.mat").write_bytes(b"MATLAB 5.0, cut")
    with pytest.raises(ValueError, match=r"2008_5.mat: no label of SBD in it"):
        merge(kit, sbd, progress=False)
    (sbd / "cls" / "2008_5.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"2008_5.mat: missing label"):
        merge(kit, sbd, progress=False)
    Image.fromarray(np.full(SIZE, 21, np.uint8)).save(sbd / "cls" / "2008_5.png")
    with pytest.raises(ValueError, match=r"2008_5.png: values \[21\] are neither a class"):
        merge(kit, sbd, progress=False)
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(sbd / "cls" / "2008_5.png")
    with pytest.raises(ValueError, match="2008_5: the label is 3×3 pixels, its image 8×6"):
        merge(kit, sbd, progress=False)
    (kit / "JPEGImages" / "2008_4.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"2008_4.jpg: missing"):
        merge(kit, sbd, progress=False)
    assert not (kit / "SegmentationClassAug").exists()
    assert not (kit / "ImageSets" / "Segmentation" / "train_aug.txt").exists()
    savemat(sbd / "cls" / "other.mat", {"GTinst": 1})
    with pytest.raises(ValueError, match=r"other.mat: no label of SBD"):
        read_label(sbd / "cls", "other")


def test_voc_is_looked_for(tmp_path: Path, kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DLSEG_VOC", raising=False)
    with pytest.raises(FileNotFoundError, match=r"voc2012: not found in .*cache.*`dlseg data download voc2012`"):
        load("voc2012", "val")
    monkeypatch.setenv("DLSEG_VOC", str(kit))
    with pytest.raises(ValueError, match=r"list val has 2 names, VOC 2012's has 1449; a data set of your own"):
        load("voc2012", "val")
    with pytest.raises(FileNotFoundError, match=r"voc2012-aug: no list 'train_aug' in .*; `dlseg data merge"):
        load("voc2012-aug", "train")
    monkeypatch.setitem(LENGTHS, "val", 2)
    for named in (kit, kit.parent, kit.parent.parent):
        monkeypatch.setenv("DLSEG_VOC", str(named))
        assert load("voc2012", "val").root == kit


def test_the_published_lengths() -> None:
    assert (LENGTHS["train"], LENGTHS["val"], LENGTHS["test"], LENGTHS["train_aug"]) == (1464, 1449, 1456, 10_582)
    assert LENGTHS["trainval"] == LENGTHS["train"] + LENGTHS["val"]
    assert LENGTHS["trainval_aug"] == LENGTHS["train_aug"] + LENGTHS["val"]


def test_the_real_sample_reads_whole(samples: Path) -> None:
    """Eighty images of VOC 2012, 60 and 20: every pixel a class or void, every void ring there."""
    train, val = load(samples / "voc", "train"), load(samples / "voc", "val")
    assert (len(train), len(val)) == (60, 20)
    for sample in [*train, *val]:
        assert sample.image.shape[:2] == sample.label.shape and max(sample.label.shape) <= 500
        assert set(np.unique(sample.label)) <= {*range(21), 255} and 255 in sample.label


@pytest.fixture
def merged(kit: Path, tmp_path: Path) -> Path:
    merge(kit, write_sbd(tmp_path / "sbd", "mat", range(4, 8)), progress=False)
    return kit


def test_a_small_merged_set_is_clean(merged: Path) -> None:
    report = check(merged, progress=False)
    assert report.faults == [] and report.lists["train_aug"] == 6
    assert report.labels["train_aug"].startswith("6 labels") and report.labels["train"].startswith("2 labels")
    Image.fromarray(np.full(SIZE, 33, np.uint8)).save(merged / "SegmentationClassAug" / "2008_5.png")
    faults = check(merged, progress=False).faults
    assert [fault.file for fault in faults] == ["SegmentationClassAug/2008_5.png"]


def test_an_augmented_split_by_its_folder(merged: Path) -> None:
    data = load(merged, "train_aug")
    assert len(data) == 6 and np.array_equal(data[2].label, label(104))
    assert load(merged, "train").labels == "SegmentationClass"


@pytest.mark.parametrize(
    "form",
    [
        "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png",
        "VOC2012/JPEGImages/{0}.jpg\tVOC2012/SegmentationClassAug/{0}.png",
        "JPEGImages\\{0}.jpg  SegmentationClassAug\\{0}.png",
    ],
)
def test_lists_of_two_columns_and_grey_labels(merged: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """As the augmented set goes round: grey PNGs, and a list that names image and label."""
    for path in (merged / "SegmentationClassAug").glob("*.png"):
        Image.fromarray(voc.read_indices(path)).save(path)
    names = load(merged, "train_aug").names
    for split in ("train_aug", "mine"):
        lines = "\n".join(form.format(name) for name in names)
        (merged / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(lines)
        data = load(merged, split)
        assert data.names == names and np.array_equal(data[2].label, label(104))
    monkeypatch.setenv("DLSEG_VOC", str(merged))
    monkeypatch.setitem(LENGTHS, "train_aug", 6)
    assert len(load("voc2012-aug", "train")) == 6
    report = check(merged, progress=False)
    assert report.faults == [] and report.lists["mine"] == 6


def test_second_columns_that_lead_astray(merged: Path) -> None:
    path = merged / "ImageSets" / "Segmentation" / "odd.txt"
    path.write_text("JPEGImages/2008_4.jpg SegmentationClassAug/2008_5.png\n")
    with pytest.raises(ValueError, match=r"odd.txt: got the label 'SegmentationClassAug/2008_5.png' for the image"):
        load(merged, "odd")
    path.write_text("2008_4.jpg SegmentationClassAug/2008_4.png\n2008_0.jpg SegmentationClass/2008_0.png\n")
    with pytest.raises(ValueError, match=r"got labels in SegmentationClass, SegmentationClassAug, expected one"):
        load(merged, "odd")
    path.write_text("a\tb\tc\n")
    with pytest.raises(ValueError, match=r"got 3 columns in 'a\\tb\\tc', expected an image, or an image and"):
        load(merged, "odd")
