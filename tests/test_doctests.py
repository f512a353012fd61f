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
