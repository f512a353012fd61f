"""Honest notebooks in the ways that people write them: all that they wrote is run, and right answers count."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlseg.course import build
from dlseg.grading import harness
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox
from dlseg.grading.submission import Cell, text_id
from dlseg.grading.tolerance import exact

Grade = Callable[..., Result]
SQUARE = "def square(x):\n    return x * x\n"
DOUBLE = "def double(x):\n    return 2 * x\n"


def notebook(*sources: str, handed_out: tuple[str, ...] = ()) -> str:
    """Cells as Jupyter saves them; those handed out have the id that follows from their text."""
    cells = []
    for number, source in enumerate((*handed_out, *sources)):
        name = text_id("code", source) if number < len(handed_out) else f"own-{number}"
        cells.append({"cell_type": "code", "id": name, "source": source, "metadata": {}, "outputs": []})
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


TABLE = "def double(x):\n    return TABLE[0] * x\n"
HONEST: dict[str, tuple[str, ...]] = {
    "a loop that appends": ("TABLE = []\nfor i in range(3):\n    TABLE.append(2 + i)\n", TABLE),
    "a loop in a cell of its own": ("TABLE = []", "for i in range(3):\n    TABLE.append(2 + i)", TABLE),
    "a method that fills": (
        "import numpy as np\nK = np.empty(3)\nK.fill(1)",
        "def double(x):\n    return (K[0] + K[1]) * x",
    ),
    "a dict that is updated": (
        "CONFIG = {'by': 0}\nCONFIG.update(by=2)",
        "def double(x):\n    return CONFIG['by'] * x",
    ),
    "a later cell sets an attribute": ("class P:\n    by = 0", "def double(x):\n    return P.by * x", "P.by = 2"),
    "a later cell extends a list": ("TABLE = []", TABLE, "TABLE.extend([2, 3])"),
    "a registering decorator": (
        "KNOWN = {}\ndef known(f):\n    KNOWN[f.__name__] = f\n    return f",
        "@known\ndef twice(x):\n    return 2 * x",
        "def double(x):\n    return KNOWN['twice'](x)",
    ),
    "global in a set-up function": ("def set_up():\n    global TABLE\n    TABLE = [2]", "set_up()", TABLE),
    "a deeper recursion": (
        "import sys\nsys.setrecursionlimit(9000)",
        "def down(n):\n    return 2 if n == 0 else down(n - 1)\ndef double(x):\n    return down(5000) * x",
    ),
    "a dataclass with text for types": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar",
        "@dataclass\nclass P:\n    by: float\n    all: ClassVar[int] = 3",
        "def double(x):\n    return P(2).by * x",
    ),
    "display inside": ("def double(x):\n    display(x)\n    return 2 * x",),
    "a shell line with a result": ("files = !echo 2", "def double(x):\n    return int(files[0]) * x"),
    "a timing with a result": (
        "def two():\n    return 2\nt = %timeit -o two()",
        "def double(x):\n    return 2 * x if t.best >= 0 else x",
    ),
    "debug": ("%%debug\ndef two():\n    return 2", "def double(x):\n    return two() * x"),
    "timed cell": ("%%time\nTABLE = [2]", TABLE),
    "captured cell": ("%%capture out\nTABLE = [2]\nprint(3)", TABLE),
    "a file that a cell writes": (
        "%%writefile helper.py\ndef two():\n    return 2",
        "import helper",
        "def double(x):\n    return helper.two() * x",
    ),
    "installs first": ("!pip install numpy\n%pip install scipy\nTABLE = [2]\n%matplotlib widget", TABLE),
    "await at the top": (
        "import asyncio\nasync def two():\n    await asyncio.sleep(0)\n    return 2\nTABLE = [await two()]",
        TABLE,
    ),
    "a star import of the library beside another": (
        "from dlseg.figures import *\nfrom numpy import *",
        "def double(x):\n    return add(x, x)",
    ),
    "the library's star import last": (
        "from numpy import *\nfrom dlseg.figures import *",
        "heat_panel('x', 3)",
        "def double(x):\n    return add(x, x)",
    ),
    "the library in the cell": (
        "from dlseg.course import check\nfrom dlseg.datasets import load\nval = load('shapes', 'val')\n"
        "image = val[3].image\nfor s in val:\n    pass\nheight, width = image.shape[:2]\nTABLE = [2]",
        TABLE + "check('small.double')",
    ),
    "what only the main module has": ("if __name__ == '__main__':\n    TABLE = [2]", TABLE),
    "an error in another cell": ("TABLE = [2]\nprint(undefined)\nTABLE = [3]", TABLE, "1 / 0"),
    "a cell that ends the kernel": ("TABLE = [2]", TABLE, "import os\nos._exit(1)"),
    "a cell that exits": ("TABLE = [2]", "import sys\nsys.exit()", TABLE, "quit()"),
    "the answer's name used again": (DOUBLE, "double = double(3)"),
    "a helper's name used again": ("by = 2\ndef double(x):\n    return by * x", "for by in range(5):\n    pass"),
    "a demonstration in the answer's own cell": (DOUBLE + "print(double(undefined))",),
    "a helper that is another answer": ("def double(x):\n    return x + x + 0 * square(x)",),
    "an underscore of a loop": ("for _ in range(3):\n    pass\nTABLE = [_]", TABLE),
    "eighteen megabytes of prints": ("def double(x):\n    print('a' * 18_000_000)\n    return 2 * x",),
    "counters": ("from collections import defaultdict\nTABLE = defaultdict(int)\nTABLE[0] += 2", TABLE),
    "an import inside try": (
        "try:\n    import cupy as np\nexcept ImportError:\n    import numpy as np",
        "def double(x):\n    return np.add(x, x)",
    ),
    "widgets": ("from ipywidgets import interact\n@interact(n=(0, 5))\ndef show(n=2):\n    print(n)", DOUBLE),
    "a plot style": (
        "import matplotlib.pyplot as plt\nplt.style.use('ggplot')\nfig, ax = plt.subplots()\nax.plot([1])",
        DOUBLE,
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_right_is_right(grade: Grade, name: str) -> None:
    result = grade(notebook(*HONEST[name], SQUARE), ".ipynb")
    assert result.score == 6, result
    assert "grader" not in str(result)


KINDS = {
    "deque": "collections.deque(2 * x)",
    "map": "map(lambda row: 2 * row, x)",
    "zip": "zip(*(2 * x.T))",
    "array.array rows": "[array.array('d', 2 * row) for row in x]",
    "dict's values": "{i: 2 * row for i, row in enumerate(x)}.values()",
    "memoryview": "memoryview(2 * x)",
    "sparse tensor": "torch.from_numpy(2 * x).to_sparse()",
    "sparse rows": "torch.from_numpy(2 * x).to_sparse_csr()",
    "masked array": "np.ma.masked_less(2 * x, -99)",
    "matrix": "np.asmatrix(2 * x)",
    "fractions": "[[fractions.Fraction(2 * v) for v in row] for row in x]",
    "decimals": "[[decimal.Decimal(2 * v) for v in row] for row in x]",
    "scipy sparse": "scipy.sparse.csr_matrix(2 * x)",
    "lists of one": "[[np.array([2 * v]) for v in row] for row in x]",
}
IMPORTS = "import array, collections, decimal, fractions\nimport numpy as np\nimport scipy.sparse\nimport torch\n"


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_result(grade: Grade, name: str) -> None:
    if name == "lists of one":
        pytest.skip("an array of ones in a list is of another shape: only a single number may be an array of one")
    result = grade(notebook(IMPORTS, f"def double(x):\n    return {KINDS[name]}", SQUARE), ".ipynb")
    assert result.score == 6, result


@pytest.mark.parametrize(
    "kind",
    [
        "3.0",
        "np.ceil(2.2)",
        "np.array([3])",
        "torch.tensor([[3]])",
        "[3]",
        "np.float32(3)",
        "fractions.Fraction(3)",
    ],
)
@pytest.mark.parametrize("wanted", [3, 3.0])
def test_one_number_is_one_number(sandbox: Sandbox, tmp_path: Path, kind: str, wanted: float) -> None:
    tests = (Test("t", 1, lambda rng: (int(rng.integers(5)),), exact("whole")),)
    one = Exercise("small.one", "one", lambda n: wanted, tests)
    (tmp_path / "work.py").write_text(f"{IMPORTS}def one(n):\n    return {kind}\n")
    result = Harness([one], sandbox, 1).grade(Item("work", tmp_path / "work.py"))
    assert result.score == (0 if kind == "[3]" else 1), result


def test_single_precision_of_a_number_that_came_in(sandbox: Sandbox, tmp_path: Path) -> None:
    tests = (
        Test("t", 1, lambda rng: (rng.random((4, 4)),), exact("a maximum is one of the numbers that came in")),
    )
    most = Exercise("small.most", "most", lambda x: x.max(0), tests)
    for text, points in (
        ("x.astype('float32').max(0)", 1),
        ("x.astype('float32').max(0) + 1e-6", 0),
        ("x.astype('float16').max(0)", 0),
    ):
        (tmp_path / "work.py").write_text(f"def most(x):\n    return {text}\n")
        assert Harness([most], sandbox, 1).grade(Item("work", tmp_path / "work.py")).score == points, text


GIVEN = ("import numpy as np\nBY = 2", "import time\ntime.sleep(50)\nSLOW = 1", "x = np.zeros(3)\nx[0] = BY")


def test_cells_that_came_with_the_notebook_are_left_out(grade: Grade) -> None:
    """But what the student's own need of them is run: imports, a constant, an array and what is put into it."""
    text = notebook("def double(v):\n    return np.add(v, v) * x[0] / 2", SQUARE, handed_out=GIVEN)
    start = time.monotonic()
    assert grade(text, ".ipynb").score == 6
    assert time.monotonic() - start < 40


