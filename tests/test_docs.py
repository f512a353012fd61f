"""What the documents say about files is so."""

import re
import runpy
from pathlib import Path

import pytest

NAMED = re.compile(r"`((?:dlseg|docs|benchmarks|notebooks|tests|data)/[\w./-]+)`")


@pytest.mark.parametrize(
    "name", ["README.md", "docs/architecture.md", "docs/teacher-guide.md", "docs/student-guide.md"]
)
def test_every_file_that_is_named_is_there(repo: Path, name: str) -> None:
    words = NAMED.findall((repo / name).read_text(encoding="utf-8"))
    named = {path for path in words if "_build" not in path and not re.search("[A-Z]{3}", path)}
    # what a command makes, or what a reader is told to add, is no file of the checkout
    missing = sorted(path for path in named if not (repo / path).exists() and path.startswith(("dlseg", "docs")))
    assert not missing, f"{name} names files that are not there: {missing}"


def test_the_picture_of_the_floors_is_up_to_date(repo: Path) -> None:
    draw = runpy.run_path(str(repo / "docs" / "floors.py"))["draw"]
    arrows = re.compile(r'<path d="[^"]+" class="arrow"/>|class="name">\w+<')
    kept = (repo / "docs" / "floors.svg").read_text(encoding="utf-8")
    assert arrows.findall(draw()) == arrows.findall(kept), "run: python docs/floors.py"


def test_examples_of_the_reference_are_shown_as_they_are_run(repo: Path) -> None:
    plain = runpy.run_path(str(repo / "docs" / "conf.py"))["plain"]
    lines = ["|x| is 2 * 3.", "", ">>> (lambda n: 2 * n)(3) | 1", "7", "", "a * b"]
    plain(None, "function", "f", None, None, lines)
    assert lines == [r"\|x\| is 2 \* 3.", "", ">>> (lambda n: 2 * n)(3) | 1", "7", "", r"a \* b"]
