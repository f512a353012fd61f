"""`dlseg course copy|build|check|book`: the student notebooks, and how they are made from their sources."""

from __future__ import annotations

from pathlib import Path

import click

from dlseg.course.build import build, build_teacher
from dlseg.course.catalogue import EXERCISES
from dlseg.course.copies import copy_notebooks
from dlseg.course.lint import check

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("notebooks"))
EXERCISES_FOLDER = click.option(
    "--exercises",
    type=click.Path(exists=True, path_type=Path),
    default=EXERCISES,
    help="Folder of exercises, if not the course's own.",
)


@click.group()
def course() -> None:
    """Copy the notebooks to work in them; build them from their sources, or check that they are sound."""


@course.command(name="copy")
@click.argument("folder", type=click.Path(path_type=Path))
def copy_command(folder: Path) -> None:
    """Copy the notebooks into FOLDER. What is there stays: a second call gives back only what is missing."""
    written, kept = copy_notebooks(folder)
    for path in written:
        click.echo(f"wrote {path}")
    for path in kept:
        click.echo(f"kept {path}: it is yours; name another folder to have it as it was handed out")
    if not written and not kept:
        click.echo("nothing to do: every notebook is there")
    click.echo(f'open them with: jupyter lab "{folder}"')


@course.command(name="build")
@FOLDER
@EXERCISES_FOLDER
@click.option(
    "--teacher",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write solved notebooks, solution pages and autograders into this folder.",
)
def build_command(folder: Path, exercises: Path, teacher: Path | None) -> None:
    """Write FOLDER/*.ipynb (default: notebooks) from FOLDER/source/*.py."""
    changed = build(folder, exercises)
    changed += build_teacher(folder, teacher, exercises) if teacher else []
    for path in changed:
        click.echo(f"wrote {path}")
    if not changed:
        click.echo("nothing to do: every notebook is what its source says")


@course.command(name="check")
@FOLDER
@EXERCISES_FOLDER
@click.option(
    "--run", is_flag=True, help="Run the solved notebooks too: do the texts' numbers agree with the cells'?"
)
def check_command(folder: Path, exercises: Path, run: bool) -> None:
    """Fail where a committed notebook is stale, holds outputs, gives answers away, or has dead links or imports."""
    faults = check(folder, exercises, run=run)
    for fault in faults:
        click.echo(str(fault), err=True)
    if faults:
        raise click.exceptions.Exit(1)
    click.echo("every notebook is what its source says, and sound")


@course.command(name="book")
@FOLDER
@click.option("--docs", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("docs"))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/_build"))
def book_command(folder: Path, docs: Path, out: Path) -> None:
    """Run every notebook as handed out and make one static site of them, the guides and the API reference."""
    from dlseg.course.book import build_book  # the lab's widgets, which the other commands do without

    click.echo(f"open {build_book(folder, docs, out, tell=click.echo)}")
