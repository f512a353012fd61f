"""Data sets that are made from a seed, not downloaded: every picture is a function of (seed, split, number).

Any process can make any picture, in any order, and gets the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image
from tqdm.auto import tqdm

from dlseg.common.checks import message, whole_number
from dlseg.common.files import make_whole
from dlseg.datasets import voc
from dlseg.datasets.shapes.png import encode
from dlseg.datasets.shapes.rng import Dice

SPLITS = {
    "train": 0,
    "val": 1,
}  # part of every picture's key: val does not depend on how many train pictures there are
PORTRAIT = 2
CHUNK = 25  # pictures per task: progress in small steps, little talk between processes
T = TypeVar("T")
Scene = tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]


@dataclass(frozen=True)
class Generated:
    """A data set made from a seed.

    Attributes:
        name: what it is called in `dlseg.datasets.load` and in file names.
        version: raised whenever any picture changes, so that no cache of older ones is taken for these.
        classes: their names, "background" first.
        scene: draws a picture and its label (255 on the ring round things).
        portrait: draws a picture of this size of one thing, and its class.
        side: of a portrait, where none is asked for, in pixels.
        train, val: how many pictures the splits have, where nothing else is asked for.
        quality: of the JPEG files.
        halved: whether they store colour at half the resolution, as cameras do.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    scene: Callable[[Dice], Scene]
    portrait: Callable[[Dice, int], tuple[UInt8[np.ndarray, "S S 3"], int]]
    side: int
    train: int = 2000
    val: int = 240
    quality: int = 90
    halved: bool = False

    def picture(self, seed: int, split: str, number: int) -> Scene:
        """Scene `number` (from 1) of a split, and its label: class indices, 255 on the ring round things."""
        return self.scene(Dice(seed, SPLITS[split], number))

    def classification(
        self, seed: int, count: int, size: int | None = None, jobs: int = 1
    ) -> tuple[UInt8[np.ndarray, "N S S 3"], Int64[np.ndarray, " N"]]:
        """Pictures of one thing each and its class (from 1): what ImageNet is to VOC, these are to the scenes.

        Args:
            seed: which pictures; they share nothing with the scenes of the same seed.
            count: how many.
            size: side in pixels; None for the data set's own.
            jobs: processes; -1 for one per core.

        Raises:
            ValueError: a number out of range.
        """
        whole_number("seed", seed)
        whole_number("count", count, 1)
        side = whole_number("size", self.side if size is None else size, 16)
        tasks = [(self._portraits, (seed, numbers, side)) for numbers in _chunks(count)]
        parts = list(_run(tasks, jobs))
        return np.concatenate([images for images, _ in parts]), np.concatenate([indices for _, indices in parts])

    def make(
        self,
        out: str | Path,
        seed: int = 0,
        train: int | None = None,
        val: int | None = None,
        jobs: int = -1,
        progress: bool = True,
        replace: bool = False,
    ) -> str:
        """Write the data set in VOC's layout, whole or not at all, and return its tree hash.

        Args:
            out: the folder; made with its parents. One that the same call made before is left as it is.
            seed: which pictures.
            train: how many in the train split; None for as many as the data set has.
            val: how many in the val split.
            jobs: processes; -1 for one per core. The bytes do not depend on it.
            progress: show a progress bar.
            replace: throw away what stands in `out` if it was made here, but by another call, or was changed since.

        Raises:
            ValueError: a number out of range.
            FileExistsError: the folder holds something else.
            OSError: the folder cannot be written.
        """
        whole_number("seed", seed)
        counts = {
            "train": whole_number("train", self.train if train is None else train, 1),
            "val": whole_number("val", self.val if val is None else val, 1),
        }
        recipe = {"data": self.name, "version": self.version, "seed": seed, **counts}
        return make_whole(
            Path(out), recipe, lambda folder: self._fill(folder, seed, counts, jobs, progress), replace
        )

    def folder_name(self, seed: int = 0, train: int | None = None, val: int | None = None) -> str:
        """What a set made with these settings is called in the cache."""
        counts = f"{self.train if train is None else train}-{self.val if val is None else val}"
        return f"{self.name}-{self.version}-seed{seed}-{counts}"

    def file_name(self, split: str, number: int) -> str:
        """What a picture is called in the lists."""
        return f"{self.name}_{split}_{number:05d}"

    def write(self, folder: Path, seed: int, split: str, numbers: Iterable[int]) -> int:
        """Write these pictures of a split and their labels; how many they were."""
        colours, written = voc.palette(), 0
        for number in numbers:
            image, label = self.picture(seed, split, number)
            name = self.file_name(split, number)
            (folder / "JPEGImages" / f"{name}.jpg").write_bytes(self.jpeg(image))
            (folder / "SegmentationClass" / f"{name}.png").write_bytes(encode(label, colours))
            written += 1
        return written

    def jpeg(self, image: UInt8[np.ndarray, "H W 3"]) -> bytes:
        """A baseline JPEG file: libjpeg's integer DCT and fixed tables give the same bytes with any libjpeg-turbo.

        Colour at half the resolution smears thin parts whole in a picture of 128 pixels.
        """
        file, subsampling = io.BytesIO(), 2 if self.halved else 0
        settings = {"quality": self.quality, "subsampling": subsampling, "optimize": False, "progressive": False}
        Image.fromarray(image).save(file, "JPEG", **settings)
        return file.getvalue()

    def _fill(self, folder: Path, seed: int, counts: dict[str, int], jobs: int, progress: bool) -> None:
        lists = folder / "ImageSets" / "Segmentation"
        for path in (folder / "JPEGImages", folder / "SegmentationClass", lists):
            path.mkdir(parents=True)
        tasks = [(self.write, (folder, seed, split, nos)) for split, n in counts.items() for nos in _chunks(n)]
        with tqdm(total=sum(counts.values()), desc=self.name, unit="picture", disable=not progress) as bar:
            for written in _run(tasks, jobs):
                bar.update(written)
        names = {"name": self.name, "classes": self.classes}
        (folder / "classes.json").write_bytes(json.dumps(names, indent=1).encode() + b"\n")
        for split, count in counts.items():
            lines = [f"{self.file_name(split, number)}\n" for number in range(1, count + 1)]
            (lists / f"{split}.txt").write_bytes("".join(lines).encode())

    def _portraits(
        self, seed: int, numbers: range, size: int
    ) -> tuple[UInt8[np.ndarray, "N S S 3"], Int64[np.ndarray, " N"]]:
        pairs = [self.portrait(Dice(seed, PORTRAIT, number), size) for number in numbers]
        return np.stack([image for image, _ in pairs]), np.array([index for _, index in pairs], np.int64)


def _chunks(count: int) -> list[range]:
    return [range(first, min(first + CHUNK, count + 1)) for first in range(1, count + 1, CHUNK)]


def _run(tasks: list[tuple[Callable[..., T], tuple]], jobs: int) -> Iterator[T]:
    """The results of the calls, in order, one at a time."""
    if jobs == 0:
        raise ValueError(message("jobs", 0, "a number of processes, or -1 for one per core"))
    # workers that outlive a killed run end soon after their last task
    pool = joblib.Parallel(n_jobs=jobs, return_as="generator", idle_worker_timeout=5)
    return pool(joblib.delayed(call)(*args) for call, args in tasks)
