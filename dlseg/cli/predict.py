"""`dlseg predict`: a palette PNG of labels for an image, or for many: files, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from dlseg.cli import options
from dlseg.crf import CRFParams
from dlseg.figures.labels import overlay as draw_overlay
from dlseg.images import read_image
from dlseg.networks import Network
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
@options.weights
@options.crf
@options.crf_params
@options.kernel
@options.threads
@options.as_json
def predict(
    images: tuple[str, ...],
    out: Path | None,
    nested: bool,
    overlay: bool,
    scores: bool,
    tile: int | None,
    weights: str,
    crf: bool,
    crf_params: Path | None,
    kernel: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Label every pixel of IMAGES: PNGs whose pixel values are class numbers, coloured by VOC's palette.

    IMAGES are files, folders, or patterns with stars in quotes. Of several images each is labelled into a folder; a
    run that was stopped goes on where it was. Only files that this command made are ever overwritten.
    """
    options.use_threads(threads)
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
    net, info = options.open_segmentation_network(weights)
    params = options.params_for(crf, crf_params, info)
    if pixels is None:
        _folder(net, collect(sources, nested), out, params, kernel, tile, overlay, scores, as_json)
        return
    found = predict_image(net, pixels, params, kernel, tile)
    results.write(found, net, pixels, draw_overlay)
    classes = info.get("classes") or [str(i) for i in range(net.spec.num_classes)]
    shares = {classes[c]: float((found.labels == c).mean()) for c in np.unique(found.labels)}
    if as_json:
        size = list(pixels.shape[:2])
        options.show_json({"image": str(image), "labels": str(out), "size": size, "share": shares})
    else:
        parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        click.echo(f"{out}: {parts}")


def _folder(
    net: Network,
    images: dict[Path, str],
    out: Path,
    crf: CRFParams | None,
    kernel: str | None,
    tile: int | None,
    overlay: bool,
    scores: bool,
    as_json: bool,
) -> None:
    faults = label_all(
        net,
        list(images),
        out,
        crf,
        kernel,
        names=list(images.values()),
        tile=tile,
        overlay=draw_overlay if overlay else None,
        scores=scores,
        progress=True,
    )
    if as_json:
        options.show_json(
            {"images": len(images), "labelled": len(images) - len(faults), "out": str(out), "faults": faults}
        )
    else:
        click.echo(
            "\n".join(
                [
                    f"{out}: {len(images) - len(faults)} of {len(images)} images labelled",
                    *(f"{name if name.isprintable() else repr(name)}: {what}" for name, what in faults.items()),
                ]
            )
        )
    if faults:
        raise SystemExit(1)
