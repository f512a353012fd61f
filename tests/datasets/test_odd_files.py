"""Odd picture files, as pictures and as labels, and odd folders: what does not fit is one line, never a traceback.

Each file goes through `dlseg predict`, `dlseg data check` and `dlseg train`. What a command refuses leaves nothing.
"""

import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from dlseg.cli import main
from dlseg.datasets import Described, load
from dlseg.datasets.lists import read_entries
from dlseg.networks import create, save_weights

H, W = 50, 60
RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 256, (H, W, 3), dtype=np.uint8))
NUMBERS = RNG.integers(0, 3, (H, W), dtype=np.uint8)
GREY = Image.fromarray(NUMBERS)


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=form, **options)
    return file.getvalue()


def numbers(dtype: type, change: Callable[[np.ndarray], object] | None = None) -> Image.Image:
    array = NUMBERS.astype(dtype)
    if change is not None:
        change(array)
    return Image.fromarray(array)


def spoilt(value: float) -> Image.Image:
    return numbers(np.float32, lambda array: array.__setitem__((0, 0), value))


def with_palette() -> Image.Image:
    picture = Image.fromarray(NUMBERS, mode="P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    return picture


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, more: bytes = b"") -> bytes:
    """A PNG written by hand: sizes and depths that Pillow would not write."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def turned(way: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = way
    return exif


def in_lab() -> Image.Image:
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    found = ImageCms.profileToProfile(RGB, *profiles, outputMode="LAB")
    assert found is not None
    return found


MORE = {"save_all": True, "append_images": [with_palette().rotate(180)], "duration": 50}
PALETTE, JPEG = encoded(with_palette()), encoded(RGB, "JPEG")
DEEP_ROWS = (b"\0" + bytes(range(1, 7)) * W) * H
HUGE_GIF = b"".join(
    [
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0),
        b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\x00;",
    ]
)
SOUND, NO_IMAGE, CUT, LARGE = (
    "",
    "is not an image file that can be read",
    "damaged or cut short",
    "is far too large",
)
PAGES, LOSSY, TAG = "got 2 pictures in one file", "file, whose values change when saved", "turned by its EXIF tag"
SIZE, RANGE = "the label is ", "are neither a class"


def mode(name: str) -> str:
    return f"got mode {name} "


# name → the file, what is reported of it as an image beside a label of 60×50, and as a label
FILES: dict[str, tuple[bytes, str, str]] = {
    "bits.png": (encoded(GREY.convert("1")), SOUND, mode("1")),
    "grey.png": (encoded(GREY), SOUND, SOUND),
    "grey-alpha.png": (encoded(GREY.convert("LA")), SOUND, mode("LA")),
    "palette.png": (PALETTE, SOUND, SOUND),
    "palette-transparent.png": (encoded(with_palette(), transparency=0), SOUND, SOUND),
    "palette-half-transparent.png": (encoded(with_palette(), transparency=bytes([0, 128, 255])), SOUND, SOUND),
    "rgb.png": (encoded(RGB), SOUND, mode("RGB")),
    "rgb-alpha.png": (encoded(RGB.convert("RGBA")), SOUND, mode("RGBA")),
    "grey-16.png": (encoded(numbers(np.uint16)), SOUND, mode("I;16")),
    "rgb-16.png": (raw_png(W, H, 16, 2, DEEP_ROWS), SOUND, mode("RGB")),
    "bits.tif": (encoded(GREY.convert("1"), "TIFF"), SOUND, mode("1")),
    "grey.tif": (encoded(GREY, "TIFF"), SOUND, SOUND),
    "palette-alpha.tif": (encoded(with_palette().convert("PA"), "TIFF"), SOUND, mode("PA")),
    "rgbx.tif": (encoded(RGB.convert("RGBX"), "TIFF"), SOUND, mode("RGB")),
    "cmyk.tif": (encoded(RGB.convert("CMYK"), "TIFF"), SOUND, mode("CMYK")),
    "ycbcr.tif": (encoded(RGB.convert("YCbCr"), "TIFF"), SOUND, mode("YCbCr")),
    "lab.tif": (encoded(in_lab(), "TIFF"), SOUND, mode("LAB")),
    "int-32.tif": (encoded(numbers(np.int32), "TIFF"), SOUND, mode("I")),
    "negative.tif": (encoded(numbers(np.int32, lambda a: a.fill(-5)), "TIFF"), SOUND, mode("I")),
    "grey-16.tif": (encoded(numbers(np.uint16), "TIFF"), SOUND, mode("I;16")),
    "float.tif": (encoded(numbers(np.float32), "TIFF"), SOUND, mode("F")),
    "nan.tif": (encoded(spoilt(np.nan), "TIFF"), SOUND, mode("F")),
    "infinite.tif": (encoded(spoilt(-np.inf), "TIFF"), SOUND, mode("F")),
    "all-nan.tif": (encoded(numbers(np.float32, lambda a: a.fill(np.nan)), "TIFF"), SOUND, mode("F")),
    "grey.jpg": (encoded(GREY, "JPEG"), SOUND, LOSSY),
    "cmyk.jpg": (encoded(RGB.convert("CMYK"), "JPEG"), SOUND, LOSSY),
    "progressive.jpg": (encoded(RGB, "JPEG", progressive=True), SOUND, LOSSY),
    "with-preview.jpg": (encoded(RGB, "MPO", save_all=True, append_images=[RGB.resize((6, 5))]), SOUND, LOSSY),
    "animated.gif": (encoded(with_palette(), "GIF", **MORE), SOUND, PAGES),
    "animated.png": (encoded(with_palette(), "PNG", **MORE), SOUND, PAGES),
    "animated.webp": (encoded(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)]), SOUND, PAGES),
    "pages.tif": (encoded(GREY, "TIFF", save_all=True, append_images=[GREY.rotate(180)]), SOUND, PAGES),
    "alpha.webp": (encoded(RGB.convert("RGBA"), "WEBP"), SOUND, mode("RGB")),
    "plain.bmp": (encoded(GREY, "BMP"), SOUND, SOUND),
    "plain.ppm": (encoded(RGB, "PPM"), SOUND, mode("RGB")),
    "plain.jp2": (encoded(RGB, "JPEG2000"), SOUND, mode("RGB")),
    "deep.ppm": (b"P5 60 50 65535\n" + bytes(2 * W * H), SOUND, mode("I")),
    "png-called.jpg": (PALETTE, SOUND, SOUND),
    "jpeg-called.png": (JPEG, SOUND, LOSSY),
    "cut.jpg": (JPEG[: len(JPEG) // 2], CUT, LOSSY),
    "cut.png": (PALETTE[: len(PALETTE) // 2], CUT, CUT),
    "cut.tif": (encoded(RGB, "TIFF", compression="tiff_lzw")[:3000], NO_IMAGE, NO_IMAGE),
    "header-only.png": (PALETTE[:33], NO_IMAGE, NO_IMAGE),
    "changed-byte.png": (PALETTE[:-20] + bytes([PALETTE[-20] ^ 255]) + PALETTE[-19:], CUT, CUT),
    "bytes-behind.png": (PALETTE + b"x" * 100, SOUND, SOUND),
    "empty.png": (b"", NO_IMAGE, NO_IMAGE),
    "empty.jpg": (b"", NO_IMAGE, NO_IMAGE),
    "text.png": (b"no picture\n", NO_IMAGE, NO_IMAGE),
    "page.jpg": (b"<html>404 not found</html>", NO_IMAGE, NO_IMAGE),
    "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 50\n%%EndComments\n", NO_IMAGE, NO_IMAGE),
    "no-width.png": (raw_png(0, 5, 8, 0, b""), NO_IMAGE, NO_IMAGE),
    "huge.png": (raw_png(100_000, 100_000, 8, 0, b"\0"), LARGE, LARGE),
    "large.png": (raw_png(9_000, 9_000, 8, 0, b"\0"), "81 million pixels, expected at most 50", CUT),
    "huge.gif": (HUGE_GIF, LARGE, LARGE),
    "inflated.png": (
        raw_png(W, H, 8, 0, bytes((W + 1) * H), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
        CUT,
        CUT,
    ),
    "turned-2.jpg": (encoded(RGB, "JPEG", exif=turned(2)), SOUND, LOSSY),
    "turned-6.jpg": (encoded(RGB, "JPEG", exif=turned(6)), f"50×60; turned-6.jpg is {TAG}", LOSSY),
    "turned-8.png": (encoded(with_palette(), exif=turned(8)), f"50×60; turned-8.png is {TAG}", TAG),
    "turned-3.png": (encoded(with_palette(), exif=turned(3)), SOUND, TAG),
    "turned-99.jpg": (encoded(RGB, "JPEG", exif=turned(99)), SOUND, LOSSY),
    "no-exif.jpg": (encoded(RGB, "JPEG", exif=b"Exif\0\0no such tags"), SOUND, LOSSY),
    "no-profile.jpg": (encoded(RGB, "JPEG", icc_profile=b"no profile"), SOUND, LOSSY),
    "one-pixel.png": (encoded(GREY.crop((0, 0, 1, 1))), f"{SIZE}60×50 pixels, its image 1×1", f"{SIZE}1×1 pixels"),
    "line.png": (encoded(GREY.resize((2000, 1))), f"{SIZE}60×50", f"{SIZE}2000×1 pixels"),
    "other-values.png": (encoded(Image.fromarray(NUMBERS + 90)), SOUND, RANGE),
}  # fmt: skip
if features.check("avif"):
    FILES["plain.avif"] = (encoded(RGB, "AVIF"), SOUND, LOSSY)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save_weights(create("deeplab-largefov", 3, width=1 / 16), path, {"classes": ["a", "b", "c"]})
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))


def dlseg(*arguments: object) -> tuple[int, list[str]]:
    """The exit status and the lines: the result's of a success, the error's of a failure (there must be one)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's of damaged tags; ours are tests/test_images.py's
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    errors = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == (1 if done.exit_code and not done.stdout.strip() else 0), done.output
    assert all(len(line) < 500 for line in errors), done.output
    return done.exit_code, errors or done.stdout.splitlines()


