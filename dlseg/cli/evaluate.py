"""`dlseg evaluate`: mean IoU of a network on a labelled split, with and without the CRF; or of result files."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from dlseg.cli import options
from dlseg.common.constants import VOID
from dlseg.crf import CRFParams
from dlseg.datasets import load
from dlseg.datasets.counts import count_labels
from dlseg.evaluation import AROUND, Around, render
from dlseg.evaluation.published import TRIMAP, WIDTHS
from dlseg.evaluation.render import Format
from dlseg.predict.evaluate import Score, export_results, score_results
from dlseg.predict.evaluate import evaluate as score

HEADS = {"net": "network", "crf": "with CRF", "results": "results"}


@click.command()
@click.option("--data", default="shapes", show_default=True, help=options.DATA)
@click.option("--split", default="val", show_default=True)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=None,
    help="A folder of NAME.png to measure, instead of a network.",
)
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the results there, in the folders that VOC's evaluation server wants.",
)
@click.option("--only-voc", is_flag=True, help="For --export: trained on VOC's images alone (comp5, not comp6).")
@click.option("--trimap", is_flag=True, help="The widths of the paper's figure 5, its curves beside.")
@click.option(
    "--band",
    type=click.Choice(AROUND),
    default="void",
    show_default=True,
    help="What the trimap's bands are around: void pixels as in VOC, or the edges between classes.",
)
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="text", show_default=True)
@options.labelling
def evaluate(
    data: str,
    split: str,
    results: Path | None,
    export: Path | None,
    only_voc: bool,
    trimap: bool,
    band: Around,
    form: Format,
    labelling: options.Labelling,
    as_json: bool,
) -> None:
    """Mean IoU over all classes (VOC's convention), accuracies, and the trimap near boundaries."""
    dataset, start, params = load(data, split), time.perf_counter(), None
    counts = count_labels(dataset, progress=True) if dataset.labelled else None
    if counts is not None:
        if not any(counts.pixels):
            raise ValueError(f"--split {split}: {counts.fault()}")
        notes = [f"{split}: {counts}", *([f"note: {counts.fault()}"] if counts.fault() else [])]
        if not counts.void and band == "void":
            notes.append(
                f"note: these labels have no void pixels (value {VOID}), and the bands near boundaries "
                "are measured around void: those lines stay empty; `--band edges` measures around the edges "
                "between classes instead"
            )
        click.echo("\n".join(notes), err=True)
    widths = WIDTHS if trimap else (1, 3, 8)
    if results is not None:
        scores = {"results": score_results(results, dataset, widths, band)}
    else:
        net, info, params = labelling.open()
        same_classes(info.get("classes"), dataset.classes, labelling.weights)
        if export is not None:
            folder = export_results(
                net, dataset, export, split, params, labelling.kernel, not only_voc, progress=True
            )
            click.echo(f"{len(dataset)} results in {folder}", err=True)
            if not dataset.labelled:
                return
            scores = {"results": score_results(folder, dataset, widths, band)}
        else:
            scores = score(net, dataset, params, labelling.kernel, progress=True, widths=widths, around=band)
    seconds = round(time.perf_counter() - start, 2)
    if as_json:
        options.show_json(
            describe(scores, params)
            | {
                "label_shares": counts and counts.shares(),
                "void_share": counts and counts.void_share(),
                "data": data,
                "split": split,
                "band": band,
                "images": len(dataset),
                "seconds": seconds,
                "weights": labelling.weights if results is None else None,
            }
        )
    else:
        head = f"{data} {split}, {len(dataset)} images, {seconds:.1f} s\n" if form == "text" else ""
        click.echo(head + render({HEADS[name]: s.measures() for name, s in scores.items()}, form))
        if trimap:
            click.echo("\n" + render(curves(scores, widths), form))


def same_classes(trained: Sequence[str] | None, measured: Sequence[str], weights: str) -> None:
    """Raise ValueError where a network's classes, if they are known, are called otherwise than the data's."""
    if trained is None or list(trained) == list(measured):
        return
    if len(trained) != len(measured):
        raise ValueError(
            f"--weights {weights}: got a network of {len(trained)} classes, expected the data's {len(measured)}"
        )
    differing = [(i, a, b) for i, (a, b) in enumerate(zip(trained, measured, strict=True)) if a != b]
    words = ", ".join(f"{i} is {a!r} there and {b!r} in the data" for i, a, b in differing[:4])
    raise ValueError(
        f"--weights {weights}: the network was trained for other classes: {words}"
        f"{', …' if len(differing) > 4 else ''}; expected the same names in the same order (where "
        "only a name was changed, change it in the .json beside the weights)"
    )


def describe(scores: dict[str, Score], params: CRFParams | None) -> dict[str, Any]:
    """The final labelling's numbers, and beside them those of the network alone where a CRF followed."""
    last = list(scores.values())[-1].summary()
    if params is None or "crf" not in scores:
        return last
    return last | {"crf": dataclasses.asdict(params), "without_crf": scores["net"].summary()}


def curves(scores: dict[str, Score], widths: Sequence[int]) -> dict[str, dict[str, float | int | None]]:
    """Mean IoU by the width of the band: ours, and what the paper plots for VOC 2012 val, around void."""
    ours = {HEADS[name]: s.trimap.mean_iou() for name, s in scores.items()}
    paper = {f"paper: {name}": {w: share / 100 for w, share in curve.items()} for name, curve in TRIMAP.items()}
    shown = ours | paper if all(s.trimap.around == "void" for s in scores.values()) else ours
    return {name: {f"within {w} px": curve[w] for w in widths} for name, curve in shown.items()}
