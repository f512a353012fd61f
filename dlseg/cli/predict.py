"""`dlseg predict IMAGE`: a palette PNG of labels, and an overlay to look at."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from dlseg.cli import options
from dlseg.datasets.voc import palette
from dlseg.images import read_image
from dlseg.networks.saved import open_weights
from dlseg.predict import predict as predict_image


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Where the label PNG goes; default IMAGE's name + '_labels.png' in this folder.")
@options.weights
@options.crf
@options.crf_params
@options.kernel
@options.threads
@options.as_json
def predict(
    image: Path, out: Path | None, weights: str, crf: bool, crf_params: Path | None, kernel: str | None,
    threads: int | None, as_json: bool,
) -> None:
    """Label every pixel of IMAGE: a PNG whose pixel values are class numbers, coloured by VOC's palette."""
    options.use_threads(threads)
    out = out or Path(f"{image.stem}_labels.png")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out: got {out.name!r}, expected a name that ends in .png")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out: no folder {str(out.parent)!r}")
    pixels = read_image(image)
    net, info = open_weights(weights)
    found = predict_image(net, pixels, options.params_for(crf, crf_params, info), kernel)
    save_labels(found.labels, out)
    classes = info.get("classes") or [str(i) for i in range(net.spec.num_classes)]
    shares = {classes[c]: float((found.labels == c).mean()) for c in np.unique(found.labels)}
    if as_json:
        size = list(pixels.shape[:2])
        options.show_json({"image": str(image), "labels": str(out), "size": size, "share": shares})
    else:
        parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        click.echo(f"{out}: {parts}")


def save_labels(labels: np.ndarray, path: Path) -> None:
    """Write (H, W) labels as a palette PNG, whole or not at all."""
    picture = Image.fromarray(labels.astype(np.uint8), mode="P")
    picture.putpalette(palette().tobytes())
    draft = path.with_name(path.name + ".tmp")
    picture.save(draft, format="PNG")
    draft.replace(path)
