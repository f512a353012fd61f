"""Label many images into a folder: a job that was stopped goes on, and one damaged image stops nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm.auto import tqdm

from dlseg.crf import CRFParams
from dlseg.datasets.whole import claim
from dlseg.images import read_image
from dlseg.networks import Network
from dlseg.predict import predict
from dlseg.predict.results import Overlay, Results, made_here, refuse_overwriting

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif")


def images_in(folder: str | Path) -> list[Path]:
    """The image files of a folder, by name, without the results that `dlseg predict` wrote there.

    Raises FileNotFoundError where there is none, ValueError where two would have the same result.
    """
    files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in ENDINGS)
    found = [path for path in files if not made_here(path)]
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
        ValueError: the folder holds results made with something else, or a result would overwrite a picture, a
            file that was not made here, or another picture's result.
    """
    out = Path(out)
    results = [Results.beside(out / f"{path.stem}.png", path, overlay is not None, scores) for path in images]
    refuse_overwriting(results)
    claim(out, "job.json", {"net": digest(net), "crf": None if crf is None else asdict(crf), "kernel": kernel,
                            "overlay": overlay is not None, "scores": scores})
    faults: dict[str, str] = {}
    for each in _shown(results, progress):
        try:
            if not each.done():
                image = read_image(each.picture)
                each.write(predict(net, image, crf, kernel, tile), net, image, overlay)
        except (ValueError, FileNotFoundError) as error:
            faults[each.picture.name] = str(error)
    return faults


def _shown(results: Sequence[Results], progress: bool) -> Iterable[Results]:
    return tqdm(results, unit="image", leave=False, disable=not progress)


def digest(net: Network) -> str:
    """SHA-256 of a network's kind and weights: what tells results apart."""
    found = hashlib.sha256(repr(net.spec).encode())
    for name, value in net.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
