"""What the CRF studio works on: an image, and a unary from a network or from scribbles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dlseg.crf.labels import label_probabilities
from dlseg.widgets.planes import UNSAID

SCRIBBLE_NAMES = ("background", "thing 1", "thing 2", "thing 3")
CONFIDENCE = 0.9  # that a scribble is right: a hand says more than a network


@dataclass(frozen=True, eq=False)
class Subject:
    """An image (H, W, 3) with the names of its labels, and either `probs` (C, H, W) or `scribbles` (H, W)."""

    image: UInt8[np.ndarray, "H W 3"]
    names: tuple[str, ...]
    probs: Float[np.ndarray, "C H W"] | None = None
    scribbles: UInt8[np.ndarray, "H W"] | None = None
    truth: np.ndarray | None = None
    note: str = ""  # what a user should know of the image's size

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    def unary(self) -> Float[np.ndarray, "C H W"]:
        """The probabilities that the CRF starts from; without any scribble all labels are equally likely."""
        if self.probs is not None:
            return self.probs
        assert self.scribbles is not None
        count = len(self.names)
        if (self.scribbles == UNSAID).all():
            return np.full((count, *self.size), 1 / count, np.float32)
        return label_probabilities(self.scribbles, self.size, count, CONFIDENCE).reshape(count, *self.size)


def blank(image: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """No scribbles on an image (H, W, 3)."""
    return np.full(image.shape[:2], UNSAID, np.uint8)


def make_subject(image: Any, probs: Any, truth: Any, scribbles: Any, classes: Sequence[str]) -> Subject:
    """A subject from what a user gave; without `probs` and `scribbles`, one to scribble on.

    Raises:
        ValueError, TypeError: an argument of the wrong kind or shape; it says which.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image: expected uint8 of shape (H, W, 3), got {image.dtype} {image.shape}")
    if truth is not None and np.shape(truth) != image.shape[:2]:
        raise ValueError(f"truth: expected shape {image.shape[:2]}, got {np.shape(truth)}")
    truth = None if truth is None else np.asarray(truth)
    if probs is not None:
        if scribbles is not None:
            raise TypeError("probs, scribbles: got both, expected one: what the CRF starts from")
        probs = np.asarray(probs)
        names = tuple(classes) or tuple(f"class {index}" for index in range(len(probs)))
        return Subject(image, names, probs, None, truth)
    names = tuple(classes) or SCRIBBLE_NAMES
    if len(names) < 2:
        raise ValueError(f"classes: got {list(names)}, expected two names or more, background first")
    return Subject(image, names, None, _checked(scribbles, image, len(names)), truth)


def _checked(scribbles: Any, image: np.ndarray, count: int) -> np.ndarray:
    if scribbles is None:
        return blank(image)
    array = np.asarray(scribbles)
    if array.shape != image.shape[:2] or array.dtype.kind not in "iu":
        raise ValueError(
            f"scribbles: expected whole numbers of shape {image.shape[:2]}, got {array.dtype} {array.shape}"
        )
    wrong = array[(array != UNSAID) & ((array < 0) | (array >= count))]
    if wrong.size:
        raise ValueError(f"scribbles: got label {wrong[0]}, expected 0 … {count - 1}, or {UNSAID} for nothing said")
    return array.astype(np.uint8)