def test_a_changed_cell_is_the_students(grade: Grade) -> None:
    """A handed-out cell whose text was edited keeps its id, which does not follow from it any more."""
    cells = json.loads(notebook("def double(v):\n    return TABLE[0] * v", SQUARE, handed_out=("TABLE = []",)))
    cells["cells"][0]["source"] = "TABLE = []\nTABLE.append(2)"
    assert grade(json.dumps(cells), ".ipynb").score == 6
    assert Cell(1, "x = 1", id=f"{text_id('code', 'x = 1')}-2").handed_out
    assert not Cell(1, "x = 2", id=text_id("code", "x = 1")).handed_out and not Cell(1, "", id="").handed_out


def test_a_notebook_without_exercises_is_said_to_be_one(grade: Grade, repo: Path) -> None:
    """The tour, as it is handed out: no zero for each exercise of the course without a word."""
    tour = build.student_notebook(repo / "notebooks" / "source" / "00_tour.py")
    assert "holds no exercise" in grade(tour, ".ipynb").problem
    assert "holds no exercise" in grade(notebook(), ".ipynb").problem
    assert grade(notebook("def double(v):\n    return 2 * v", handed_out=GIVEN), ".ipynb").problem == ""


def test_all_cells_of_the_course_are_known(repo: Path) -> None:
    """In every notebook as it is handed out: each code cell but those of exercises and checks is recognised."""
    for source in sorted((repo / "notebooks" / "source").glob("*.py")):
        for raw in json.loads(build.student_notebook(source))["cells"]:
            if raw["cell_type"] == "code" and "nbgrader" not in raw["metadata"]:
                assert Cell(1, "".join(raw["source"]), raw["id"]).handed_out, (source.name, raw["source"])


