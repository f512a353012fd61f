"""Label many images into a folder: a job that was stopped goes on, and one damaged image stops nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm.auto import tqdm

from dlseg.crf import CRFParams
from dlseg.datasets.voc import write_indices
from dlseg.datasets.whole import claim
from dlseg.images import read_image
from dlseg.networks import Network
from dlseg.predict import Prediction, predict

Overlay = Callable[[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]], UInt8[np.ndarray, "H W 3"]]
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif")


def images_in(folder: str | Path) -> list[Path]:
    """The image files of a folder, by name.

    Raises FileNotFoundError where there is none, ValueError where two would have the same result.
    """
    found = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in ENDINGS)
    if not found:
        raise FileNotFoundError(f"images: none in {str(folder)!r} (looked for {', '.join(ENDINGS)})")
    twice = [stem for stem, count in Counter(path.stem for path in found).items() if count > 1]
    if twice:
        raise ValueError(f"images: {twice[0]} is there with several endings; their results would have one name")
    return found


def label_all(
    net: Network, images: Sequence[Path], out: str | Path, crf: CRFParams | None = None, kernel: str | None = None,
    *, tile: int | None = None, overlay: Overlay | None = None, scores: bool = False, progress: bool = False,
) -> dict[str, str]:
    """Write OUT/NAME.png, a palette PNG of class numbers, for each image; those that are there are not done again.

    Args:
        net: a labeller.
        images: files.
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
        ValueError: the folder holds results made with something else.
    """
    out = Path(out)
    if not (out / "job.json").exists() and any((out / f"{path.stem}.png").exists() for path in images):
        raise ValueError(f"out: {str(out)!r} holds files of these names that no job made; name another folder")
    claim(out, "job.json", {"net": digest(net), "crf": None if crf is None else asdict(crf), "kernel": kernel,
                            "overlay": overlay is not None, "scores": scores})
    faults: dict[str, str] = {}
    for path in _shown(images, progress):
        if not (out / f"{path.stem}.png").exists():
            try:
                image = read_image(path)
                _write(predict(net, image, crf, kernel, tile), image, out / path.stem, net, overlay, scores)
            except (ValueError, FileNotFoundError) as error:
                faults[path.name] = str(error)
    return faults


def _shown(images: Sequence[Path], progress: bool) -> Iterable[Path]:
    return tqdm(images, unit="image", leave=False, disable=not progress)


def _write(
    found: Prediction, image: np.ndarray, stem: Path, net: Network, overlay: Overlay | None, scores: bool
) -> None:
    """All files of one image; the labels last, since they say that it is done."""
    if scores:
        save_scores(found, net, stem.with_name(f"{stem.name}.npz"))
    if overlay is not None:
        save_picture(overlay(image, found.labels), stem.with_name(f"{stem.name}_overlay.png"))
    write_indices(found.labels, stem.with_name(f"{stem.name}.png"))


def save_scores(found: Prediction, net: Network, path: Path) -> None:
    """An .npz with `logits` (C, h, w) float32 and `grid` (stride, offset); what `dlseg crf search` reads."""
    assert net.grid is not None
    draft = path.with_name(path.name + ".tmp")
    with draft.open("wb") as file:
        np.savez_compressed(file, logits=found.coarse, grid=np.array([net.grid.stride, net.grid.offset]))
    draft.replace(path)


def save_picture(picture: UInt8[np.ndarray, "H W 3"], path: Path) -> None:
    """An RGB PNG, whole or not at all."""
    draft = path.with_name(path.name + ".tmp")
    Image.fromarray(picture).save(draft, format="PNG")
    draft.replace(path)


def digest(net: Network) -> str:
    """SHA-256 of a network's kind and weights: what tells results apart."""
    found = hashlib.sha256(repr(net.spec).encode())
    for name, value in net.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
