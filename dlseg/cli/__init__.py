"""`dlseg …`: a thin click front. Each command lives in its own file and is imported only when it is used."""

from __future__ import annotations

import importlib

import click

import dlseg

# command name -> file in this folder; the function in it carries the command's name
COMMANDS = {"data": "data"}


class LazyGroup(click.Group):
    """A group that imports a command's file when the command is asked for: `dlseg --help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"dlseg.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dlseg.__version__, prog_name="dlseg")
def main() -> None:
    """DeepLab v1 taken apart: data, networks, training, the fully connected CRF, the course and its grader."""
