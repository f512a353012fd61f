"""Label many images into a folder: a job that was stopped goes on, and one damaged image stops nothing.

Results are written so that no other file is ever overwritten.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm.auto import tqdm

from dlseg.common.files import claim
from dlseg.crf import CRFParams
from dlseg.datasets.lists import ENDINGS, fixed_part
from dlseg.datasets.voc import save_png, write_indices
from dlseg.images import read_image
from dlseg.networks import Network
from dlseg.predict import Prediction, predict
from dlseg.predict.score_files import holds_scores, write_scores

Overlay = Callable[[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]], UInt8[np.ndarray, "H W 3"]]
# text entries of the PNG files: what wrote the file, and the SHA-256 of the picture that it is the result of
SOFTWARE, MAKER, SOURCE = "Software", "dlseg predict", "Source-SHA256"
# what no other picture would fare better with: a full disk, a full quota, a place that cannot be written
STOPS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Results:
    """The files of one picture: its labels, and where they were asked for an overlay and score maps."""

    picture: Path
    labels: Path
    overlay: Path | None = None
    scores: Path | None = None

    @classmethod
    def beside(cls, labels: Path, picture: Path, overlay: bool, scores: bool) -> Results:
        """All files, named after the labels': NAME.png, NAME_overlay.png, NAME.npz."""
        return cls(
            picture,
            labels,
            labels.with_name(f"{labels.stem}_overlay.png") if overlay else None,
            labels.with_suffix(".npz") if scores else None,
        )

    def files(self) -> list[Path]:
        """Every file that `write` will write."""
        return [path for path in (self.labels, self.overlay, self.scores) if path is not None]

    def done(self) -> bool:
        """Whether the labels are there.

        Raises ValueError where they are those of another picture, or of this one before it was changed, and
        FileNotFoundError where the picture is no file.
        """
        if not self.picture.is_file():  # a name that leads nowhere, or to a pipe that would be waited for
            raise FileNotFoundError(f"image: no file {str(self.picture)!r}")
        if not self.labels.exists():
            return False
        if notes(self.labels).get(SOURCE) != sha256(self.picture):
            raise ValueError(
                f"{str(self.labels)!r} is the result of another picture, or of {self.picture.name} "
                "before it was changed; remove it or name another folder"
            )
        return True

    def write(
        self, found: Prediction, net: Network, image: UInt8[np.ndarray, "H W 3"], draw: Overlay | None
    ) -> None:
        """All files; the labels last, since they say that the picture is done."""
        self.labels.parent.mkdir(parents=True, exist_ok=True)
        texts = {SOFTWARE: MAKER, SOURCE: sha256(self.picture)}
        if self.scores is not None:
            write_scores(self.scores, found.coarse, net.grid)
        if self.overlay is not None and draw is not None:
            save_png(Image.fromarray(draw(image, found.labels)), self.overlay, texts)
        write_indices(found.labels, self.labels, texts)


def refuse_overwriting(results: Sequence[Results]) -> None:
    """Raise ValueError where writing `results` would destroy a picture, a file not made here, or one another."""
    pictures = {os.path.realpath(each.picture): each.picture for each in results}
    owner: dict[str, Path] = {}
    for each in results:
        for path in each.files():
            place = os.path.realpath(path)  # unlike `resolve` without an error for links in a circle
            if place in pictures:
                raise ValueError(
                    f"--out: {str(path)!r} is itself a picture to be labelled and would be "
                    "overwritten; expected another name or folder"
                )
            if path.exists() and not made_here(path):
                raise ValueError(
                    f"--out: {str(path)!r} is there already and dlseg predict did not make it; name "
                    "another file or folder, or remove it first"
                )
            if place in owner:
                raise ValueError(
                    f"--out: the results of {owner[place].name} and {each.picture.name} would both be "
                    f"called {path.name}; rename one of these pictures"
                )
            owner[place] = each.picture


def made_here(path: Path) -> bool:
    """Whether `dlseg predict` wrote this file, which it may then write anew."""
    if path.suffix == ".npz":
        return holds_scores(path)
    return notes(path).get(SOFTWARE) == MAKER


