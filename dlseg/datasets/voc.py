"""Data sets in PASCAL VOC's layout: JPEGImages/NAME.jpg, SegmentationClass/NAME.png, a list of names per split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from dlseg.images import image_size, is_turned, read_image

Colour = tuple[int, ...]
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
    """One picture: its name, RGB pixels, and class indices (255 = void), or None in a split without labels."""

    name: str
    image: UInt8[np.ndarray, "H W 3"]
    label: UInt8[np.ndarray, "H W"] | None


def palette() -> UInt8[np.ndarray, "256 3"]:
    """VOC's colour map: the bits of an index, dealt in turn to red, green and blue from the highest bit down."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for place in range(8):
        colours[:, place % 3] |= (index >> place & 1) << (7 - place // 3)
    return colours.astype(np.uint8)


class Dataset:
    """The pictures that one list of a VOC folder names, read from disk when asked for.

    A folder may say what its classes are called in `classes.json` ({"classes": ["background", …]}); without it they
    are VOC's twenty-one. `labels` is the folder of the labels; by default the one that `labels_folder` finds.
    """

    def __init__(self, root: str | Path, split: str, labels: str | None = None) -> None:
        self.root, self.split = Path(root), split
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder; expected a data set in VOC's layout")
        self.names = read_list(self.root, split)
        self.classes = read_classes(self.root)
        self.labels = labels or labels_folder(self.root, split)
        self.labelled = has_labels(self.root, self.names, self.labels)

    @property
    def num_classes(self) -> int:
        """How many classes there are, background included, void not."""
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> list[Path]:
        """Every image's file."""
        return [image_path(self.root, name) for name in self.names]

    @property
    def label_files(self) -> list[Path]:
        """Every label's file; none in a split without labels."""
        return [label_path(self.root, name, self.labels) for name in self.names] if self.labelled else []

    def __getitem__(self, index: int) -> Sample:
        name = self.names[index]
        path = image_path(self.root, name)
        image, label = read_image(path), self._label(index)
        if label is not None and label.shape != image.shape[:2]:
            raise ValueError(mismatch(label_path(self.root, name, self.labels), label, path))
        return Sample(name, image, label)

    def label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        """Class indices alone, or None in a split without labels; the image is asked for its size only."""
        label, path = self._label(index), image_path(self.root, self.names[index])
        if label is not None and label.shape != image_size(path):
            raise ValueError(mismatch(label_path(self.root, self.names[index], self.labels), label, path))
        return label

    def _label(self, index: int) -> UInt8[np.ndarray, "H W"] | None:
        if not self.labelled:
            return None
        path = label_path(self.root, self.names[index], self.labels)
        label = read_indices(path, label_modes(self.labels))
        refuse_values(path, label, self.num_classes)
        refuse_renumbered(path, label, self.classes)
        return label

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
    """What is said of a label that has not its image's size."""
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
    if not path.exists():
        return CLASSES
    if not path.is_file():
        raise ValueError(message(str(path), "a folder", "a file"))
    said = read_object_file(path)
    if "classes" not in said:
        raise ValueError(message(str(path), said, '{"classes": ["background", …]}'))
    return class_names(said["classes"], path)


def read_indices(path: Path, modes: tuple[str, ...] = ("P",)) -> UInt8[np.ndarray, "H W"]:
    """The indices stored in a palette PNG: never a conversion of its colours. Mode "L" allows grey ones.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a PNG, cut short, or not one with a palette.
    """
    try:
        with Image.open(path) as file:
            mode, indices = file.mode, np.array(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing label of a picture of this split") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises whatever a broken file leads it to
        raise ValueError(f"{path}: not a whole PNG file ({error})") from error
    if mode not in modes:
        grey = "a palette or grey PNG (mode P or L)" if "L" in modes else "a palette PNG (mode P)"
        raise ValueError(
            f"{path}: expected {grey}, whose indices are the classes; got mode {mode} (`values` in a "
            "dataset.json says what colours, bits or 16-bit values mean)"
        )
    return indices


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
        raise ValueError(f"{path}: values {wrong} are neither a class (0 to {num_classes - 1}) nor void ({VOID})")
