"""Score maps on disk: what a network said, kept, so that a CRF can be tuned without running it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional as F
from tqdm.auto import tqdm

from dlseg.crf import Scored
from dlseg.datasets import Dataset
from dlseg.networks import Network
from dlseg.networks.grid import ScoreGrid
from dlseg.predict import score_maps


def save_score_maps(
    net: Network, data: Dataset, folder: Path, indices: Iterable[int] | None = None, progress: bool = False
) -> None:
    """Writes FOLDER/NAME.npz for samples of `data`: float16 `logits` (C, h, w), and `grid`, where they lie."""
    chosen = list(range(len(data)) if indices is None else indices)
    for index in tqdm(chosen, desc="score maps", unit="image", leave=False, disable=not progress):
        coarse, _ = score_maps(net, data[index].image)
        assert net.grid is not None  # score_maps has seen to it
        np.savez(
            folder / f"{data.names[index]}.npz",
            logits=coarse.numpy().astype(np.float16),
            grid=np.array([net.grid.stride, net.grid.offset]),
        )


class ScoredImages:
    """A labelled data set with the score maps of a folder, read when asked for: what `dlseg.crf.search` takes.

    A map is NAME.npz with `logits` (C, h, w). With a `grid` (stride, offset) it is enlarged as the networks of
    dlseg do it; without one its cells are taken to cover the image evenly (`align_corners=False`).
    """

    def __init__(self, data: Dataset, folder: str | Path) -> None:
        self.data, self.folder = data, Path(folder)
        if not data.labelled:
            raise ValueError(f"data: the split {data.split!r} has no labels to compare with")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Scored:
        sample = self.data[index]
        return Scored(sample.name, sample.image, self._probs(sample.name, sample.image.shape[:2]), sample.label)

    def _probs(self, name: str, size: tuple[int, int]) -> Float[np.ndarray, "C H W"]:
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            raise FileNotFoundError(f"scores: no score map {path}")
        with np.load(path) as saved:
            if "logits" not in saved or saved["logits"].ndim != 3:
                raise ValueError(f"scores: {path} has no `logits` (C, h, w)")
            logits = torch.from_numpy(saved["logits"].astype(np.float32))[None]
            grid = ScoreGrid(*saved["grid"].tolist()) if "grid" in saved else None
        large = (
            F.interpolate(logits, size, mode="bilinear", align_corners=False)
            if grid is None
            else grid.upsample(logits, size)
        )
        return np.asarray(large[0].softmax(0).numpy())
