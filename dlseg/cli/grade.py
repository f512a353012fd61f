"""`dlseg grade`: submissions in, scores and reports out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from tqdm.auto import tqdm

import dlseg
from dlseg.cli.cluster import cluster
from dlseg.grading import batch, reports
from dlseg.grading.exercise import ExerciseError
from dlseg.grading.protection import examine
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import FORMER, LEVELS, SandboxError

EXERCISES = Path(dlseg.__file__).parent / "course" / "exercises"
GRADER_FAILED, UNREADABLE = 3, 4  # exit codes
EXISTING = click.Path(path_type=Path, exists=True)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _kinds(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if unknown := [kind for kind in kinds if kind not in reports.KINDS]:
        raise click.BadParameter(f"unknown: {', '.join(unknown)}; choose from {', '.join(reports.KINDS)}")
    return kinds


@click.command()
@click.argument("paths", nargs=-1, type=EXISTING)
@click.option("--out", type=FOLDER, help="Where results go.")
@click.option("--check", is_flag=True, help="Grade nothing; try what protects this machine, and say it.")
@click.option("--report", "kinds", default="json", callback=_kinds, help=f"Of {','.join(reports.KINDS)}.")
@click.option("--jobs", default=1, type=click.IntRange(min=1), help="Submissions graded at the same time.")
@click.option("--seed", type=click.IntRange(0, batch.MAX_SEED - 1), help="Of the inputs; else fresh.")
@click.option("--tests", default=EXERCISES, type=EXISTING, help="Folder or file of exercises.")
@click.option("--assignment", default="", help="Of the exercises, e.g. atrous; else as each file's name says.")
@click.option(
    "--isolation",
    type=click.Choice([*LEVELS, *FORMER]),
    metavar="|".join(LEVELS),
    help="The strongest that works, if not given.",
)
@click.option("--regrade", is_flag=True, help="Grade everything anew; interrupted, the next run goes on with it.")
@click.option("--since", type=click.DateTime(), help="Leave out files last written before, as 2026-05-31T18:00:00.")
@click.option("--scheduler", help="A dask scheduler, as tcp://host:8786: its workers grade; they share --out.")
def grade(
    *,
    paths: tuple[Path, ...],
    out: Path | None,
    check: bool,
    kinds: tuple[str, ...],
    jobs: int,
    seed: int | None,
    tests: Path,
    assignment: str,
    isolation: str | None,
    regrade: bool,
    since: datetime | None,
    scheduler: str | None,
) -> None:
    """Grade notebooks, Python files, folders and zips of them. Stopped, it goes on where it was.

    Exit codes: 0 all is graded, 3 the grader itself failed for a submission, 4 a file could not be read (it has its
    row, without points), 1 nothing was graded.
    """
    if check:
        found = examine(tests.resolve(), out.resolve() if out else None, isolation)
        click.echo(str(found))
        raise SystemExit(0 if found.holds else 1)
    if not paths:
        raise click.UsageError("Missing argument 'PATHS'.")
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    old: list[tuple[str, bool]] = []
    more: dict[str, Any] = {
        "regrade": regrade,
        "since": since.timestamp() if since else None,
        "left_out": lambda item, known: old.append((item.name, known)),
    }
    try:
        run = batch.prepare(out, tests, seed=seed, level=isolation, kinds=kinds, assignment=assignment)
        click.echo(f"seed {run.seed}, results in {out}")
        with cluster(scheduler) as client:
            more |= {"jobs": jobs, "backend": "dask" if client else "loky"}
            done = _watch(run, list(paths), more)
            if client:
                client.run(batch.close_graders)
    except (ExerciseError, batch.RunError, SandboxError, ValueError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    _tell_left_out(old)
    unread = [document.submission for document in done if document.problem]
    unscored = [document.submission for document in done if not document.complete]
    click.echo(f"{len(done)} graded")
    if unscored:
        click.echo(f"the grader failed for {', '.join(unscored)}: run again", err=True)
    if unread:
        click.echo(f"no points, as the file cannot be read: {', '.join(unread)}", err=True)
    if unscored or unread:
        raise SystemExit(GRADER_FAILED if unscored else UNREADABLE)


def _tell_left_out(old: list[tuple[str, bool]]) -> None:
    if old:
        click.echo(f"{len(old)} left out, as they were last written before --since")
    if never := [name for name, known in old if not known]:
        click.echo(f"never graded so far: {', '.join(never)}", err=True)


def _watch(run: batch.Run, paths: list[Path], more: dict[str, Any]) -> list[Result]:
    done: list[Result] = []
    with tqdm(unit="submission", disable=None) as bar:
        for document, total in batch.grade_all(run, paths, **more):
            bar.total = total
            bar.update()
            done.append(document)
            bar.write(
                f"{document.submission}: {document.score:g}/{document.max_score:g}"
                f"  {document.assignment}  [{document.isolation}]"
            )
    return done
