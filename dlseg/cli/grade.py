"""`dlseg grade`: submissions in, scores and reports out."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm.auto import tqdm

import dlseg
from dlseg.cli.cluster import cluster
from dlseg.grading import batch, reports
from dlseg.grading.exercise import ExerciseError
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import SandboxError
from dlseg.grading.sandbox.confine import LEVELS

EXERCISES = Path(dlseg.__file__).parent / "course" / "exercises"
GRADER_FAILED = 3
EXISTING = click.Path(path_type=Path, exists=True)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _kinds(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if unknown := [kind for kind in kinds if kind not in reports.KINDS]:
        raise click.BadParameter(f"unknown: {', '.join(unknown)}; choose from {', '.join(reports.KINDS)}")
    return kinds


@click.command()
@click.argument("paths", nargs=-1, required=True, type=EXISTING)
@click.option("--out", required=True, type=FOLDER, help="Where results go.")
@click.option("--report", "kinds", default="json", callback=_kinds, help=f"Of {','.join(reports.KINDS)}.")
@click.option("--jobs", default=1, type=click.IntRange(min=1), help="Submissions graded at the same time.")
@click.option("--seed", type=click.IntRange(0, batch.MAX_SEED - 1), help="Of the inputs; else fresh.")
@click.option("--tests", default=EXERCISES, type=EXISTING, help="Folder or file of exercises.")
@click.option("--assignment", default="", help="Of the exercises, e.g. atrous; else as each file's name says.")
@click.option("--isolation", type=click.Choice(LEVELS), help="The strongest that works, if not given.")
@click.option("--scheduler", help="A dask scheduler, as tcp://host:8786: its workers grade; they share --out.")
def grade(
    *,
    paths: tuple[Path, ...],
    out: Path,
    kinds: tuple[str, ...],
    jobs: int,
    seed: int | None,
    tests: Path,
    assignment: str,
    isolation: str | None,
    scheduler: str | None,
) -> None:
    """Grade notebooks, Python files, folders and zips of them. Stopped, it goes on where it was."""
    try:
        run = batch.prepare(out, tests, seed=seed, level=isolation, kinds=kinds, assignment=assignment)
        click.echo(f"seed {run.seed}, results in {out}")
        with cluster(scheduler) as client:
            done = _watch(run, list(paths), jobs, "dask" if client else "loky")
            if client:
                client.run(batch.close_graders)
    except (ExerciseError, batch.RunError, SandboxError, ValueError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    unscored = [document.submission for document in done if not document.complete]
    click.echo(f"{len(done)} graded")
    if unscored:
        click.echo(f"the grader failed for {', '.join(unscored)}: run again", err=True)
        raise SystemExit(GRADER_FAILED)


def _watch(run: batch.Run, paths: list[Path], jobs: int, backend: str) -> list[Result]:
    done: list[Result] = []
    with tqdm(unit="submission", disable=None) as bar:
        for document, total in batch.grade_all(run, paths, jobs=jobs, backend=backend):
            bar.total = total
            bar.update()
            done.append(document)
            bar.write(
                f"{document.submission}: {document.score:g}/{document.max_score:g}"
                f"  {document.assignment}  [{document.isolation}]"
            )
    return done
