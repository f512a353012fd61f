"""Every fault of a folder is named; a clean one has none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.datasets import load, shapes, voc
from dlseg.datasets.check import Fault, check

NAME = "shapes_val_00001"


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "clean"
    shapes.make(folder, train=3, val=3, jobs=1, progress=False)
    return folder


def palette_png(path: Path, indices: np.ndarray) -> None:
    label = Image.fromarray(indices.astype(np.uint8))
    label.putpalette(voc.palette().tobytes())
    label.save(path)


def image_gone(image: Path, label: Path, names: Path) -> None:
    image.unlink()


def label_gone(image: Path, label: Path, names: Path) -> None:
    label.unlink()


def label_smaller(image: Path, label: Path, names: Path) -> None:
    palette_png(label, np.zeros((100, 128)))


def label_out_of_range(image: Path, label: Path, names: Path) -> None:
    palette_png(label, np.full_like(np.array(Image.open(label)), 77))


def label_rgb(image: Path, label: Path, names: Path) -> None:
    Image.open(label).convert("RGB").save(label)


def label_grey(image: Path, label: Path, names: Path) -> None:
    Image.fromarray(np.zeros((128, 128), np.uint8)).save(label)


def label_cut(image: Path, label: Path, names: Path) -> None:
    label.write_bytes(label.read_bytes()[:-300])


def image_cut(image: Path, label: Path, names: Path) -> None:
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])


def image_is_text(image: Path, label: Path, names: Path) -> None:
    image.write_text("not a picture", encoding="utf-8")


def list_empty(image: Path, label: Path, names: Path) -> None:
    names.write_text("", encoding="utf-8")


def list_repeats(image: Path, label: Path, names: Path) -> None:
    names.write_text(names.read_text(encoding="utf-8") + f"{NAME}\n", encoding="utf-8")


def list_of_bytes(image: Path, label: Path, names: Path) -> None:
    names.write_bytes(b"\xff\xfe\x00")


BREAKS: dict[Callable[[Path, Path, Path], None], tuple[str, str]] = {
    image_gone: (f"JPEGImages/{NAME}.jpg", "no file"),
    label_gone: (f"SegmentationClass/{NAME}.png", "missing label"),
    label_smaller: (f"SegmentationClass/{NAME}.png", "is 128×100 pixels, its image 128×128"),
    label_out_of_range: (f"SegmentationClass/{NAME}.png", "values [77] are neither a class (0 to"),
    label_rgb: (f"SegmentationClass/{NAME}.png", "got mode RGB"),
    label_grey: (f"SegmentationClass/{NAME}.png", "got mode L"),
    label_cut: (f"SegmentationClass/{NAME}.png", "damaged or cut short"),
    image_cut: (f"JPEGImages/{NAME}.jpg", "damaged or cut short"),
    image_is_text: (f"JPEGImages/{NAME}.jpg", "not an image file"),
    list_empty: ("ImageSets/Segmentation/val.txt", "the list is empty"),
    list_repeats: ("ImageSets/Segmentation/val.txt", f"names '{NAME}' more than once"),
    list_of_bytes: ("ImageSets/Segmentation/val.txt", "decode"),
}


def broken(clean: Path, copy: Path, break_: Callable[[Path, Path, Path], None], name: str = NAME) -> Path:
    shutil.copytree(clean, copy, dirs_exist_ok=True)
    lists = copy / "ImageSets" / "Segmentation"
    break_(copy / "JPEGImages" / f"{name}.jpg", copy / "SegmentationClass" / f"{name}.png", lists / "val.txt")
    return copy


def test_a_clean_folder(clean: Path) -> None:
    report = check(clean, progress=False)
    assert (report.faults, report.notes, report.num_classes) == ([], [], 13)
    assert report.lists == {"train": 3, "val": 3}


def test_real_voc_is_clean(samples: Path) -> None:
    report = check(samples / "voc", progress=False)
    assert report.faults == [] and report.lists == {"train": 60, "val": 20} and report.num_classes == 21


@pytest.mark.parametrize("break_", BREAKS, ids=lambda f: f.__name__)
def test_each_fault_is_named(clean: Path, tmp_path: Path, break_: Callable[[Path, Path, Path], None]) -> None:
    report = check(broken(clean, tmp_path / "copy", break_), progress=False)
    file, what = BREAKS[break_]
    assert len(report.faults) == 1, report.faults
    assert report.faults[0].file == file and what in report.faults[0].what
    assert str(tmp_path) not in report.faults[0].what


@pytest.mark.parametrize("break_", list(BREAKS)[:9], ids=lambda f: f.__name__)
def test_each_fault_is_named_in_real_voc(
    samples: Path, tmp_path: Path, break_: Callable[[Path, Path, Path], None]
) -> None:
    name = voc.read_list(samples / "voc", "val")[0]
    small = tmp_path / "small"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (small / folder).mkdir(parents=True)
    names = voc.read_list(samples / "voc", "val")[:3]
    (small / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(names))
    for each in names:
        shutil.copy(voc.image_path(samples / "voc", each), voc.image_path(small, each))
        shutil.copy(voc.label_path(samples / "voc", each), voc.label_path(small, each))
    report = check(broken(small, tmp_path / "copy", break_, name), progress=False)
    assert [fault.file.replace(name, NAME) for fault in report.faults] == [BREAKS[break_][0]]


def test_every_fault_is_listed_at_once(clean: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    broken(clean, copy, image_gone)
    broken(copy, tmp_path / "copy2", label_rgb)
    broken(tmp_path / "copy2", tmp_path / "copy3", list_repeats)
    shutil.copytree(tmp_path / "copy3", tmp_path / "copy4")
    label_smaller(Path(), voc.label_path(tmp_path / "copy4", "shapes_val_00002"), Path())
    assert len(check(tmp_path / "copy4", progress=False).faults) == 4


def test_values_are_held_against_the_number_of_classes(clean: Path) -> None:
    assert check(clean, num_classes=2, progress=False).faults
    assert not check(clean, num_classes=255, progress=False).faults


@pytest.mark.parametrize("number", [1, 0, 256, -3])
def test_a_wrong_number_of_classes(clean: Path, number: int) -> None:
    with pytest.raises(ValueError, match=r"num_classes: got .*, expected a whole number from 2 to 255"):
        check(clean, num_classes=number)


def test_missing_folders_and_lists(tmp_path: Path) -> None:
    report = check(tmp_path, progress=False)
    assert {fault.file for fault in report.faults[:3]} == {
        "JPEGImages",
        "SegmentationClass",
        "ImageSets/Segmentation",
    }
    assert report.faults[3] == Fault("ImageSets/Segmentation", "no list (*.txt) of the pictures' names")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="no such folder"):
        check(tmp_path / "none")


def test_odd_things_are_notes(clean: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clean, copy)
    for number in range(7):
        shutil.copy(voc.image_path(copy, NAME), copy / "JPEGImages" / f"extra_{number}.jpg")
    lists = copy / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text((lists / "train.txt").read_text() + f"{NAME}\n")
    (lists / "test.txt").write_text("extra_0\n")
    report = check(copy, progress=False)
    assert report.faults == []
    assert report.notes == [
        "test: none of its pictures has a label",
        f"train and val share {NAME}.jpg",
        "JPEGImages: in no list: extra_1.jpg, extra_2.jpg, extra_3.jpg, extra_4.jpg, extra_5.jpg and 1 more",
    ]


def renumbered(path: Path) -> None:
    """What an image editor does that keeps only the colours in use: indices in the order of the palette's size."""
    with Image.open(path) as file:
        indices, colours = np.array(file), np.array(file.getpalette("RGB")).reshape(-1, 3)
    used = np.unique(indices)
    picture = Image.fromarray(np.searchsorted(used, indices).astype(np.uint8))
    picture.putpalette(colours[used].astype(np.uint8).tobytes())
    picture.save(path)


