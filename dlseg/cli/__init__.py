"""`dlseg …`: a thin click front. A command's file is imported only when that command is used."""

from __future__ import annotations

import ast
import importlib
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import click

import dlseg

# command name -> file in this folder; the function in it carries the command's name
COMMANDS = {
    "doctor": "doctor",
    "data": "data",
    "pretrain": "pretrain",
    "train": "train",
    "evaluate": "evaluate",
    "ablate": "ablate",
    "predict": "predict",
    "crf": "crf",
    "bench": "bench",
    "course": "course",
    "grade": "grade",
}


class LazyGroup(click.Group):
    """Imports a command's file only when that command is asked for, so that `dlseg --help` is instant.

    `files`: command name -> file in this folder.
    """

    def __init__(self, *args: Any, files: dict[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.files = files

    def main(self, *args: Any, **options: Any) -> Any:
        """A warning is one line, without the place in dlseg's code that gave it.

        A name that the terminal has no letters for is shown with question marks; it costs no command.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        as_before, warnings.formatwarning = warnings.formatwarning, _warning_line
        try:
            return super().main(*args, **options)
        finally:
            warnings.formatwarning = as_before

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.files)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.files:
            return None
        module = importlib.import_module(f"dlseg.cli.{self.files[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first line of each command's docstring, read from its file: nothing is imported for `--help`."""
        with formatter.section("Commands"):
            rows = [(name, _summary(file, name.replace("-", "_"))) for name, file in self.files.items()]
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """What a user got wrong is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ArithmeticError, ImportError) as error:
            raise click.ClickException(str(error)) from error
        except (MemoryError, RuntimeError) as error:
            what = _shortage(error)
            if what is None:
                raise
            raise click.ClickException(what) from error


def _warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"Warning: {message}\n"


def _shortage(error: Exception) -> str | None:
    """What to say where memory ran out; None for any other error. (On the CPU torch has no class for it.)"""
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    if isinstance(error, MemoryError) or re.search(r"out of memory|can't allocate memory|not enough memory", first):
        return (
            f"memory: there is not enough ({first}). Less is needed by a smaller --batch, --crop or --width, "
            "or --accumulate N (train); by a smaller --tile (predict); or by a smaller picture"
        )
    if "DataLoader worker" in str(error):
        return f"memory: a process that reads pictures was stopped by the system ({first}); --workers 0 needs none"
    return None


def _summary(file: str, function: str) -> str:
    tree = ast.parse(Path(__file__).with_name(f"{file}.py").read_text(encoding="utf-8"))
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    text = ast.get_docstring(next(found)) or ""
    return text.partition("\n")[0]


@click.group(cls=LazyGroup, files=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dlseg.__version__, prog_name="dlseg")
def main() -> None:
    """DeepLab v1 taken apart: data, networks, training, the CRF, the course and its grader."""
