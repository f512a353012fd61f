"""`dlseg crf search`: cross-validation of the CRF's parameters on labelled images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np

from dlseg.cli import options
from dlseg.cli.cluster import cluster
from dlseg.common.files import whole_file, write_whole
from dlseg.crf import SearchResult, Space, estimate
from dlseg.crf import search as search_settings
from dlseg.crf.tuning.search import draw
from dlseg.datasets import load
from dlseg.networks import open_weights
from dlseg.predict.score_files import ScoredImages, save_score_maps

FILE = click.Path(dir_okay=False, path_type=Path)
SUFFIXES = {".txt": "text", ".md": "markdown", ".csv": "csv", ".json": "json"}
SHOWN = 10  # trials on the screen, the best ones


class Values(click.ParamType):
    """5,10 or, as in MATLAB, 50:10:100."""

    name = "values"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if not isinstance(value, str):
            return tuple(value)
        try:
            if ":" not in value:
                return tuple(float(number) for number in value.split(","))
            low, step, high = (float(number) for number in value.split(":"))
            return tuple(float(number) for number in np.arange(low, high + step / 1e3, step))
        except (ValueError, ZeroDivisionError):
            self.fail(f"got {value!r}, expected numbers as 5,10 or first:step:last as 50:10:100", param, ctx)


@click.command()
@click.option("--data", default="shapes", show_default=True, help="'shapes', 'voc2012' or a VOC-layout folder.")
@click.option("--split", default="val", show_default=True)
@options.weights
@click.option(
    "--scores",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of NAME.npz with `logits` (C, h, w), used instead of --weights.",
)
@click.option(
    "--space",
    "space_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file of what to try; the options below come on top of it.",
)
@click.option("--w1", type=Values(), help="Coarse values, as 5,10 or 50:10:100; default: the paper's.")
@click.option("--sigma-alpha", type=Values(), help="The same; so for the next three.")
@click.option("--sigma-beta", type=Values())
@click.option("--w2", type=Values())
@click.option("--sigma-gamma", type=Values())
@click.option("--iterations", type=click.IntRange(1))
@click.option("--halvings", type=click.IntRange(0), help="How often the steps are halved round the best.")
@click.option("--moves", type=click.IntRange(0), help="Most moves at one step size; 0 is the coarse box alone.")
@click.option("--subset", default=100, show_default=True, type=click.IntRange(1), help="At most so many images.")
@click.option("--seed", default=10, show_default=True, help="Which ones.")
@click.option("--jobs", default=-1, show_default=True, help="Processes; -1 for one per processor.")
@click.option("--backend", type=click.Choice(["loky", "threading", "dask"]), default="loky", show_default=True)
@click.option("--scheduler", help="Address of a dask scheduler, as tcp://host:8786; implies --backend dask.")
@click.option("--kernel", default="lattice", show_default=True)
@click.option("--log", type=FILE, help="Appended to as trials end; given again, the search goes on from it.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, from a few images measured, and stop.")
@click.option("--table", type=FILE, help="Write all trials to a .txt, .md, .csv or .json file.")
@click.option("--figure", type=FILE, help="Write heat maps to a .png, .pdf or .svg file.")
@click.option("--best", type=FILE, help="Write the best parameters, for --crf-params, to a JSON file.")
@options.as_json
def search(
    data: str,
    split: str,
    weights: str,
    scores: Path | None,
    space_file: Path | None,
    subset: int,
    seed: int,
    jobs: int,
    backend: str,
    scheduler: str | None,
    kernel: str,
    log: Path | None,
    dry_run: bool,
    table: Path | None,
    figure: Path | None,
    best: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Find the CRF's parameters by cross-validation: a coarse box, then finer steps round the best.

    A search that was interrupted goes on from its --log when the same command is given again.
    """
    _check_outputs(table, figure, best)
    space = _space(space_file, asked)
    common: dict[str, Any] = {
        "subset": subset,
        "seed": seed,
        "jobs": jobs,
        "kernel": kernel,
        "backend": "dask" if scheduler else backend,
    }
    with _samples(data, split, weights, scores, subset, seed) as samples, cluster(scheduler):
        cost = estimate(samples, space, **common)
        click.echo(str(cost), err=not dry_run)
        if dry_run:
            return
        result = search_settings(samples, space, **common, log=log, progress=True)
    _write(result, table, figure, best)
    click.echo(result.table("json") if as_json else _text(result))


def _check_outputs(table: Path | None, figure: Path | None, best: Path | None) -> None:
    """Say now, not after hours of work, that a result could not be written."""
    expected = (
        (table, "--table", tuple(SUFFIXES)),
        (figure, "--figure", (".png", ".pdf", ".svg")),
        (best, "--best", (".json",)),
    )
    for path, option, suffixes in expected:
        if path is not None and path.suffix not in suffixes:
            raise ValueError(f"{option}: got {path.name!r}, expected a name that ends in {' or '.join(suffixes)}")
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{option}: no folder {str(path.parent)!r}")


def _space(file: Path | None, asked: dict[str, Any]) -> Space:
    base = Space() if file is None else Space.from_json(file.read_text(encoding="utf-8"))
    return Space(**{**vars(base), **{name: value for name, value in asked.items() if value is not None}})


@contextmanager
def _samples(
    data: str, split: str, weights: str, scores: Path | None, subset: int, seed: int
) -> Iterator[ScoredImages]:
    """The images with score maps: a folder's, or those of a network, made for as long as this lasts."""
    dataset = load(data, split)
    if scores is not None:
        yield ScoredImages(dataset, scores)
        return
    with tempfile.TemporaryDirectory(prefix="dlseg-scores-") as folder:
        images = ScoredImages(dataset, folder)
        save_score_maps(open_weights(weights)[0], dataset, Path(folder), draw(len(dataset), subset, seed), True)
        yield images


def _write(result: SearchResult, table: Path | None, figure: Path | None, best: Path | None) -> None:
    if table is not None:
        write_whole(table, result.table(SUFFIXES[table.suffix]).rstrip("\n") + "\n")
    if figure is not None:
        from dlseg.figures.search_heat import search_heat

        with whole_file(figure) as draft:
            search_heat(result).savefig(draft)
    if best is not None:
        write_whole(best, result.params.to_json() + "\n")


def _text(result: SearchResult) -> str:
    lines = [
        result.table(top=SHOWN),
        f"best of {len(result.trials) - 1} settings on {result.images} images: {result.params.to_json()}",
    ]
    if result.gain <= 0:
        lines.append("no setting does better than no CRF: look at the score maps, or try another --space")
    return "\n".join(lines)