def notes(path: Path) -> dict[str, str]:
    """The text entries of a PNG file; none for any other file. The pixels are not read."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return {str(key): value for key, value in picture.info.items() if isinstance(value, str)}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return {}


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def images_in(folder: str | Path, nested: bool = False) -> list[Path]:
    """The image files of a folder, by name, without the results that `dlseg predict` wrote there.

    With `nested` also those of the folders in it, though not of links to folders. Files whose name begins with a
    dot are left out; a link that leads nowhere is an image like others, and its fault is found when it is read.

    Args:
        folder: where to look.
        nested: look into its folders, too.

    Raises:
        FileNotFoundError: there is none.
        ValueError: two would have the same result.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name in ("b.jpg", "a.png", "notes.txt"):
    ...         (Path(place) / name).touch()
    ...     [path.name for path in images_in(place)]
    ['a.png', 'b.jpg']
    """
    paths = Path(folder).rglob("*") if nested else Path(folder).iterdir()
    files = sorted(path for path in paths if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
    found = [path for path in files if _is_picture(path)]
    if not found:
        inside = "" if nested else "; --nested looks into its folders, too"
        raise FileNotFoundError(f"images: none in {str(folder)!r} (looked for {', '.join(ENDINGS)}{inside})")
    twice = [path for path, count in Counter(path.with_suffix("") for path in found).items() if count > 1]
    if twice:
        raise ValueError(
            f"images: {twice[0].name} is there with several endings; their results would have one name"
        )
    return found


def collect(sources: Sequence[Path], nested: bool = False) -> dict[Path, str]:
    """The images that files, folders and patterns with stars name → what their results are called.

    A result is called as its image; one from a folder inside a folder (or inside the part of a pattern before its
    first star) is in a folder of that name, and so are files given one by one of which several have one name.

    Args:
        sources: what to label.
        nested: look into the folders of folders, too.

    Raises:
        FileNotFoundError: a source without an image.
        ValueError: as `images_in`.

    >>> collect([Path("a/0.jpg"), Path("b/1.jpg")]) == {Path("a/0.jpg"): "0", Path("b/1.jpg"): "1"}
    True
    >>> list(collect([Path("a/0.jpg"), Path("b/0.jpg")]).values())
    ['a/0', 'b/0']
    """
    found: dict[Path, str] = {}
    single = _names_of_files([source for source in sources if not source.is_dir()])
    for source in sources:
        if source.is_dir():
            new = {path: _name(path, str(source)) for path in images_in(source, nested)}
        elif source.exists() or not any(sign in str(source) for sign in "*?["):
            new = {source: single[source]}
        else:
            base = fixed_part(str(source))
            paths = sorted(Path(source.anchor).glob(str(source.relative_to(source.anchor))))
            new = {path: _name(path, base) for path in paths if _is_picture(path)}
            if not new:
                raise FileNotFoundError(f"images: no file is called {str(source)!r}")
        known = {os.path.realpath(path) for path in found}
        found |= {path: name for path, name in new.items() if os.path.realpath(path) not in known}
    return found


def _name(path: Path, base: str) -> str:
    return path.relative_to(base).with_suffix("").as_posix()


def _names_of_files(files: Sequence[Path]) -> dict[Path, str]:
    """What the results of single files are called: as these, with the folders in which they differ where needed."""
    if len({path.stem for path in files}) == len(set(files)):
        return {path: path.stem for path in files}
    places = {path: Path(os.path.normpath(path.absolute())) for path in files}
    base = os.path.commonpath([place.parent for place in places.values()])
    return {path: _name(place, base) for path, place in places.items()}


def _is_picture(path: Path) -> bool:
    """Whether a path is to be labelled: no folder, and no result of ours. A pipe is not opened: it would block."""
    return not path.is_dir() and not (path.is_file() and made_here(path))


def label_all(
    net: Network,
    images: Sequence[Path],
    out: str | Path,
    crf: CRFParams | None = None,
    kernel: str | None = None,
    *,
    names: Sequence[str] | None = None,
    tile: int | None = None,
    overlay: Overlay | None = None,
    scores: bool = False,
    progress: bool = False,
) -> dict[str, str]:
    """Write OUT/NAME.png, a palette PNG of class numbers, for each image; those that are there are not done again.

    Args:
        net: a segmentation network.
        images: files.
        names: what their results are called, NAME for NAME.png; by default as the images.
        out: a folder; `job.json` in it notes with what it was made.
        crf: parameters of the CRF, or None.
        kernel: the CRF's.
        tile: see `predict`.
        overlay: makes the picture for NAME_overlay.png, from the image and its labels; None leaves it out.
        scores: also write NAME.npz: `logits` (C, h, w) at stride 8, and `grid`, their stride and offset.
        progress: show a progress bar.

    Returns:
        What is wrong with each image that could not be labelled, by its file's name.

    Raises:
        ValueError: the folder holds results made with something else, or a result would overwrite a picture, a
            file that was not made here, or another picture's result.
    """
    out = Path(out)
    called = [path.stem for path in images] if names is None else names
    results = [
        Results.beside(out / f"{name}.png", path, overlay is not None, scores)
        for path, name in zip(images, called, strict=True)
    ]
    refuse_overwriting(results)
    claim(
        out,
        "job.json",
        {
            "net": digest(net),
            "crf": None if crf is None else asdict(crf),
            "kernel": kernel,
            "overlay": overlay is not None,
            "scores": scores,
        },
    )
    faults: dict[str, str] = {}
    for each in _shown(results, progress):
        try:
            if not each.done():
                image = read_image(each.picture)
                each.write(predict(net, image, crf, kernel, tile), net, image, overlay)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno in STOPS:
                raise
            unique = [path.name for path in images].count(each.picture.name) == 1
            faults[each.picture.name if unique else str(each.picture)] = str(error)
    return faults


def _shown(results: Sequence[Results], progress: bool) -> Iterable[Results]:
    return tqdm(results, unit="image", leave=False, disable=not progress)


def digest(net: Network) -> str:
    """SHA-256 of a network's kind and weights: what tells results apart.

    >>> from dlseg.networks import create
    >>> net = create("deeplab", 3, width=1 / 16)
    >>> digest(net) == digest(net), len(digest(net))
    (True, 64)
    """
    found = hashlib.sha256(repr(net.spec).encode())
    for name, value in net.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
