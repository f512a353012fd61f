"""Folders in VOC's layout: indices as stored, and one clear error for each thing that may be missing."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.datasets import load, shapes, voc
from dlseg.datasets.voc import Dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three train and two val scenes."""
    shapes.make(tmp_path / "set", train=3, val=2, jobs=1, progress=False)
    return tmp_path / "set"


def test_palette_is_vocs() -> None:
    colours = voc.palette()
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    # from the devkit's documentation: aeroplane, bicycle, bird, bottle, bus, tvmonitor, void
    known = {1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 5: (128, 0, 128), 6: (0, 128, 128), 20: (0, 64, 128)}
    assert {index: tuple(colours[index].tolist()) for index in known} == known
    assert colours[255].tolist() == [224, 224, 192]


def test_palette_is_the_one_in_vocs_own_files(samples: Path) -> None:
    with Image.open(next((samples / "voc" / "SegmentationClass").glob("*.png"))) as file:
        assert file.getpalette() == voc.palette().ravel().tolist()


def test_samples(folder: Path) -> None:
    data = load(folder, "val")
    assert (len(data), data.num_classes, data.classes, data.split, data.root) == (
        2, 13, shapes.CLASSES, "val", folder)  # fmt: skip
    image, label = shapes.picture(0, "val", 2)
    sample = data[1]
    assert sample.name == "shapes_val_00002" and sample.label is not None
    assert (sample.label == label).all()
    assert np.abs(sample.image.astype(int) - image).mean() < 8  # JPEG's loss
    assert [s.name for s in data] == data.names
    assert pickle.loads(pickle.dumps(data))[1].name == sample.name
    with pytest.raises(IndexError):
        data[2]


def test_a_folder_without_class_names_is_vocs(folder: Path) -> None:
    (folder / "classes.json").unlink()
    data = Dataset(folder, "val")
    assert data.num_classes == 21 and data.classes[0] == "background" and data.classes[20] == "tvmonitor"


def test_real_voc(samples: Path) -> None:
    for split, count in {"train": 60, "val": 20}.items():
        data = load(samples / "voc", split)
        assert len(data) == count
        for sample in data:
            assert sample.label is not None and sample.label.shape == sample.image.shape[:2]
            assert set(np.unique(sample.label)) <= {*range(21), 255}


def test_a_list_without_labels(folder: Path) -> None:
    for path in (folder / "SegmentationClass").glob("*val*"):
        path.unlink()
    assert load(folder, "val")[0].label is None
    assert load(folder, "train")[0].label is not None


def test_one_missing_label_is_an_error(folder: Path) -> None:
    (folder / "SegmentationClass" / "shapes_val_00001.png").unlink()
    data = load(folder, "val")
    with pytest.raises(FileNotFoundError, match=r"shapes_val_00001\.png: missing label"):
        data[0]


def test_a_missing_image_is_an_error(folder: Path) -> None:
    (folder / "JPEGImages" / "shapes_val_00001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"shapes_val_00001\.jpg"):
        load(folder, "val")[0]


def spoil(folder: Path, label: Image.Image) -> Dataset:
    label.save(folder / "SegmentationClass" / "shapes_val_00001.png")
    return load(folder, "val")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_labels_without_a_palette_are_refused(folder: Path, mode: str) -> None:
    data = spoil(folder, Image.new(mode, (128, 128)))
    with pytest.raises(ValueError, match=f"got mode {mode} .`values`.* expected .*palette PNG .mode P"):
        data[0]


def test_values_out_of_range_are_refused(folder: Path) -> None:
    label = Image.fromarray(np.full((128, 128), 13, np.uint8))
    label.putpalette(voc.palette().tobytes())
    with pytest.raises(ValueError, match=r"values \[13\] are neither a class \(0 to 12\) nor void"):
        spoil(folder, label)[0]


def test_another_size_is_refused(folder: Path) -> None:
    label = Image.new("P", (128, 127))
    label.putpalette(voc.palette().tobytes())
    with pytest.raises(ValueError, match="the label is 128×127 pixels, its image 128×128"):
        spoil(folder, label)[0]


def test_a_cut_label_is_refused(folder: Path) -> None:
    path = folder / "SegmentationClass" / "shapes_val_00001.png"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match="damaged or cut short"):
        load(folder, "val")[0]


def test_small_palettes_are_read_as_indices(folder: Path) -> None:
    label = Image.fromarray((np.arange(128 * 128).reshape(128, 128) % 3).astype(np.uint8))
    label.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    path = folder / "SegmentationClass" / "shapes_val_00001.png"
    label.save(path, bits=2)
    read = load(folder, "val")[0].label
    assert read is not None and (read == np.arange(128 * 128).reshape(128, 128) % 3).all()


def test_a_missing_list_names_those_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"split 'test': no list .*test\.txt; lists there: train, val"):
        load(folder, "test")


def test_an_empty_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"val\.txt: the list is empty"):
        load(folder, "val")


@pytest.mark.parametrize("body", ["{", "[]", '{"classes": ["one"]}', '{"classes": 3}', '{"classes": [1, 2]}'])
def test_bad_class_names(folder: Path, body: str) -> None:
    (folder / "classes.json").write_text(body)
    with pytest.raises(ValueError, match=r"classes\.json: .*(expected|not JSON)"):
        load(folder, "val")


def test_class_names_of_the_folder(folder: Path) -> None:
    (folder / "classes.json").write_text(json.dumps({"classes": [f"c{i}" for i in range(30)]}))
    assert load(folder, "val").classes[29] == "c29"


def test_unknown_names() -> None:
    with pytest.raises(FileNotFoundError, match="'shades' is neither a folder nor a known data set"):
        load("shades", "val")
