"""Folders that are broken in some way: `data check` and `train` say so in words, and never in a traceback."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tiny_run import TINY_RUN

from dlseg.cli import main
from dlseg.datasets import voc
from dlseg.images import ImageError, read_image

Break = Callable[[Path], object]
LISTS = "ImageSets/Segmentation"
DESCRIPTION: dict[str, Any] = {
    "classes": ["a", "b", "c"],
    "splits": {s: {"images": s, "labels": f"{s}_l"} for s in ("train", "val")},
}


def in_vocs_layout(root: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("JPEGImages", "SegmentationClass", LISTS):
        (root / part).mkdir(parents=True)
    for split in ("train", "val"):
        for name in (f"{split}{i}" for i in range(2)):
            image = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg")
            voc.write_indices(rng.integers(0, 3, (70, 80), dtype=np.uint8), voc.label_path(root, name))
        (root / LISTS / f"{split}.txt").write_text(f"{split}0\n{split}1\n")
    (root / "classes.json").write_text(json.dumps({"classes": ["a", "b", "c"]}))


def described(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for part in (split, f"{split}_l"):
            (root / part).mkdir()
        for i in range(2):
            image = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / f"{i}.png")
            Image.fromarray(rng.integers(0, 3, (70, 80), dtype=np.uint8)).save(root / f"{split}_l" / f"{i}.png")
    (root / "dataset.json").write_text(json.dumps(DESCRIPTION))


def holds(path: str, content: bytes) -> Break:
    return lambda root: (root / path).write_bytes(content)


def gone(path: str) -> Break:
    return lambda root: shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()


def folder_instead(path: str) -> Break:
    return lambda root: ((root / path).unlink(), (root / path).mkdir())


def circle(path: str) -> Break:
    """A link to itself in a file's or a folder's place."""
    return lambda root: (
        gone(path)(root) if (root / path).exists() else None,
        (root / path).symlink_to(Path(path).name),
    )


def pipe(path: str) -> Break:
    return lambda root: ((root / path).unlink(missing_ok=True), os.mkfifo(root / path))


def states(**change: object) -> Break:
    return lambda root: (root / "dataset.json").write_text(json.dumps(DESCRIPTION | change))


def picture(path: str, pixels: np.ndarray) -> Break:
    return lambda root: Image.fromarray(pixels).save(root / path)


VOC: list[tuple[Break, str]] = [
    (gone("JPEGImages"), "no file"),
    (gone("SegmentationClass"), "expected labelled ones to train on; looked for SegmentationClass/train0"),
    (gone("ImageSets"), "split 'train': no list"),
    (gone(f"{LISTS}/val.txt"), "split 'val': no list"),
    (holds(f"{LISTS}/train.txt", b""), "train.txt: the list is empty; expected one picture's name a line"),
    (holds(f"{LISTS}/train.txt", b"\xff\xfe\0t\0"), "train.txt: not a text in UTF-8"),
    (folder_instead(f"{LISTS}/train.txt"), "split 'train': no list"),
    (holds(f"{LISTS}/train.txt", b"../../../etc/passwd\n"), "looked for SegmentationClass/passwd.png"),
    (holds(f"{LISTS}/train.txt", b"a" * 5000), "train.txt: line 1 is no picture's name: 'aaaaaa"),
    (holds(f"{LISTS}/train.txt", b"train0\0\n"), "train.txt: line 1 is no picture's name"),
    (holds("classes.json", b"["), "classes.json: not JSON"),
    (holds("classes.json", b"\xff"), "classes.json: not UTF-8 text"),
    (holds("classes.json", b"[" * 100_000), "classes.json: not JSON"),
    (holds("classes.json", b'{"class": ["a", "b"]}'), 'expected {"classes": ["background", …]}'),
    (holds("classes.json", b'{"classes": ["a", "a", "c"]}'), "classes: got a more than once, expected a name"),
    (folder_instead("classes.json"), "classes.json: got a folder, expected a file"),
    (circle("classes.json"), "classes.json: got a link or a pipe, expected a file"),
    (holds("classes.json", b'{"classes": ["a", "", "c"]}'), "classes: got '', expected a name on one line"),
    (holds("classes.json", b'{"classes": ["a", "b\\nc"]}'), r"classes: got 'b\nc', expected a name on one line"),
    (holds("classes.json", b'{"classes": ["a", "b"], "classes": ["c", "d"]}'), "the key 'classes' is there twice"),
    (holds(f"{LISTS}/train.txt", "train0\n".encode("utf-16")), "train.txt: not a text in UTF-8"),
    (holds(f"{LISTS}/train.txt", b"a\tb\tc\n"), "train.txt: got 3 columns in"),
    (
        holds(f"{LISTS}/train.txt", b"train0.jpg train1.png\n"),
        "got the label 'train1.png' for the image 'train0.jpg'",
    ),
    (holds(f"{LISTS}/train.txt", b"train0\nTRAIN1\n"), "TRAIN1.png: missing label of a picture"),
    (circle(f"{LISTS}/train.txt"), "split 'train': no list"),
    (circle("JPEGImages/train0.jpg"), "no file"),
    (circle("SegmentationClass/train0.png"), "train0.png: missing label"),
    (circle("JPEGImages"), "no file"),
    (pipe("JPEGImages/train0.jpg"), "no file"),
    (pipe("SegmentationClass/train0.png"), "train0.png: missing label"),
    (folder_instead("JPEGImages/train0.jpg"), "no file"),
    (folder_instead("SegmentationClass/train0.png"), "train0.png"),
    (holds("SegmentationClass/train0.png", b"P5 3 3"), "train0.png: is damaged or cut short (Reached EOF"),
    (holds("JPEGImages/val0.jpg", b"P5 3 3"), "val0.jpg' is damaged or cut short (Reached EOF"),
    (picture("SegmentationClass/train0.png", np.zeros((70, 80, 3), np.uint8)), "got mode RGB (`values` in a"),
]
DESCRIBED: list[tuple[Break, str]] = [
    (holds("dataset.json", b""), "dataset.json: not JSON"),
    (holds("dataset.json", b"[]"), "dataset.json: got a JSON list, expected an object"),
    (holds("dataset.json", b"[" * 100_000), "dataset.json: not JSON"),
    (folder_instead("dataset.json"), "dataset.json"),
    (states(classes="abc"), "classes: got 'abc', expected a list of 2 to 255 names"),
    (states(classes=["a", "b", "b"]), "classes: got b more than once, expected a name for each class"),
    (states(splits={}), '"train": {"images": …, "labels": …}, …}'),
    (states(splits={"train": None}), '"train": {"images": …, "labels": …}, …}'),
    (states(splits={"train": {"images": ["x"]}, "val": {"images": "val"}}), "split train: images: no folder ['x']"),
    (states(splits={"train": {"images": "/etc"}}), "'/etc' leads out of the data set's folder"),
    (states(splits={"train": {"images": "*", "labels": "train_l"}}), "split train: no image in"),
    (states(label_ending=""), "label_ending: got '', expected the end of a name, such as '_L.png'"),
    (states(label_ending="/../x.png"), "label_ending: got '/../x.png', expected the end of a name"),
    (states(values={}), 'values: got {}, expected {"0": "void", "1": "a", …}'),
    (states(values={"0": ["a"]}), "values: '0': got ['a'], expected one of the classes, or 'void'"),
    (circle("dataset.json"), "dataset.json"),
    (circle("train/z.png"), "z.png: missing label"),
    (pipe("train/z.png"), "z.png: missing label"),
    (
        states(splits=DESCRIPTION["splits"] | {"train": {"images": "a**b"}}),
        "split train: images: 'a**b': Invalid pattern",
    ),
    (
        states(splits=DESCRIPTION["splits"] | {"train": {"images": "a" * 5000}}),
        "can be no file's name (5000 characters)",
    ),
    (states(splits=DESCRIPTION["splits"] | {"train": {"images": "a\0b"}}), "can be no file's name (3 characters)"),
    (
        states(classes=["a", "void", "c"], values={"0": "a", "1": "void", "2": "c"}),
        "values: got a class called 'void', which means not annotated",
    ),
    (gone("val"), "split val: images: no folder 'val'"),
    (gone("train_l/0.png"), "0.png: missing label of a picture of this split"),
    (holds("train/x.png", b""), "x.png"),
    (picture("train_l/0.png", np.zeros((70, 80), np.uint16)), "got mode I;16 (`values` in a dataset.json says"),
    (picture("train_l/0.png", np.zeros((70, 80), bool)), "expected a palette or grey PNG (mode P or L)"),
]


def dlseg(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.mark.usefixtures("as_users_see_it")
@pytest.mark.parametrize(
    ("make", "spoil", "message"),
    [*((in_vocs_layout, *case) for case in VOC), *((described, *case) for case in DESCRIBED)],
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Break, spoil: Break, message: str
) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "set"
    root.mkdir()
    make(root)
    spoil(root)
    done = dlseg(
        "train",
        "--data",
        root,
        *TINY_RUN,
        "--out",
        tmp_path / "net.safetensors",
    )
    assert isinstance(done.exception, SystemExit) and done.exit_code == 1
    errors = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and message in errors[0] and len(errors[0]) < 1000, done.output
    checked = dlseg("data", "check", root)
    assert checked.exception is None or isinstance(checked.exception, SystemExit)
    # a list that is missing altogether is no fault of a folder: it may have other splits
    assert checked.exit_code == (0 if message == "split 'val': no list" else 1), checked.output


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged tags
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM", "JPEG2000"])
def test_damaged_pictures_are_named(form: str, tmp_path: Path) -> None:
    """Cut short, and with bytes changed: read as some picture, or refused in one way only."""
    rng, file = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(file, format=form)
    whole, path, refused = file.getvalue(), tmp_path / "a.png", 0
    for trial in range(40):
        content = bytearray(whole)
        if trial % 2:
            content = content[: int(rng.integers(len(whole)))]
        else:
            for place in rng.integers(0, min(len(whole), 200), 4):
                content[place] = int(rng.integers(256))
        path.write_bytes(content)
        for read in (read_image, lambda p: voc.read_indices(p, ("P", "L"))):
            try:
                read(path)
            except (ImageError, ValueError) as error:
                refused += 1
                assert "a.png" in str(error)
    assert refused
