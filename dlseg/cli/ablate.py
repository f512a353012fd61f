"""`dlseg ablate`: the shape of tables 1 and 2 from one file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import click

from dlseg.cli import options
from dlseg.common.files import write_whole
from dlseg.datasets import load
from dlseg.images import image_size
from dlseg.training.ablation import Plan, export, report
from dlseg.training.ablation import ablate as run
from dlseg.training.callbacks import ProgressBar


@click.command()
@click.argument("plan", default="small")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Default: runs/ablation-NAME.")
@click.option("--data", default=None, help="A data set's name or folder; default: the plan's.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default=None,
    help="Train in it; default: the plan's. bfloat16 is about twice as fast where the processor or GPU has it.",
)
@click.option("--device", default="auto", show_default=True, help="'cpu', 'cuda', 'cuda:1', …")
@click.option(
    "--jobs", default=-1, show_default=True, help="Processes of the CRF's search; -1 for one per processor."
)
@click.option(
    "--export",
    "export_to",
    type=click.Path(path_type=Path),
    default=None,
    help="At the end, put the networks of the first seed here, in float16.",
)
@click.option("--show", is_flag=True, help="Print the plan as JSON, to be changed, and do nothing.")
@options.threads
@options.as_json
def ablate(
    plan: str,
    out: Path | None,
    data: str | None,
    precision: Literal["float32", "bfloat16"] | None,
    device: str,
    jobs: int,
    export_to: Path | None,
    show: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train and measure variants × multi-scale × CRF as PLAN says: a JSON file, 'small', 'full' or 'paper'.

    'small' takes five to ten minutes on two cores, 'full' (four variants, three seeds) a night. 'paper' is the
    paper's whole path: a VGG-16 learns single things, becomes convolutional, is decimated for every variant, learns
    scenes, gets the branches, and the CRF's parameters are searched for each network. What is in --out already is
    not done again, so that the same command goes on after a kill.
    """
    options.use_threads(threads)
    asked = read_plan(plan, data)
    if precision is not None:
        asked = asked.in_precision(precision)
    if show:
        click.echo(asked.to_json())
        return
    out = out or Path("runs") / f"ablation-{Path(plan).stem}"
    bars = lambda name, iterations: ProgressBar(iterations, name)  # noqa: E731
    results = run(asked, out, bars, device=device, jobs=jobs)
    text = report(asked, results)
    document = {"results": [dataclasses.asdict(result) for result in results], "folder": str(out)}
    write_whole(out / "table.md", text + "\n")
    write_whole(out / "results.json", json.dumps(document, indent=1) + "\n")
    if export_to is not None:
        export(asked, results, out, export_to)
    if as_json:
        options.show_json(document)
    else:
        click.echo(text)


def read_plan(name: str, data: str | None = None) -> Plan:
    """A plan by name or from a file, for these data where they are given."""
    changes: dict[str, Any] = {} if data is None else {"data": data}
    if name == "small":
        return Plan.small(**changes)
    if name == "full":
        return Plan(seeds=(0, 1, 2), **changes)
    if name == "paper":
        return Plan.paper() if data is None else Plan.paper(data, max(image_size(load(data, "val").images[0])))
    if not Path(name).is_file():
        raise FileNotFoundError(
            f"PLAN: got {name!r}, expected 'small', 'full', 'paper' or a JSON file (--show prints one)"
        )
    return dataclasses.replace(Plan.from_json(Path(name).read_text(encoding="utf-8")), **changes)
