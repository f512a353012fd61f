"""`dlseg crf tune IMAGE`: the CRF studio in the browser, without JupyterLab."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from dlseg.cli import options
from dlseg.crf import CRFParams
from dlseg.crf.kernels import KERNELS
from dlseg.datasets.voc import CLASSES, read_indices
from dlseg.images import read_image

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--scores", type=FILE, default=None,
              help="The unary, (C, h, w): a .npz with probs or logits, or .npy of logits; enlarged where smaller.")
@click.option("--weights", default=None, help="Let a network score it: 'shapes' (shipped), or a .safetensors file.")
@click.option("--truth", type=FILE, default=None, help="A palette PNG of labels, 255 void: mean IoU is shown.")
@click.option("--classes", default="",
              help="The classes' names, with commas between, background first; 21 are VOC's unless named.")
@options.crf_params
@click.option("--kernel", type=click.Choice(KERNELS), default="lattice", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True,
              help="Where this is taken, one nearby.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def tune(
    image: Path, scores: Path | None, weights: str | None, truth: Path | None, classes: str,
    crf_params: Path | None, kernel: str, port: int, browser: bool,
) -> None:
    """Find the CRF's settings for IMAGE with sliders, on a web page that only this computer can open."""
    try:
        from dlseg.widgets import page
    except ImportError as error:
        raise click.ClickException(f"the page needs Voilà: pip install 'dlseg[lab]' ({error})") from error
    pixels = read_image(image)
    names = [name.strip() for name in classes.split(",") if name.strip()]
    params = CRFParams.from_json(crf_params.read_text(encoding="utf-8")) if crf_params else CRFParams()
    arrays: dict[str, np.ndarray] = {}
    if scores is not None:
        arrays["probs"] = read_scores(scores, (pixels.shape[0], pixels.shape[1]))
        names = names or (list(CLASSES) if len(arrays["probs"]) == len(CLASSES) else [])
    elif weights is not None:
        arrays["probs"], known = network_scores(weights, pixels)
        names = names or known
    else:
        raise click.UsageError("expected --scores FILE or --weights NAME: what the CRF starts from")
    if truth is not None:
        arrays["truth"] = read_truth(truth, (pixels.shape[0], pixels.shape[1]))

    def say(address: str) -> None:
        click.echo(f"{image.name} is at {address}\nCtrl+C ends it.")

    page.serve(pixels, params.to_json(), names, kernel, arrays, port=port, browser=browser, said=say)


def read_scores(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Class probabilities (C, H, W) from a file of probabilities or logits, enlarged bilinearly to `size`.

    Corners are not aligned (align_corners=False).
    """
    import torch

    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"--scores: {path} is no .npy or .npz file of numbers ({error})") from error
    if isinstance(loaded, np.ndarray):
        loaded = {"logits": loaded}
    kind = next((name for name in ("probs", "logits") if name in loaded), None)
    if kind is None:
        raise ValueError(f"--scores: {path} holds {', '.join(loaded) or 'nothing'}, expected probs or logits")
    values = np.asarray(loaded[kind])
    if values.ndim != 3 or values.dtype.kind != "f" or 0 in values.shape:
        raise ValueError(f"--scores: got {kind} {values.dtype} {values.shape}, expected floats (C, h, w)")
    maps = torch.from_numpy(values.astype(np.float32))
    if maps.shape[1:] != size:
        maps = torch.nn.functional.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
    return (maps.softmax(0) if kind == "logits" else maps).numpy()


def network_scores(weights: str, image: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """A network's class probabilities (C, H, W) for the image, and its classes' names where they are known."""
    from dlseg.networks.saved import open_weights
    from dlseg.predict import predict

    net, info = open_weights(weights)
    return predict(net, image).probs, list(info.get("classes", []))


def read_truth(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Labels (H, W) from a palette PNG, as VOC has them."""
    labels = read_indices(path)
    if labels.shape != size:
        raise ValueError(f"--truth: got {labels.shape[1]} × {labels.shape[0]} pixels, expected the image's "
                         f"{size[1]} × {size[0]}")
    return labels
