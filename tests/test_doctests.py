"""The examples in docstrings run, and print what they say; every public name of some parts has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
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


@pytest.mark.parametrize("part", ["atrous", "crf", "receptive_field", "networks", "training"])
def test_every_public_name_has_an_example(part: str) -> None:
    package = importlib.import_module(f"dlseg.{part}")
    public = {name: getattr(package, name) for name in package.__all__}
    documented = {name: it for name, it in public.items() if inspect.isclass(it) or inspect.isfunction(it)}
    assert len(documented) >= 5
    assert not [name for name, it in documented.items() if ">>>" not in (inspect.getdoc(it) or "")]