def train(root: Path, out: Path) -> tuple[int, list[str]]:
    setting = ["--init", "none", "--width", 1 / 16, "--recipe", "shapes", "--crop", 66, "--batch", 2]
    status, lines = dlseg("train", "--data", root, *setting, "--iterations", 1, "--out", out)
    left = sorted(path.name for path in out.parent.iterdir() if path.stem.strip(".").startswith(out.stem))
    assert left == ([] if status else [f"{out.stem}.json", out.name])
    return status, lines


def data_set(root: Path, image: str = "0.png") -> Path:
    for split in ("train", "val"):
        for part in (split, f"{split}_l"):
            (root / part).mkdir(parents=True)
        for i in range(2):
            RGB.save(root / split / f"{i}.png")
            GREY.save(root / f"{split}_l" / f"{i}.png")
    if image != "0.png":
        (root / "train" / "0.png").unlink()
        (root / "train_l" / "0.png").rename(root / "train_l" / Path(image).with_suffix(".png"))
    splits = {split: {"images": split, "labels": f"{split}_l"} for split in ("train", "val")}
    (root / "dataset.json").write_text(json.dumps({"classes": ["a", "b", "c"], "splits": splits}))
    return root


def test_there_are_many_of_them() -> None:
    assert len(FILES) >= 52


