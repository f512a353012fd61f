"""`dlseg crf tune IMAGE`: the CRF studio in the browser, without JupyterLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from dlseg.cli import options
from dlseg.crf import CRFParams
from dlseg.crf.dense import KERNELS
from dlseg.datasets.voc import CLASSES, read_indices
from dlseg.images import read_image

SIDES = {"shapes": 128, "tools": 321}  # of the drawn scenes that shipped networks have seen, in pixels
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--scores",
    type=FILE,
    default=None,
    help="The unary: a .npz of `dlseg predict --scores` or with probs or logits (C, h, w), or a .npy of logits.",
)
@click.option(
    "--weights", default=None, help="Let a network score it: 'shapes' or 'tools' (shipped), or a .safetensors file."
)
@click.option(
    "--scribbles",
    type=FILE,
    default=None,
    help="A palette PNG of labels drawn by hand, 255 elsewhere. Without any of these, draw on the page.",
)
@click.option("--truth", type=FILE, default=None, help="A palette PNG of labels, 255 void: mean IoU is shown.")
@click.option(
    "--classes",
    default="",
    help="The classes' names, with commas between, background first; 21 are VOC's unless named.",
)
@options.crf_params
@click.option("--kernel", type=click.Choice(KERNELS), default="lattice", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8866,
    show_default=True,
    help="Where this is taken, one nearby.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
@click.option("--dark/--light", default=None, help="The page's colours.  [default: the system's]")
def tune(
    image: Path,
    scores: Path | None,
    weights: str | None,
    scribbles: Path | None,
    truth: Path | None,
    classes: str,
    crf_params: Path | None,
    kernel: str,
    port: int,
    browser: bool,
    dark: bool | None,
) -> None:
    """Find the CRF's settings for IMAGE with sliders, on a web page that only this computer can open."""
    try:
        from dlseg.widgets import standalone_page
        from dlseg.widgets.studio.engine import make_subject
    except ImportError as error:
        raise click.ClickException(f"the page needs Voilà: pip install 'dlseg[lab]' ({error})") from error
    pixels = read_image(image)
    names = [name.strip() for name in classes.split(",") if name.strip()]
    params = CRFParams.from_json(crf_params.read_text(encoding="utf-8")) if crf_params else CRFParams()
    arrays, known = read_unary(scores, weights, scribbles, pixels)
    if truth is not None:
        arrays["truth"] = read_indices(truth)
    given = [arrays.get(name) for name in ("probs", "truth", "scribbles")]
    names = list(make_subject(pixels, given[0], given[1], given[2], names or known).names)

    def say(address: str) -> None:
        click.echo(f"{image.name} is at {address}\nCtrl+C ends it.")

    note = unfit(weights, pixels)
    if note:
        click.echo(f"warning: {note}", err=True)
    page: dict[str, Any] = {"title": f"CRF studio: {image.name}", "note": note, "dark": dark, "announce": say}
    standalone_page.serve(pixels, params.to_json(), names, kernel, arrays, port=port, browser=browser, **page)


def read_unary(
    scores: Path | None, weights: str | None, scribbles: Path | None, image: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What the CRF starts from, under the name that `crf_studio` gives it, and the classes where they are known."""
    options = {"--scores": scores, "--weights": weights, "--scribbles": scribbles}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"got {' and '.join(given)}, expected one of them: what the CRF starts from")
    if scores is not None:
        from dlseg.predict.score_files import read_scores

        probs = read_scores(scores, (image.shape[0], image.shape[1]), "--scores")
        return {"probs": probs}, list(CLASSES) if len(probs) == len(CLASSES) else []
    if weights is not None:
        probs, known = network_scores(weights, image)
        return {"probs": probs}, known
    drawn = np.full(image.shape[:2], 255, np.uint8) if scribbles is None else read_indices(scribbles)
    return {"scribbles": drawn}, []


def unfit(weights: str | None, image: np.ndarray) -> str:
    """What to know where a network that has seen nothing but drawn scenes is shown something else."""
    if weights is None:
        return ""
    from dlseg.networks import open_weights

    data = open_weights(weights)[1].get("data", "")
    height, width = image.shape[:2]
    side = SIDES.get(data)
    if side is None or height == width == side:
        return ""
    return (
        f"weights: got {weights!r}, trained on drawn {data} of {side}×{side} pixels, for a picture of "
        f"{width}×{height}; on a photograph its scores mean little; use --scores or --scribbles"
    )


def network_scores(weights: str, image: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """A network's class probabilities (C, H, W) for the image, and its classes' names where they are known."""
    from dlseg.networks import open_weights
    from dlseg.predict import predict

    net, info = open_weights(weights)
    return predict(net, image).probs, list(info.get("classes", []))
