"""Where what comes with dlseg lies: its data, its notebooks."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(name: str) -> Path:
    """The folder `name` ("data", "notebooks") that comes with dlseg, wherever dlseg was installed from.

    A wheel carries it inside the package, in `dlseg/shipped/`; in a checkout it lies beside the package.

    >>> shipped("data").joinpath("weights").is_dir()
    True
    """
    inside = PACKAGE / "shipped" / name
    return inside if inside.is_dir() else PACKAGE.parent / name
