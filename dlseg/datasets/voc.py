"""Data sets in PASCAL VOC's layout: JPEGImages/NAME.jpg, SegmentationClass/NAME.png, a list of names per split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.common.files import whole_file
from dlseg.common.json_objects import read_object_file
from dlseg.datasets.lists import class_names, read_entries, stem
from dlseg.images import ImageError, frames, image_size, is_turned, opened, orientation, read_image

Colour = tuple[int, ...]
SHOWN = 8  # values spelled out in a message
LABELS, AUGMENTED = "SegmentationClass", "SegmentationClassAug"
CLASSES: tuple[str, ...] = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


@dataclass(frozen=True)
class Sample:
    """One picture of a data set.

    Attributes:
        name: of its file, without folder and ending.
        image: RGB pixels, (H, W, 3) uint8.
        label: class indices (H, W), 255 void; None in a split without labels.

    >>> sample = Sample("a", np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, 255], [0, 1, 1]], np.uint8))
    >>> sample.image.shape, sample.label.max()
    ((2, 3, 3), np.uint8(255))
    """

    name: str
    image: UInt8[np.ndarray, "H W 3"]
    label: UInt8[np.ndarray, "H W"] | None


def palette() -> UInt8[np.ndarray, "256 3"]:
    """VOC's colour map: the bits of an index go in turn to red, green and blue, from their highest bit down.

    Returns:
        The colour of each index, (256, 3).

    >>> palette()[[0, 1, 15, 255]].tolist()  # background, aeroplane, person, void
    [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    index = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for place in range(8):
        colours[:, place % 3] |= (index >> place & 1) << (7 - place // 3)
    return colours.astype(np.uint8)


class Dataset:
    """The pictures that one list of a VOC folder names, read from disk when asked for.

    A folder may say what its classes are called in `classes.json` ({"classes": ["background", …]}); without it they
    are VOC's twenty-one.

    Args:
        root: the folder.
        split: the list's name.
        labels: the folder of the labels; by default the one that `labels_folder` finds.
        classes: instead of the folder's own.

    Raises:
        FileNotFoundError: no such folder or list.
        ValueError: a list or a `classes.json` that is none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
    ...         (Path(folder) / part).mkdir(parents=True)
    ...     Image.new("RGB", (4, 3)).save(Path(folder) / "JPEGImages" / "a.jpg")
    ...     write_indices(np.ones((3, 4), np.uint8), Path(folder) / "SegmentationClass" / "a.png")
    ...     _ = (Path(folder) / "ImageSets" / "Segmentation" / "val.txt").write_text("a")
    ...     data = Dataset(folder, "val")
    ...     print(len(data), data.names, data.num_classes, data[0].image.shape, data.label(0).max())
    1 ['a'] 21 (3, 4, 3) 1
    """

    def __init__(
        self, root: str | Path, split: str, labels: str | None = None, classes: tuple[str, ...] | None = None
    ) -> None:
        self.root, self.split = Path(root), split
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder; expected a data set in VOC's layout")
        self.names = read_list(self.root, split)
        self.classes = classes or read_classes(self.root)
        self.labels = labels or labels_folder(self.root, split)
        self.labelled = has_labels(self.root, self.names, self.labels)
        self.stores_indices = True  # its labels hold the classes' numbers

    @property
    def num_classes(self) -> int:
        """How many classes there are, background included, void not."""
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> list[Path]:
        """Every image's file."""
        return [self.image_file(i) for i in range(len(self))]

    @property
    def label_files(self) -> list[Path]:
        """Every label's file; none in a split without labels."""
        return [self.label_file(i) for i in range(len(self))] if self.labelled else []

    def image_file(self, index: int) -> Path:
        """The image's file of one picture."""
        return image_path(self.root, self.names[index])

    def label_file(self, index: int) -> Path:
        """The label's file of one picture, in a split with labels."""
        return label_path(self.root, self.names[index], self.labels)

    def read_label(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Class indices alone, in a split with labels; the image is not looked at."""
        path = self.label_file(index)
        label = read_indices(path, label_modes(self.labels))
        refuse_values(path, label, self.num_classes)
        refuse_renumbered(path, label, self.classes)
        return label

    def label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        """Class indices alone, or None in a split without labels; the image is asked for its size only."""
        return self._label(index, None)

    def _label(self, index: int, size: tuple[int, ...] | None) -> UInt8[np.ndarray, "H W"] | None:
        if not self.labelled:
            return None
        label = self.read_label(index)
        if label.shape != (size or image_size(self.image_file(index))):
            raise ValueError(mismatch(self.label_file(index), label, self.image_file(index)))
        return label

    def __getitem__(self, index: int) -> Sample:
        name, image = self.names[index], read_image(self.image_file(index))
        return Sample(name, image, self._label(index, image.shape[:2]))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


def image_path(root: Path, name: str) -> Path:
    """Where a picture is."""
    return root / "JPEGImages" / f"{name}.jpg"


def label_path(root: Path, name: str, labels: str = LABELS) -> Path:
    """Where a picture's label is, if it has one."""
    return root / labels / f"{name}.png"


def has_labels(root: Path, names: list[str], labels: str = LABELS) -> bool:
    """Whether any of these has a label; where none has, they are a list without labels, as VOC's own test list."""
    return any(label_path(root, name, labels).is_file() for name in names)


def size(array: np.ndarray) -> str:
    """Width × height, for messages."""
    return f"{array.shape[1]}×{array.shape[0]}"


def mismatch(label_file: Path, label: UInt8[np.ndarray, "H W"], image_file: Path) -> str:
    """The message about a label that has not its image's size."""
    height, width = image_size(image_file)
    text = f"{label_file}: the label is {size(label)} pixels, its image {width}×{height}"
    if label.shape == (width, height):
        text += (
            (
                f"; {image_file.name} is turned by its EXIF tag and the label is not: turn the label, or save the "
                "image turned and without the tag"
            )
            if is_turned(image_file)
            else "; it seems to be turned"
        )
    return text


def splits(root: Path) -> list[str]:
    """The names of a folder's lists."""
    return sorted(path.stem for path in (root / "ImageSets" / "Segmentation").glob("*.txt"))


def read_list(root: Path, split: str) -> list[str]:
    """The names in `ImageSets/Segmentation/SPLIT.txt`: one a line, or paths of an image and its label."""
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(splits(root)) or "none"
        raise FileNotFoundError(f"split {split!r}: no list {path}; lists there: {there}")
    return [stem(entry.image) for entry in read_entries(path)]


def labels_folder(root: Path, split: str) -> str:
    """Where a list's labels are.

    In the folder that its second column names, else SegmentationClassAug for a list …_aug, else SegmentationClass.

    Raises ValueError for a second column that leads to several folders, or to labels called otherwise than images.
    """
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    entries = [(entry.image, entry.label) for entry in read_entries(path) if entry.label is not None]
    for image, label in entries:
        if stem(image) != stem(label or ""):
            raise ValueError(
                f"{path}: got the label {label!r} for the image {image!r}, expected one of the same name"
            )
    named = {PurePosixPath((label or "").replace("\\", "/")).parent.name for _, label in entries}
    there = sorted(name for name in named if name and (root / name).is_dir())
    if len(there) > 1:
        raise ValueError(f"{path}: got labels in {', '.join(there)}, expected one folder")
    if there:
        return there[0]
    return AUGMENTED if split.endswith("_aug") and (root / AUGMENTED).is_dir() else LABELS


def label_modes(labels: str) -> tuple[str, ...]:
    """Which PNGs are labels: in VOC's own folder those with a palette; augmented sets go round as grey ones too."""
    return ("P",) if labels == LABELS else ("P", "L")


def read_classes(root: Path) -> tuple[str, ...]:
    """The class names of a folder, "background" first."""
    path = root / "classes.json"
    if not os.path.lexists(path):
        return CLASSES
    if not path.is_file():
        raise ValueError(message(str(path), "a folder" if path.is_dir() else "a link or a pipe", "a file"))
    content = read_object_file(path)
    if "classes" not in content:
        raise ValueError(message(str(path), content, '{"classes": ["background", …]}'))
    return class_names(content["classes"], path)


@contextmanager
def label_picture(path: Path) -> Iterator[Image.Image]:
    """The picture in a label file, its pixels not yet read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole picture, or one whose values cannot be trusted: a JPEG (they change when it is
            saved), several pictures in one file, or one that is turned by its EXIF tag.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing label of a picture of this split")
    try:
        with opened(path, "label") as picture:
            if picture.format in ("JPEG", "MPO", "AVIF"):
                raise ImageError(
                    message(str(path), f"a {picture.format} file, whose values change when saved", "a PNG")
                )
            if (count := frames(picture)) > 1:
                raise ImageError(message(str(path), f"{count} pictures in one file", "one"))
            if orientation(picture) > 1:
                fix = "save it turned and without the tag"
                raise ImageError(message(str(path), "a label that is turned by its EXIF tag", "one without", fix))
            yield picture
    except ImageError as error:
        text = str(error).replace(f"label: {str(path)!r} ", f"{path}: ")
        raise ValueError(text) from error


def read_indices(path: Path, modes: tuple[str, ...] = ("P",)) -> UInt8[np.ndarray, "H W"]:
    """The indices stored in a palette PNG: never a conversion of its colours.

    Args:
        path: the file.
        modes: Pillow's names of the kinds that are taken: "P" with a palette, "L" grey.

    Returns:
        The indices, (H, W).

    Raises:
        FileNotFoundError: no such file.
        ValueError: as `label_picture`, or of another kind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_indices(np.array([[0, 15, 255]], np.uint8), Path(folder) / "a.png")
    ...     read_indices(Path(folder) / "a.png")
    array([[  0,  15, 255]], dtype=uint8)
    """
    with label_picture(path) as picture:
        if picture.mode in modes:
            return np.array(picture)
        mode = picture.mode
    grey = "a palette or grey PNG (mode P or L)" if "L" in modes else "a palette PNG (mode P)"
    raise ValueError(
        f"{path}: got mode {mode} (`values` in a dataset.json says what colours, bits or 16-bit values mean), "
        f"expected {grey}, whose indices are the classes"
    )


def used_colours(path: Path, label: UInt8[np.ndarray, "H W"]) -> dict[int, Colour]:
    """The palette's colour of each index that a label file holds; none for a file without a palette."""
    with Image.open(path) as file:
        stored = file.getpalette("RGB") if file.mode == "P" else None
    colours = np.array(stored or [], np.uint8).reshape(-1, 3)
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    return {int(i): tuple(colours[i].tolist()) for i in present if i < len(colours)}


def refuse_renumbered(path: Path, label: UInt8[np.ndarray, "H W"], classes: tuple[str, ...]) -> None:
    """Raise ValueError for a palette that an image editor has put in another order: its indices are not classes.

    Known by VOC's colours at other indices than VOC's; for classes of one's own, by VOC's colour of void alone.
    """
    own = {tuple(colour): index for index, colour in enumerate(palette().tolist())}
    used = used_colours(path, label)
    wrong = {i: own[colour] for i, colour in used.items() if own.get(colour, i) != i}
    if classes != CLASSES or any(colour not in own for colour in used.values()):
        wrong = {i: j for i, j in wrong.items() if j == VOID}
    if wrong:
        words = ", ".join(f"{i} has the colour of {j}" + (" (void)" if j == VOID else "") for i, j in wrong.items())
        raise ValueError(
            f"{path}: the palette is not in VOC's order: index {words}; an editor has renumbered it. "
            "Expected VOC's indices: take the original file, or give each pixel its colour's index"
        )


def with_palette(label: UInt8[np.ndarray, "H W"]) -> Image.Image:
    """Class numbers as a picture with VOC's palette."""
    picture = Image.fromarray(label, mode="P")
    picture.putpalette(palette().tobytes())
    return picture


def write_indices(label: UInt8[np.ndarray, "H W"], path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write class numbers as a PNG with VOC's palette, whole or not at all; `notes` become its text entries."""
    save_png(with_palette(label), path, notes)


def save_png(picture: Image.Image, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a PNG, whole or not at all, with `notes` as its text entries."""
    texts = PngInfo()
    for key, value in (notes or {}).items():
        texts.add_text(key, value)
    with whole_file(path) as draft:
        picture.save(draft, format="PNG", pnginfo=texts)


def refuse_values(path: Path, label: UInt8[np.ndarray, "H W"], num_classes: int) -> None:
    """Raise ValueError if a label holds anything but classes and void."""
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    wrong = present[(present >= num_classes) & (present != VOID)].tolist()
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ValueError(
            f"{path}: values {wrong[:SHOWN]}{more} are neither a class (0 to {num_classes - 1}) nor void ({VOID})"
        )
