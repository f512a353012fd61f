"""A folder of labelme's files is a data set; what cannot be an area of a class is named."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load
from dlseg.datasets.labelme import is_labelme, names_in, read_labelme

CLASSES = ("background", "cat", "dog")


def shape(label: str, points: list[list[float]], kind: str | None = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def write(path: Path, *shapes: dict[str, Any], size: tuple[int, int] = (40, 50)) -> Path:
    height, width = size
    description = {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"{path.stem}.jpg",
        "imageData": None,
    }
    path.write_text(json.dumps(description | {"imageHeight": height, "imageWidth": width}), encoding="utf-8")
    return path


def test_every_kind_of_area(tmp_path: Path) -> None:
    mask, file = np.zeros((5, 6), bool), io.BytesIO()
    mask[1:4, 2:5] = True
    Image.fromarray(mask).save(file, format="PNG")
    path = write(
        tmp_path / "a.json",
        shape("cat", [[2, 3], [12, 3], [12, 9], [2, 9]], None),
        shape("dog", [[30, 20], [20, 10]], "rectangle"),
        shape("__ignore__", [[22, 12], [24, 14]], "rectangle"),
        shape("dog", [[40, 30], [40, 34]], "circle"),
        shape("cat", [[10, 30], [15, 34]], "mask", mask=base64.b64encode(file.getvalue()).decode()),
        shape("_background_", [[5, 5], [6, 6]], "rectangle"),
    )
    expected = np.zeros((40, 50), np.uint8)
    expected[3:10, 2:13] = 1
    expected[10:21, 20:31] = 2
    expected[12:15, 22:25] = 255
    rows, columns = np.mgrid[:40, :50]
    expected[5:7, 5:7] = 0
    expected[31:34, 12:15] = 1
    found = read_labelme(path, CLASSES)
    circle = np.hypot(rows - 30, columns - 40)
    assert (found[circle < 3.5] == 2).all() and (found[(circle > 5) & (columns > 34)] == 0).all()
    assert np.array_equal(np.where(circle <= 5, 0, found), np.where(circle <= 5, 0, expected))
    assert is_labelme(path) and names_in(path) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            shape("cow", [[0, 0], [1, 0], [1, 1]]),
            "got an outline called 'cow', expected one of background, cat, dog",
        ),
        (shape("cat", [[0, 0], [9, 9]], "line"), "shape_type: got 'line', expected an area: polygon, rectangle"),
        (shape("cat", [[0, 0], [9, 9]]), "points: got 2, expected three or more"),
        (shape("cat", [[0, 0]], "circle"), "outline of 'cat' cannot be drawn"),
        (shape("cat", [[0], [1], [2]]), "outline of 'cat' cannot be drawn"),
        (shape("cat", [[0, 0], [1, 1]], "mask", mask="?"), "outline of 'cat' cannot be drawn"),
        (shape("cat", [[float("nan"), 0], [1, 1], [2, 2]]), "points: got NaN or infinity, expected finite numbers"),
        (shape("cat", [["a", 0], [1, 1], [2, 2]]), "outline of 'cat' cannot be drawn"),
        (shape("cat", [[0, 0]], "mask"), "outline of 'cat' cannot be drawn"),
        ({"points": []}, "got an outline called None, expected a text"),
    ],
)
def test_what_is_no_area_of_a_class(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_labelme(write(tmp_path / "a.json", change), CLASSES)
    assert "a.json" in str(error.value)


def test_what_is_no_file_of_labelme(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("[]")
    (tmp_path / "c.json").write_text('{"shapes": 3}')
    (tmp_path / "d.json").write_text('{"shapes": [], "imageHeight": 1e9, "imageWidth": 4}')
    for name, message in [("b", "got a JSON list"), ("c", "holds no `shapes`"), ("d", r"got \(1000000000.0, 4\)")]:
        with pytest.raises(ValueError, match=message):
            read_labelme(tmp_path / f"{name}.json", CLASSES)
    with pytest.raises(FileNotFoundError, match=r"e\.json: missing label"):
        read_labelme(tmp_path / "e.json", CLASSES)
    assert not is_labelme(tmp_path / "b.json") and not is_labelme(tmp_path / "e.json")


def test_a_folder_is_described_loaded_and_checked(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (50, 40), (i, 99, 0)).save(root / split / f"{i}.jpg")
            write(root / split / f"{i}.json", shape("dog" if i else "cat", [[2, 3], [12, 3], [12, 9]]))
    out = root / "dataset.json"
    done = CliRunner().invoke(main, ["data", "describe", str(root), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text()) == {
        "classes": ["background", "cat", "dog"],
        "splits": {s: {"images": s, "labels": s} for s in ("train", "val")},
        "label_ending": ".json",
    }
    data = load(root, "val")
    assert len(data) == 2 and sorted(np.unique(data[1].label)) == [0, 2] and data[1].image.shape == (40, 50, 3)
    checked = CliRunner().invoke(main, ["data", "check", str(root)])
    assert checked.exit_code == 0 and "train: 2 labels: background" in checked.output, checked.output
    (root / "val" / "1.json").unlink()
    assert "1.json: missing label" in CliRunner().invoke(main, ["data", "check", str(root)]).output


def nested_folder(root: Path) -> Path:
    """Two splits; pictures in folders inside, with names and classes in many alphabets."""
    for split, folder, names in [
        ("train", "Küche/links", ("猫", "собака 1")),
        ("train", "Küche/rechts", ("猫", "a.b")),
        ("val", "Küche/links", ("été", "x'y")),
    ]:
        (root / split / folder).mkdir(parents=True)
        for i, name in enumerate(names):
            Image.new("RGB", (50, 40), (i, 99, 0)).save(root / split / folder / f"{name}.jpg")
            write(root / split / folder / f"{name}.json", shape(("Straße", "木")[i], [[2, 3], [12, 3], [12, 9]]))
    return root


def dlseg(*arguments: object) -> tuple[int, list[str]]:
    done = CliRunner().invoke(main, ["data", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, (done.stdout or done.stderr).splitlines()


def test_folders_inside_and_names_in_any_alphabet(tmp_path: Path) -> None:
    root = nested_folder(tmp_path / "sét 1")
    assert dlseg("describe", root, "--out", root / "dataset.json")[0] == 0
    assert json.loads((root / "dataset.json").read_text("utf-8"))["classes"] == ["background", "Straße", "木"]
    data = load(root, "train")
    assert len(data) == 4 and len(set(data.names)) == 4 and {"links-猫", "rechts-猫"} < set(data.names)
    assert [int(sample.label.max()) for sample in data if sample.label is not None] == [2, 1, 2, 1]
    status, lines = dlseg("check", root)
    assert status == 0 and lines[-1] == "no fault", lines


def test_one_line_for_each_fault(tmp_path: Path) -> None:
    root = nested_folder(tmp_path / "set")
    assert dlseg("describe", root, "--out", root / "dataset.json")[0] == 0
    train = root / "train" / "Küche"
    broken = {
        train / "links" / "猫.json": ("{", "not JSON"),
        train / "links" / "собака 1.json": ("\n\n[]\n", "got a JSON list"),
        train / "rechts" / "猫.json": (None, "missing label"),
        train / "rechts" / "a.b.json": ('{"shapes": [', "not JSON"),
        root / "val" / "Küche" / "links" / "été.json": (None, "the label is 20×10 pixels, its image 50×40"),
    }
    for path, (text, _) in broken.items():
        path.unlink() if text is None else path.write_text(text)
    write(root / "val" / "Küche" / "links" / "été.json", size=(10, 20))
    write(root / "val" / "Küche" / "links" / "x'y.json", shape("other\nclass", [[2, 3], [12, 3], [12, 9]]))
    status, lines = dlseg("check", root)
    faults = [line for line in lines if line.startswith("fault: ")]
    assert status == 1 and lines[-1] == f"{len(faults)} faults" and len(faults) == 6, lines
    for path, (_, what) in broken.items():
        assert sum(path.stem in line and what in line for line in faults) == 1, (path, faults)
    assert sum("x'y" in line and r"got an outline called 'other\nclass'" in line for line in faults) == 1, faults


def test_a_folder_whose_files_are_all_broken(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40)).save(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text("{")
    status, lines = dlseg("describe", tmp_path)
    assert status == 1 and len(lines) == 1 and "found no images with labels" in lines[0]


NUMBER = st.floats(-1e3, 1e3) | st.sampled_from([1e308, -1e40, float("nan"), float("inf"), 2**70]) | st.none()
POINTS = st.lists(st.lists(NUMBER, max_size=3) | NUMBER, max_size=5)
KINDS = st.sampled_from(["polygon", "rectangle", "circle", "mask", "line", None, 3])


@given(points=POINTS | NUMBER, kind=KINDS, mask=st.text(max_size=8) | st.none())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_outline_is_drawn_or_one_error(points: Any, kind: Any, mask: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", shape("cat", points, kind, mask=mask))
    try:
        label = read_labelme(path, CLASSES)
    except ValueError as error:
        assert "a.json" in str(error) and "\n" not in str(error)
    else:
        assert label.shape == (40, 50) and set(np.unique(label)) <= {0, 1}


@pytest.mark.parametrize("form", ["EPS", "JPEG", "TIFF"])
def test_a_mask_is_a_png_and_nothing_that_starts_other_programs(tmp_path: Path, form: str) -> None:
    held = io.BytesIO()
    Image.new("L", (4, 4), 255).save(held, form)
    mask = shape("cat", [[1, 1], [5, 5]], "mask", mask=base64.b64encode(held.getvalue()).decode())
    with pytest.raises(ValueError, match="the outline of 'cat' cannot be drawn"):
        read_labelme(write(tmp_path / "a.json", mask), CLASSES)


def test_a_mask_far_larger_than_memory_is_named(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 10**6, 10**6, 1, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    mask = shape("cat", [[1, 1], [5, 5]], "mask", mask=base64.b64encode(png).decode())
    with pytest.raises(ValueError, match="the outline of 'cat' cannot be drawn"):
        read_labelme(write(tmp_path / "a.json", mask), CLASSES)
