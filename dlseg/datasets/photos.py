"""A few real photographs, with scribbles by hand that mark roughly what is where: unaries for the CRF."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dlseg.common.json_objects import read_object_file
from dlseg.datasets.paths import EMBEDDED
from dlseg.datasets.voc import read_indices, refuse_values, size
from dlseg.images import read_image


class Photo(NamedTuple):
    """RGB pixels; scribbles (label indices, 255 = unknown); what the labels are called, "background" first."""

    image: UInt8[np.ndarray, "H W 3"]
    scribbles: UInt8[np.ndarray, "H W"]
    names: tuple[str, ...]


def photos(folder: Path | None = None) -> list[str]:
    """The photographs' names.

    Args:
        folder: where they and `photos.json` are; by default `data/photos` of the checkout.

    Raises:
        FileNotFoundError: dlseg was installed without its data.

    >>> "cat" in photos()
    True
    """
    return sorted(_labels(folder or EMBEDDED / "photos"))


def load_photo(name: str, folder: Path | None = None) -> Photo:
    """A photograph, its scribbles and the names of its labels.

    Args:
        name: one of `photos()`.
        folder: where they and `photos.json` are; by default `data/photos` of the checkout.

    Raises:
        KeyError: no photograph is called so; the message names those there are.
        FileNotFoundError: dlseg was installed without its data.
        ValueError: scribbles of another size, or with a value that has no name.

    >>> image, scribbles, names = load_photo("cat")
    >>> image.shape[:2] == scribbles.shape, names[0]
    (True, 'background')
    """
    folder = folder or EMBEDDED / "photos"
    labels = _labels(folder)
    if name not in labels:
        raise KeyError(f"photo: got {name!r}, expected one of {', '.join(sorted(labels))}")
    image, path = read_image(folder / f"{name}.jpg"), folder / f"{name}_scribbles.png"
    scribbles = read_indices(path)
    refuse_values(path, scribbles, len(labels[name]))
    if scribbles.shape != image.shape[:2]:
        raise ValueError(f"{path}: the scribbles are {size(scribbles)} pixels, the photograph {size(image)}")
    return Photo(image, scribbles, tuple(labels[name]))


def _labels(folder: Path) -> dict[str, list[str]]:
    """Photograph to label names, as `photos.json` tells."""
    path = folder / "photos.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not there; the photographs come with a checkout of dlseg, not with a wheel"
        )
    return read_object_file(path)
