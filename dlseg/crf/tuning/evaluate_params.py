"""What a search's workers do: build an image's lattices once, run every setting on them, count the labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

from dlseg.common.constants import VOID
from dlseg.crf.dense import DenseCRF
from dlseg.crf.params import CRFParams
from dlseg.crf.validation import to_numpy
from dlseg.evaluation import ConfusionMatrix, trimap_band

Counts = Integer[np.ndarray, "2 C C"]  # confusion matrices: of all pixels, and of the trimap band


class Scored(NamedTuple):
    """An image, the probabilities that a network gave it, and its true labels: what `search` takes.

    Args:
        name: of the image.
        image: (H, W, 3) uint8 RGB.
        probs: (C, H, W) probabilities.
        truth: (H, W) whole numbers, 255 void.

    >>> image, probs = np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5)
    >>> Scored("dark", image, probs, truth=np.zeros((4, 6), np.uint8)).name
    'dark'
    """

    name: str
    image: Any
    probs: Any
    truth: Any


@runtime_checkable
class Readable(Protocol):
    """Samples by number."""

    def __getitem__(self, index: int, /) -> Scored: ...


@runtime_checkable
class Samples(Readable, Protocol):
    """What can be searched on: a list of samples, or something that reads one when asked for it."""

    def __len__(self) -> int: ...


class Survey(NamedTuple):
    """What is known of a sample before any CRF: a digest of its content, its labels without one."""

    digest: str
    pixels: int
    counts: Counts


def survey(samples: Readable, index: int, trimap: int) -> Survey:
    """Reads one sample and counts its labels as they are without a CRF."""
    name, image, probs, truth = _read(samples, index)
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    for array in (image, probs, truth):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    counts = _count(probs.argmax(axis=0), truth, trimap_band(truth, trimap), len(probs))
    return Survey(digest.hexdigest(), truth.size, counts)


def evaluate_params(
    samples: Readable, indices: Sequence[int], group: Sequence[CRFParams], kernel: str, threads: int, trimap: int
) -> list[Counts]:
    """Counts of each setting of the group, summed over some samples; equal sigmas use the same lattices."""
    sums: list[Counts] = []
    for index in indices:
        _, image, probs, truth = _read(samples, index)
        band, crf = trimap_band(truth, trimap), DenseCRF(image, probs=probs, kernel=kernel, threads=threads)
        counts = [_count(crf.label(params), truth, band, len(probs)) for params in group]
        sums = [a + b for a, b in zip(sums, counts, strict=True)] if sums else counts
    return sums


def _read(samples: Readable, index: int) -> Scored:
    """A sample as arrays that belong together, or a ValueError that says which one does not."""
    try:
        name, *values = samples[index]
        image, probs, truth = (
            to_numpy(field, value) for field, value in zip(("image", "probs", "truth"), values, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"samples[{index}]: expected (name, image, probs, truth): {error}") from error
    if probs.ndim != 3 or truth.shape != probs.shape[1:] or image.shape[:2] != truth.shape:
        raise ValueError(
            f"samples[{index}] ({name}): image {image.shape}, probs {probs.shape}, truth "
            f"{truth.shape}; expected (H, W, 3), (C, H, W), (H, W)"
        )
    if truth.dtype.kind not in "iu":
        raise ValueError(f"samples[{index}] ({name}): truth of {truth.dtype}, expected whole numbers, {VOID} void")
    return Scored(str(name), image, probs, truth)


def _count(labels: np.ndarray, truth: np.ndarray, band: np.ndarray, classes: int) -> Counts:
    every, near = ConfusionMatrix(classes), ConfusionMatrix(classes)
    every.update(labels, truth)
    near.update(labels[band], truth[band])
    return np.stack([every.counts, near.counts])
