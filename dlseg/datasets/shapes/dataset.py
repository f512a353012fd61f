"""The embedded data set: scenes of textured things told apart by their shape alone, made from a seed.

Everything in a picture is a function of (seed, split, number): any process can make any picture, in any order, and
gets the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image
from tqdm.auto import tqdm

from dlseg.common.files import make_whole
from dlseg.datasets import voc
from dlseg.datasets.shapes import png
from dlseg.datasets.shapes.render import CLASSES, portrait, scene
from dlseg.datasets.shapes.rng import Dice

__all__ = ["CLASSES", "SPLITS", "VERSION", "classification", "make", "picture"]

VERSION = 3  # raised whenever any picture changes, so that no cache of older ones is taken for these
SPLITS = {
    "train": 0,
    "val": 1,
}  # part of every picture's key: val does not depend on how many train pictures there are
PORTRAIT = 2
CHUNK = 25  # pictures per task: progress in small steps, little talk between processes
T = TypeVar("T")


def picture(
    seed: int, split: str, number: int
) -> tuple[UInt8[np.ndarray, "128 128 3"], UInt8[np.ndarray, "128 128"]]:
    """Scene `number` (from 1) of a split, and its label: class indices, 255 on the ring round things."""
    return scene(Dice(seed, SPLITS[split], number))


def classification(
    seed: int, count: int, size: int = 128, jobs: int = 1
) -> tuple[UInt8[np.ndarray, "N size size 3"], Int64[np.ndarray, " N"]]:
    """Pictures of one thing each and its class (1 to 12): what ImageNet is to VOC, these are to the scenes.

    Args:
        seed: which pictures; they share nothing with the scenes of the same seed.
        count: how many.
        size: side in pixels.
        jobs: processes; -1 for one per core.

    Raises:
        ValueError: a number out of range.
    """
    _at_least("seed", seed, 0)
    _at_least("count", count, 1)
    _at_least("size", size, 16)
    tasks = [(_portraits, (seed, numbers, size)) for numbers in _chunks(count)]
    parts = list(_run(tasks, jobs))
    return np.concatenate([images for images, _ in parts]), np.concatenate([indices for _, indices in parts])


def make(
    out: str | Path,
    seed: int = 0,
    train: int = 2000,
    val: int = 240,
    jobs: int = -1,
    progress: bool = True,
    replace: bool = False,
) -> str:
    """Write the data set in VOC's layout, whole or not at all, and return its tree hash.

    Args:
        out: the folder; made with its parents. One that the same call made before is left as it is.
        seed: which pictures.
        train: how many in the train split.
        val: how many in the val split.
        jobs: processes; -1 for one per core. The bytes do not depend on it.
        progress: show a progress bar.
        replace: throw away what stands in `out` if it was made here, but by another call, or was changed since.

    Raises:
        ValueError: a number out of range.
        FileExistsError: the folder holds something else.
        OSError: the folder cannot be written.
    """
    _at_least("seed", seed, 0)
    counts = {"train": train, "val": val}
    for name, count in counts.items():
        _at_least(name, count, 1)
    recipe = {"data": "shapes", "version": VERSION, "seed": seed, **counts}
    return make_whole(Path(out), recipe, lambda folder: _fill(folder, seed, counts, jobs, progress), replace)


def folder_name(seed: int = 0, train: int = 2000, val: int = 240) -> str:
    """What a set made with these settings is called in the cache."""
    return f"shapes-{VERSION}-seed{seed}-{train}-{val}"


def _fill(folder: Path, seed: int, counts: dict[str, int], jobs: int, progress: bool) -> None:
    lists = folder / "ImageSets" / "Segmentation"
    for path in (folder / "JPEGImages", folder / "SegmentationClass", lists):
        path.mkdir(parents=True)
    tasks = [(write, (folder, seed, split, numbers)) for split, n in counts.items() for numbers in _chunks(n)]
    with tqdm(total=sum(counts.values()), desc="shapes", unit="picture", disable=not progress) as bar:
        for written in _run(tasks, jobs):
            bar.update(written)
    (folder / "classes.json").write_bytes(
        json.dumps({"name": "shapes", "classes": CLASSES}, indent=1).encode() + b"\n"
    )
    for split, count in counts.items():
        names = [file_name(split, number) for number in range(1, count + 1)]
        (lists / f"{split}.txt").write_bytes("".join(f"{name}\n" for name in names).encode())


def file_name(split: str, number: int) -> str:
    """What a picture is called in the lists."""
    return f"shapes_{split}_{number:05d}"


def write(folder: Path, seed: int, split: str, numbers: Iterable[int]) -> int:
    """Write these pictures of a split and their labels; how many they were."""
    colours, written = voc.palette(), 0
    for number in numbers:
        image, label = picture(seed, split, number)
        name = file_name(split, number)
        (folder / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg(image))
        (folder / "SegmentationClass" / f"{name}.png").write_bytes(png.encode(label, colours))
        written += 1
    return written


def jpeg(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A baseline JPEG file: libjpeg's integer DCT and fixed tables give the same bytes wherever libjpeg-turbo runs.

    Colour is not subsampled: at 128 pixels that would smear it over thin parts whole.
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90, subsampling=0, optimize=False, progressive=False)
    return file.getvalue()


def _portraits(
    seed: int, numbers: range, size: int
) -> tuple[UInt8[np.ndarray, "N size size 3"], Int64[np.ndarray, " N"]]:
    pairs = [portrait(Dice(seed, PORTRAIT, number), size) for number in numbers]
    return np.stack([image for image, _ in pairs]), np.array([index for _, index in pairs], np.int64)


def _chunks(count: int) -> list[range]:
    return [range(first, min(first + CHUNK, count + 1)) for first in range(1, count + 1, CHUNK)]


def _run(tasks: list[tuple[Callable[..., T], tuple]], jobs: int) -> Iterator[T]:
    """The results of the calls, in order, one at a time."""
    if jobs == 0:
        raise ValueError("jobs: expected a number of processes, or -1 for one per core; got 0")
    # workers that outlive a killed run end soon after their last task
    pool = joblib.Parallel(n_jobs=jobs, return_as="generator", idle_worker_timeout=5)
    return pool(joblib.delayed(call)(*args) for call, args in tasks)


def _at_least(name: str, value: int, low: int) -> None:
    if value < low:
        raise ValueError(f"{name}: expected a whole number, {low} or more; got {value!r}")
