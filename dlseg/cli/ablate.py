"""`dlseg ablate`: Table 1's shape from one file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from dlseg.cli import options
from dlseg.common.files import write_whole
from dlseg.training.ablation import Plan, table1
from dlseg.training.ablation import ablate as run
from dlseg.training.callbacks import ProgressBar


@click.command()
@click.argument("plan", default="small")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Default: runs/ablation-NAME.")
@click.option("--show", is_flag=True, help="Print the plan as JSON, to be changed, and do nothing.")
@options.threads
@options.as_json
def ablate(plan: str, out: Path | None, show: bool, threads: int | None, as_json: bool) -> None:
    """Train and measure variants × multi-scale × CRF as PLAN says: a JSON file, 'small' or 'full'.

    'small' takes five to ten minutes on two cores, 'full' (four variants, three seeds) a night. What is in --out
    already is not done again.
    """
    options.use_threads(threads)
    asked = read_plan(plan)
    if show:
        click.echo(asked.to_json())
        return
    out = out or Path("runs") / f"ablation-{Path(plan).stem}"
    results = run(asked, out, lambda name, iterations: ProgressBar(iterations, name))
    text = table1(results)
    write_whole(out / "table.md", text + "\n")
    if as_json:
        options.show_json({"results": [dataclasses.asdict(result) for result in results], "folder": str(out)})
    else:
        click.echo(text)


def read_plan(name: str) -> Plan:
    """A plan by name or from a file."""
    if name == "small":
        return Plan.small()
    if name == "full":
        return Plan(seeds=(0, 1, 2))
    if not Path(name).is_file():
        raise FileNotFoundError(f"PLAN: got {name!r}, expected 'small', 'full' or a JSON file (--show prints one)")
    return Plan.from_json(Path(name).read_text(encoding="utf-8"))