@pytest.mark.usefixtures("as_users_see_it")
@pytest.mark.parametrize("name", FILES)
def test_as_the_picture_to_label(name: str, weights: Path, tmp_path: Path) -> None:
    content, message, _ = FILES[name]
    (tmp_path / name).write_bytes(content)
    status, lines = dlseg("predict", tmp_path / name, "--weights", weights, "--out", tmp_path / "out.png")
    if message == SOUND or message.startswith((SIZE, "50×60")):
        assert status == 0 and len(lines) == 1, lines
        with Image.open(tmp_path / "out.png") as made, Image.open(tmp_path / name) as source:
            size = source.size[::-1] if name in ("turned-6.jpg", "turned-8.png") else source.size
            assert made.mode == "P" and made.size == size
    else:
        assert status == 1 and message in lines[0] and name in lines[0], lines
        assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.usefixtures("as_users_see_it")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("role", ["image", "label"])
def test_in_a_data_set(role: str, name: str, tmp_path: Path) -> None:
    content, of_image, of_label = FILES[name]
    root = data_set(tmp_path / "set", name if role == "image" else "0.png")
    place, message = (f"train/{name}", of_image) if role == "image" else ("train_l/0.png", of_label)
    (root / place).write_bytes(content)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    status, lines = dlseg("data", "check", root)
    faults = [line for line in lines if line.startswith("fault: ")]
    if message == SOUND:
        assert status == 0 and lines[-1] == "no fault", lines
    else:
        beside = f"train_l/{Path(name).with_suffix('.png')}"  # of two sizes that differ the label is named
        assert status == 1 and len(faults) == 1 and message in faults[0], lines
        assert faults[0].startswith((f"fault: {place}: ", f"fault: {beside}: ")) and str(root) not in faults[0]
        assert len(faults[0]) < 300
    status, lines = train(root, tmp_path / "net.safetensors")
    assert status == (message != SOUND), lines
    if status:
        # a label is read with its image's size before the first step: another size is found before another fault
        assert (message in lines[0] or SIZE in lines[0]) and Path(place).name in lines[0].replace(
            Path(beside).name, Path(place).name
        ), lines
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def photos(root: Path) -> Path:
    root.mkdir()
    for i in range(2):
        RGB.save(root / f"{i}.jpg")
    return root