def test_a_renumbered_palette_of_voc(samples: Path, tmp_path: Path) -> None:
    names = voc.read_list(samples / "voc", "val")[:4]
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(names))
    for each in names:
        shutil.copy(voc.image_path(samples / "voc", each), voc.image_path(tmp_path, each))
        shutil.copy(voc.label_path(samples / "voc", each), voc.label_path(tmp_path, each))
    assert check(tmp_path, progress=False).faults == []
    renumbered(voc.label_path(tmp_path, names[1]))
    faults = check(tmp_path, progress=False).faults
    assert [fault.file for fault in faults] == [f"SegmentationClass/{names[1]}.png"]
    assert "has the colour of 255 (void); an editor has renumbered it. Expected VOC's indices" in faults[0].what
    with pytest.raises(ValueError, match=r"the palette is not in VOC's order: index"):
        load(tmp_path, "val")[1]


def test_a_renumbered_palette_of_ones_own(tmp_path: Path) -> None:
    """Colours that are not VOC's: a label is held against the others of its set."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    colours = [(10, 20, 30), (200, 100, 50), (5, 250, 5)]
    for i in range(5):
        Image.new("RGB", (9, 6)).save(tmp_path / "images" / f"{i}.png")
        order = [0, 2, 1] if i == 3 else [0, 1, 2]
        picture = Image.fromarray(np.argsort(order)[np.arange(54).reshape(6, 9) % 3].astype(np.uint8))
        picture.putpalette(np.array([colours[k] for k in order], np.uint8).tobytes())
        picture.save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"classes": ["a", "b", "c"], "splits": {"train": {"images": "images", "labels": "masks"}}})
    )
    faults = check(tmp_path, progress=False).faults
    assert [fault.file for fault in faults] == ["masks/3.png"]
    assert "1 has the colour (5, 250, 5) that 2 has, 2 has the colour (200, 100, 50) that 1 has" in faults[0].what
    for path in (tmp_path / "masks").iterdir():  # other palettes, the same numbers: nothing is wrong
        picture = Image.fromarray(np.arange(54).reshape(6, 9).astype(np.uint8) % 3)
        picture.putpalette(np.full((3, 3), 7 * int(path.stem), np.uint8).tobytes())
        picture.save(path)
    assert check(tmp_path, progress=False).faults == []
