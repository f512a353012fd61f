"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import dlseg

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(dlseg.__path__, "dlseg.")
    if not name.endswith("__main__") and ".assignments" not in name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed


@pytest.mark.parametrize("package", ["dlseg.crf"])
def test_every_public_name_has_an_example(package: str) -> None:
    module = importlib.import_module(package)
    public = {name: value for name in module.__all__ if callable(value := getattr(module, name))}
    without = [name for name, value in public.items() if ">>>" not in (value.__doc__ or "")]
    assert public and not without
