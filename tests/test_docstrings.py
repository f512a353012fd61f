"""What the library's own pages show runs: every example, and every public name of these parts has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

PARTS = ("atrous", "receptive_field", "networks", "training")


@pytest.mark.parametrize("part", PARTS)
def test_examples_run(part: str) -> None:
    package = importlib.import_module(f"dlseg.{part}")
    names = [package.__name__, *(f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(package.__path__))]
    for name in names:
        if name == "dlseg.networks.saved":  # the old name of dlseg.networks.weights, which warns
            continue
        result = doctest.testmod(importlib.import_module(name))
        assert result.failed == 0, name


@pytest.mark.parametrize("part", PARTS)
def test_every_public_name_has_an_example(part: str) -> None:
    package = importlib.import_module(f"dlseg.{part}")
    public = {name: getattr(package, name) for name in package.__all__}
    documented = {
        name: thing for name, thing in public.items() if inspect.isclass(thing) or inspect.isfunction(thing)
    }
    assert len(documented) >= 5
    missing = [name for name, thing in documented.items() if ">>>" not in (inspect.getdoc(thing) or "")]
    assert not missing
