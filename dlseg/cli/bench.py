"""`dlseg bench`: the measurements behind every claim of speed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"  # beside dlseg/ in a checkout


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def bench(name: str | None, options: tuple[str, ...]) -> None:
    """Run a measurement of speed (`NAME --help` lists its options); without NAME, list them."""
    found = _benchmarks()
    if not found:
        raise click.ClickException("benchmarks are part of the repository, not of the installed package: clone it")
    if name is None:
        for stem, file in found.items():
            click.echo(f"{stem:12} {_first_line(file)}")
        return
    if name not in found:
        raise click.BadParameter(f"got {name!r}, expected one of {', '.join(found)}", param_hint="NAME")
    raise SystemExit(subprocess.call([sys.executable, str(found[name]), *options]))


def _benchmarks() -> dict[str, Path]:
    """The runnable files; one that only helps the others has no `__main__`."""
    files = sorted(FOLDER.glob("*.py"))
    return {file.stem: file for file in files if "__main__" in file.read_text(encoding="utf-8")}


def _first_line(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
