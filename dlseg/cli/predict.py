"""`dlseg predict`: a palette PNG of labels for an image, or for many: files, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from dlseg.cli import options
from dlseg.figures.labels import overlay as draw_overlay
from dlseg.images import read_image
from dlseg.predict import predict as predict_image
from dlseg.predict.folder import Results, collect, label_all, refuse_overwriting


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where the label PNG goes (for many images: a folder); default: the first name + '_labels'.",
)
@click.option("--nested", is_flag=True, help="Also the images of the folders inside a folder.")
@click.option("--overlay", is_flag=True, help="Also a picture of the labels over the image: NAME_overlay.png.")
@click.option("--scores", is_flag=True, help="Also the score maps: NAME.npz.")
@click.option(
    "--tile",
    type=click.IntRange(1),
    default=None,
    help="Largest side, in pixels, of what the network sees at once; default: what memory allows.",
)
@options.labelling
def predict(
    images: tuple[str, ...],
    out: Path | None,
    nested: bool,
    overlay: bool,
    scores: bool,
    tile: int | None,
    labelling: options.Labelling,
    as_json: bool,
) -> None:
    """Label every pixel of IMAGES: PNGs whose pixel values are class numbers, coloured by VOC's palette.

    IMAGES are files, folders, or patterns with stars in quotes. Of several images each is labelled into a folder; a
    run that was stopped goes on where it was. Only files that this command made are ever overwritten.
    """
    if "" in images:  # as a path it would be the current folder
        raise ValueError("IMAGES: got an empty name, expected files, folders or patterns")
    sources = [Path(name) for name in images]
    image = sources[0]
    many = len(sources) > 1 or image.is_dir() or (not image.exists() and any(sign in str(image) for sign in "*?["))
    folder = image.resolve().name if image.is_dir() else "images"
    out = out or Path(f"{folder}_labels" if many else f"{image.stem}_labels.png")
    if not many and out.suffix.lower() != ".png":
        raise ValueError(f"--out: got {out.name!r}, expected a name that ends in .png")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out: no folder {str(out.parent)!r}")
    if many and out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: got {str(out)!r}, a file, expected a folder for several images")
    pixels = None if many else read_image(image)
    results = Results.beside(out, image, overlay, scores)
    if not many:
        refuse_overwriting([results])
    net, info, params = labelling.open()
    if pixels is None:
        pictures = collect(sources, nested)
        faults = label_all(
            net,
            list(pictures),
            out,
            params,
            labelling.kernel,
            names=list(pictures.values()),
            tile=tile,
            overlay=draw_overlay if overlay else None,
            scores=scores,
            progress=True,
        )
        _report(out, len(pictures), faults, as_json)
        return
    found = predict_image(net, pixels, params, labelling.kernel, tile)
    results.write(found, net, pixels, draw_overlay)
    classes = info.get("classes") or [str(i) for i in range(net.spec.num_classes)]
    shares = {classes[c]: float((found.labels == c).mean()) for c in np.unique(found.labels)}
    if as_json:
        size = list(pixels.shape[:2])
        options.show_json({"image": str(image), "labels": str(out), "size": size, "share": shares})
    else:
        parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        click.echo(f"{out}: {parts}")


def _report(out: Path, images: int, faults: dict[str, str], as_json: bool) -> None:
    """How many were labelled, then a line for each that was not; exit status 1 if there is any."""
    if as_json:
        options.show_json({"images": images, "labelled": images - len(faults), "out": str(out), "faults": faults})
    else:
        lines = [f"{name if name.isprintable() else repr(name)}: {what}" for name, what in faults.items()]
        click.echo("\n".join([f"{out}: {images - len(faults)} of {images} images labelled", *lines]))
    if faults:
        raise SystemExit(1)