def linked_to_itself(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


Make = Callable[[Path], object]
# what is in the folder beside two sound photographs → how many are labelled, and what is reported of the others
FOLDERS: dict[str, tuple[Make, int, dict[str, str]]] = {
    "a link in a circle": (lambda root: linked_to_itself(root / "x.jpg"), 2, {"x.jpg": "image: no file"}),
    "a link to nowhere": (lambda root: (root / "x.jpg").symlink_to("gone.jpg"), 2, {"x.jpg": "image: no file"}),
    "a folder in a circle": (lambda root: (root / "sub").symlink_to("."), 2, {}),
    "a pipe": (lambda root: os.mkfifo(root / "x.jpg"), 2, {"x.jpg": "image: no file"}),
    "a folder called as a picture": (lambda root: (root / "x.jpg").mkdir(), 2, {}),
    "hidden files": (lambda root: (root / "._0.jpg").write_bytes(b"a Mac's"), 2, {}),
    "a name of 255 bytes": (lambda root: RGB.save(root / f"{'猫' * 83}.jpg"), 3, {}),
    "two lines in a name": (lambda root: (root / "a\nb.jpg").write_bytes(b""), 2, {r"'a\nb.jpg'": NO_IMAGE}),
    "bytes that are no text": (lambda root: (root / os.fsdecode(b"\xff.jpg")).write_bytes(JPEG), 3, {}),
    "jp2 and avif": (lambda root: (RGB.save(root / "a.jp2"), RGB.save(root / "b.avif")), 4, {}),
    "jp2 and avif that are cut": (
        lambda root: (
            (root / "x.jp2").write_bytes(encoded(RGB, "JPEG2000")[:400]),
            (root / "y.avif").write_bytes(encoded(RGB, "AVIF")[:400]),
        ),
        2,
        {"x.jp2": "image: ", "y.avif": "image: "},
    ),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_a_folder_to_label(what: str, weights: Path, tmp_path: Path) -> None:
    make, labelled, faults = FOLDERS[what]
    root = photos(tmp_path / "photos")
    make(root)
    count = labelled + len(faults)
    status, lines = dlseg("predict", root, "--nested", "--weights", weights, "--out", tmp_path / "out")
    assert lines[0].endswith(f"{labelled} of {count} images labelled") and len(lines) == 1 + len(faults), lines
    assert status == bool(faults)
    for line, (name, message) in zip(sorted(lines[1:]), sorted(faults.items()), strict=True):
        assert line.startswith(f"{name}: ") and message in line
    made = [path for path in (tmp_path / "out").rglob("*") if path.name != "job.json"]
    assert len(made) == labelled and all(path.suffix == ".png" for path in made)


def test_names_too_long_for_what_is_asked(weights: Path, tmp_path: Path) -> None:
    """NAME.png fits, NAME_overlay.png does not: that picture is a fault, the others are labelled."""
    root = photos(tmp_path / "photos")
    RGB.save(root / f"{'n' * 251}.jpg")
    status, lines = dlseg("predict", root, "--overlay", "--weights", weights, "--out", tmp_path / "out")
    assert status == 1 and lines[0].endswith("2 of 3 images labelled") and "File name too long" in lines[1]
    assert len(list((tmp_path / "out").iterdir())) == 5  # two labels, two overlays, job.json


def test_an_empty_name_is_not_the_current_folder(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos(tmp_path / "photos"))
    status, lines = dlseg("predict", "", "--weights", weights, "--out", tmp_path / "out")
    assert status == 1 and "IMAGES: got an empty name" in lines[0] and not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="this user may read anything")
def test_a_file_that_may_not_be_read(weights: Path, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    (root / "0.jpg").chmod(0)
    status, lines = dlseg("predict", root, "--weights", weights, "--out", tmp_path / "out")
    assert status == 1 and lines[0].endswith("1 of 2 images labelled") and "cannot be read (Perm" in lines[1]


# lists as editors and other programs write them: read as they are meant
LISTS: dict[str, bytes] = {
    "a byte order mark, lines of Windows": b"\xef\xbb\xbf0.png\r\n1.png\r\n",
    "lines of an old Mac": b"0.png\r1.png\r",
    "blank lines and blanks": b"\n 0.png \n\n1.png\t\n \n",
    "no endings": b"0\n1\n",
    "paths of the images and labels": b"/train/0.png /train_l/0.png\ntrain/1.png train_l/1.png\n",
    "paths of another system": b"train\\0.png\ntrain\\1.png\n",
    "absolute paths of another machine": b"/home/me/train/0.png\n/home/me/train/1.png\n",
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_as_people_write_them(what: str, tmp_path: Path) -> None:
    root = data_set(tmp_path / "set")
    (root / "train.txt").write_bytes(LISTS[what])
    description = json.loads((root / "dataset.json").read_text())
    description["splits"]["train"]["list"] = "train.txt"
    (root / "dataset.json").write_text(json.dumps(description))
    status, lines = dlseg("data", "check", root)
    assert status == 0 and "lists: train 2, val 2" in lines[0] and lines[-1] == "no fault", lines
    assert train(root, tmp_path / "net.safetensors")[0] == 0


def test_two_images_of_one_name_keep_their_own_names(tmp_path: Path) -> None:
    """Their results would overwrite each other; that they share a label is worth a note."""
    root = data_set(tmp_path / "set")
    RGB.save(root / "train" / "0.jpg")
    assert load(root, "train").names == ["0.jpg", "0.png", "1.png"]
    status, lines = dlseg("data", "check", root)
    assert status == 0 and "note: train: several images have one label: 0.png" in lines


def test_a_warning_is_one_line(weights: Path, tmp_path: Path) -> None:
    """And names the picture, not a place in dlseg's code."""
    (tmp_path / "deep.png").write_bytes(FILES["rgb-16.png"][0])
    command = [sys.executable, "-m", "dlseg", "predict", "deep.png", "--weights", str(weights)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("deep_labels.png: ")
    assert (
        done.stderr.startswith("Warning: image: 'deep.png' has colours of 16 bits") and done.stderr.count("\n") == 1
    )


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 300)
    | st.floats()
    | st.sampled_from(["train", "a", "*", "..", "void", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["images", "labels", "list", "a", "*"]), inner)
    ),
    max_leaves=6,
)
KEYS = ["classes", "splits", "void", "values", "image_ending", "label_ending"]


@pytest.mark.usefixtures("as_users_see_it")
@given(change=st.dictionaries(st.sampled_from(KEYS), ANYTHING, min_size=1))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_a_description_or_one_error(change: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "set"
    if not root.exists():
        data_set(root)
    description = json.loads((root / "dataset.json").read_text()) | change
    for split in ("train", "val"):
        try:
            data = Described(root, split, description)
            data.label(0)
        except (ValueError, OSError) as error:
            assert str(error) and "\n" not in str(error)


@given(content=st.binary() | st.text().map(str.encode))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_list_or_one_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    try:
        entries = read_entries(path)
    except ValueError as error:
        assert "list.txt" in str(error) and "\n" not in str(error)
    else:
        assert entries and all(entry.image and "\0" not in entry.image for entry in entries)
