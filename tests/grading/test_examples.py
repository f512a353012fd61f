"""The examples in docstrings are true, and every public name of the grader has one."""

import doctest
import importlib

import pytest

import dlseg.grading

MODULES = ["", ".draws", ".exercise", ".submission", ".tolerance"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    ran = doctest.testmod(importlib.import_module(f"dlseg.grading{name}"))
    assert ran.attempted and not ran.failed


@pytest.mark.parametrize("name", dlseg.grading.__all__)
def test_public_names_have_one(name: str) -> None:
    found = getattr(dlseg.grading, name)
    assert issubclass(found, Exception) if name.endswith("Error") else ">>>" in found.__doc__


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'grade_all'"):
        _ = dlseg.grading.grade_all
