"""`dlseg crf …`: what belongs to the fully connected CRF."""

from __future__ import annotations

import click

from dlseg.cli import LazyGroup

# command name -> file in this folder; the function in it carries the command's name
COMMANDS = {"search": "crf_search", "tune": "crf_tune"}


@click.group(cls=LazyGroup, files=COMMANDS)
def crf() -> None:
    """The fully connected CRF: find its settings by search or by hand."""
