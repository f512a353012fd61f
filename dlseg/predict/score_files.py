"""Score maps on disk: what a network gave, kept so that a CRF can be tuned without running the network again.

The one format, written here and read here. NAME.npz holds

    logits   (C, h, w) floats, the scores before the softmax; or `probs`, the probabilities after it
    grid     two whole numbers, stride and offset: position k of the map is pixel offset + stride · k of the image

`grid` may be missing, as in files of other programs: the h × w cells then cover the image evenly
(`align_corners=False`). A .npy file of logits alone is read so, too.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch.nn import functional as F
from tqdm.auto import tqdm

from dlseg.common.checks import message
from dlseg.common.files import whole_file
from dlseg.crf import Scored
from dlseg.datasets import Dataset
from dlseg.networks import Network, ScoreGrid
from dlseg.predict import score_maps


def write_scores(path: str | Path, logits: Float[np.ndarray, "C h w"], grid: ScoreGrid | None) -> None:
    """Write NAME.npz, whole or not at all.

    Args:
        path: where to; it ends in .npz.
        logits: the network's scores at its own stride, (C, h, w), kept as float32.
        grid: where they lie in the image; None where they cover it evenly.
    """
    arrays: dict[str, Any] = {"logits": logits.astype(np.float32)}
    if grid is not None:
        arrays["grid"] = np.array([grid.stride, grid.offset])
    with whole_file(path) as draft:
        np.savez_compressed(draft, **arrays)


def read_scores(path: str | Path, size: tuple[int, int], name: str = "scores") -> Float32[np.ndarray, "C H W"]:
    """Class probabilities of every pixel, from a file of score maps.

    Args:
        path: a .npz file of this format, or a .npy file of logits.
        size: the image's height and width, to which a smaller map is enlarged bilinearly: by its `grid` exactly as
            `dlseg.predict.predict` does it.
        name: what the file is called in an error.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not such a file, not (C, h, w), numbers that are not finite, or a `grid` that another image has.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scores(Path(folder) / "a.npz", np.zeros((2, 3, 4), np.float32), ScoreGrid(8, 0))
    ...     print(read_scores(Path(folder) / "a.npz", (17, 25)).shape)
    (2, 17, 25)
    """
    where = f"{name}: {path}"
    arrays = _arrays(Path(path), where)
    kind = next((key for key in ("probs", "logits") if key in arrays), None)
    if kind is None:
        raise ValueError(f"{where}: holds {', '.join(arrays) or 'nothing'}, expected probs or logits")
    values = arrays[kind]
    if values.ndim != 3 or values.dtype.kind != "f" or 0 in values.shape:
        raise ValueError(message(where, f"{kind} {values.dtype} {values.shape}", "floats (C, h, w)"))
    maps = torch.from_numpy(values.astype(np.float32))
    if not maps.isfinite().all():
        raise ValueError(message(where, f"{kind} with NaN or infinity", "finite numbers"))
    if "grid" in arrays:
        large = _grid(arrays["grid"], (maps.shape[1], maps.shape[2]), size, where).upsample(maps[None], size)[0]
    elif maps.shape[1:] == size:
        large = maps
    else:
        large = F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
    return (large.softmax(0) if kind == "logits" else large).numpy()


def holds_scores(path: Path) -> bool:
    """Whether a file is one that `write_scores` makes for a network's scores; the numbers are not read."""
    try:
        with np.load(path) as saved:
            return set(saved.files) == {"logits", "grid"}
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile):  # TypeError: one array, no archive
        return False


def _arrays(path: Path, where: str) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"{where}: no such file")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"logits": loaded}
        with loaded:
            return {key: loaded[key] for key in loaded.files if key in ("probs", "logits", "grid")} or {
                key: np.empty(0) for key in loaded.files
            }
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{where}: is no .npy or .npz file of numbers ({error})") from error


def _grid(stored: np.ndarray, cells: tuple[int, int], size: tuple[int, int], where: str) -> ScoreGrid:
    """The stored grid; ValueError where it is none, or where such a map would not reach the image's end."""
    if stored.shape != (2,) or stored.dtype.kind not in "iu" or stored[0] < 1 or stored[1] < 0:
        raise ValueError(
            message(where, f"grid {stored.tolist()!r}", "two whole numbers, stride >= 1 and offset >= 0")
        )
    grid = ScoreGrid(int(stored[0]), int(stored[1]))
    for count, pixels in zip(cells, size, strict=True):
        beyond = grid.offset + grid.stride * (count - 1) - (pixels - 1)
        # the image is grown to the next position, to two of them at least, before it is scored
        if abs(beyond) >= grid.stride and not (beyond > 0 and count <= 2):
            raise ValueError(
                message(
                    where,
                    f"{cells[0]} × {cells[1]} positions at stride {grid.stride}, offset {grid.offset}",
                    f"as many as an image of {size[1]}×{size[0]} pixels has",
                    "is it the file of another image?",
                )
            )
    return grid


def save_score_maps(
    net: Network, data: Dataset, folder: Path, indices: Iterable[int] | None = None, progress: bool = False
) -> None:
    """Write FOLDER/NAME.npz for samples of `data`, all or those of `indices`."""
    chosen = list(range(len(data)) if indices is None else indices)
    for index in tqdm(chosen, desc="score maps", unit="image", leave=False, disable=not progress):
        coarse, _ = score_maps(net, data[index].image)
        write_scores(folder / f"{data.names[index]}.npz", coarse.numpy(), net.grid)


class ScoredImages:
    """A labelled data set with a folder's score maps, NAME.npz each, read when asked for.

    This is what `dlseg.crf.search` takes.

    Raises:
        ValueError: the split has no labels.
    """

    def __init__(self, data: Dataset, folder: str | Path) -> None:
        self.data, self.folder = data, Path(folder)
        if not data.labelled:
            raise ValueError(f"data: the split {data.split!r} has no labels to compare with")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Scored:
        """Raises as `read_scores`, and ValueError for a map of other classes than the data's."""
        sample = self.data[index]
        path = self.folder / f"{sample.name}.npz"
        probs = read_scores(path, (sample.image.shape[0], sample.image.shape[1]))
        if len(probs) != self.data.num_classes:
            raise ValueError(
                message(f"scores: {path}", f"{len(probs)} classes", f"the data's {self.data.num_classes}")
            )
        return Scored(sample.name, sample.image, probs, sample.label)
