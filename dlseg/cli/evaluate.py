"""`dlseg evaluate`: mean IoU of a network on a labelled split, with and without the CRF."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click

from dlseg.cli import options
from dlseg.crf import CRFParams
from dlseg.datasets import load
from dlseg.networks.saved import open_weights
from dlseg.scoring import Score
from dlseg.scoring import evaluate as score


@click.command()
@click.option("--data", default="shapes", show_default=True, help="'shapes', 'voc2012' or a VOC-layout folder.")
@click.option("--split", default="val", show_default=True)
@options.weights
@options.crf
@options.crf_params
@options.kernel
@options.threads
@options.as_json
def evaluate(
    data: str, split: str, weights: str, crf: bool, crf_params: Path | None, kernel: str | None,
    threads: int | None, as_json: bool,
) -> None:
    """Mean IoU over all classes (VOC's convention), accuracies, and the trimap near boundaries."""
    options.use_threads(threads)
    net, info = open_weights(weights)
    dataset = load(data, split)
    params = options.params_for(crf, crf_params, info)
    start = time.perf_counter()
    scores = score(net, dataset, params, kernel, progress=True)
    report = describe(scores, params) | {
        "data": data, "split": split, "images": len(dataset), "weights": weights,
        "seconds": round(time.perf_counter() - start, 2),
    }
    if as_json:
        options.show_json(report)
    else:
        click.echo(table(scores, report))


def describe(scores: dict[str, Score], params: CRFParams | None) -> dict[str, Any]:
    """The final labelling's numbers, and beside them those of the network alone where a CRF followed."""
    if params is None:
        return scores["net"].summary()
    parameters = dataclasses.asdict(params)
    return scores["crf"].summary() | {"crf": parameters, "without_crf": scores["net"].summary()}


def table(scores: dict[str, Score], report: dict[str, Any]) -> str:
    """The same for reading: a line a measure, a column a labelling, in percent."""
    columns = {"net": "network", "crf": "with CRF"}
    found = {columns[name]: s.summary() for name, s in scores.items()}
    rows: list[tuple[str, list[float]]] = [
        ("mean IoU", [f["mean_iou"] for f in found.values()]),
        ("pixel accuracy", [f["pixel_accuracy"] for f in found.values()]),
    ]
    for width in next(iter(found.values()))["trimap_mean_iou"]:
        rows.append((f"mean IoU within {width} px", [f["trimap_mean_iou"][width] for f in found.values()]))
    for name in next(iter(found.values()))["iou"]:
        rows.append((f"  {name}", [f["iou"][name] for f in found.values()]))
    head = f"{report['data']} {report['split']}, {report['images']} images, {report['seconds']:.1f} s\n"
    lines = [f"{'percent':24}" + "".join(f"{c:>10}" for c in found)]
    for name, values in rows:
        lines.append(f"{name:24}" + "".join(f"{'–' if v is None else f'{100 * v:.1f}':>10}" for v in values))
    return head + "\n".join(lines)
