"""Result files of `dlseg predict`: written so that no other file is ever overwritten."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dlseg.datasets.voc import save_png, write_indices
from dlseg.networks import Network
from dlseg.predict import Prediction
from dlseg.predict.score_files import holds_scores, write_scores

Overlay = Callable[[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]], UInt8[np.ndarray, "H W 3"]]
# text entries of the PNG files: what wrote the file, and the SHA-256 of the picture that it is the result of
SOFTWARE, MAKER, SOURCE = "Software", "dlseg predict", "Source-SHA256"


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