def test_a_slow_cell_costs_itself_once(grade: Grade) -> None:
    """A cell that never ends is interrupted; for the other exercises it is not run again."""
    slow = "COUNT = 0\nwhile True:\n    try:\n        COUNT += 1\n    except Exception:\n        pass"
    start = time.monotonic()
    result = grade(notebook("BY = 2", slow, "def double(x):\n    return BY * x", SQUARE, slow), ".ipynb")
    assert result.score == 6, result
    assert time.monotonic() - start < 60


def test_a_slow_answer_is_still_slow(grade: Grade) -> None:
    double, square = grade(notebook("def double(x):\n    while True:\n        pass", SQUARE), ".ipynb").exercises
    assert (double.status, square.status) == ("timeout", "passed"), double


def test_wrong_stays_wrong(grade: Grade) -> None:
    """Running more cells gives nobody points: wrong, missing and raising answers keep their words."""
    wrong = notebook("BY = 3", "def double(x):\n    return BY * x", SQUARE, "BY = 2.5")
    assert [e.status for e in grade(wrong, ".ipynb").exercises] == ["failed", "passed"]
    gone = grade(notebook(DOUBLE + "del double", SQUARE), ".ipynb").exercises[0]
    assert gone.points in (0, 3) and gone.status in ("missing", "passed")
    library = notebook("from dlseg.atrous import insert_holes as f\ndef double(x):\n    return f(x)", SQUARE)
    double = grade(library, ".ipynb").exercises[0]
    assert double.status == "raised" and "must stand on their own" in double.reason


@pytest.mark.parametrize(
    "frame",
    [
        {"errors": {}, "missing": [3]},
        {"errors": {"x": {}}, "missing": []},
        {"errors": {"1": {"raised": "a"}}, "missing": []},
        {"errors": [], "missing": []},
        {"errors": {"²": {"raised": "a", "message": "b", "where": "c", "slow": False}}, "missing": []},
        {"cell": np.zeros(3)},
        {"cell": True},
    ],
    ids=str,
)
def test_a_forged_word_about_cells_is_none(frame: dict[str, object]) -> None:
    numbers, loaded, _ = harness._split([{"cell": 1}, frame])
    assert numbers == [1] and loaded is None
