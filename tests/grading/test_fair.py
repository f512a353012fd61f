"""Honest students: whatever is right counts, one broken exercise never costs another, and the words are true."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox

Grade = Callable[..., Result]
DOUBLE, SQUARE = "def double(x):\n    return 2 * x\n", "def square(x):\n    return x * x\n"
HONEST = {
    "plain": DOUBLE + SQUARE,
    "warnings": "import warnings\ndef double(x):\n    warnings.warn('hm')\n    return 2 * x\n" + SQUARE,
    "prints": "def double(x):\n    print(x)\n    return 2 * x\n" + SQUARE,
    "prints much": "def double(x):\n    print('a line of text\\n' * 50_000)\n    return 2 * x\n" + SQUARE,
    "stderr": "import sys\ndef double(x):\n    print('note', file=sys.stderr)\n    return 2 * x\n" + SQUARE,
    "plots": "import matplotlib.pyplot as plt\ndef double(x):\n    plt.plot(x)\n    plt.show()\n    return 2 * x\n"
    + SQUARE,
    "progress bar": "from tqdm.auto import tqdm\ndef double(x):\n    return [[2 * v for v in r] for r in tqdm(x)]\n"
    + SQUARE,
    "slow": "import time\ndef double(x):\n    time.sleep(0.5)\n    return 2 * x\n" + SQUARE,
    "no accelerator": "import torch\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\n"
    "def square(x):\n    return (x.to(device) ** 2)\n" + DOUBLE,
    "other definitions": "FACTOR = 2\nclass Scaler:\n    def __call__(self, v):\n        return FACTOR * v\n"
    "scale = Scaler()\ndef double(x):\n    return scale(x)\n" + SQUARE,
    "table filled in a loop": "TABLE = {}\nfor i in range(5):\n    TABLE[i] = 2\n"
    "def double(x):\n    return TABLE[3] * x\n" + SQUARE,
    "helper of the other": "def square(x):\n    return x * x\ndef double(x):\n    return x + x + 0 * square(x)\n",
    "other names": "def double(values):\n    return 2 * values\ndef square(t, /):\n    return t.pow(2)\n",
    "star and defaults": "def double(*args, **kw):\n    return 2 * args[0]\n"
    "def square(x, power=2):\n    return x ** power\n",
    "a lambda": "double = lambda x: 2 * x\n" + SQUARE,
    "a class": "class square:\n    def __new__(cls, x):\n        return x * x\n" + DOUBLE,
    "decorated": "import functools\n@functools.lru_cache(None)\ndef two():\n    return 2\n"
    "def double(x):\n    return two() * x\n" + SQUARE,
    "star import": "from numpy import *\ndef double(x):\n    return add(x, x)\n" + SQUARE,
    "a tensor for an array": "import torch\ndef double(x):\n    return torch.tensor(x) * 2\n" + SQUARE,
    "an array for a tensor": "def square(x):\n    return x.numpy() ** 2\n" + DOUBLE,
    "with gradient": "import torch\ndef square(x):\n    return torch.nn.Parameter(x) ** 2\n" + DOUBLE,
    "single precision": "import numpy as np\n"
    "def double(x):\n    return np.float32(2) * x.astype(np.float32)\n" + SQUARE,
    "transposed memory": "import numpy as np\ndef double(x):\n    return np.asfortranarray(2 * x)\n" + SQUARE,
    "changes its input": "def double(x):\n    x *= 2\n    return x\n" + SQUARE,
    "asserts of its own": "def double(x):\n    return 2 * x\nassert double(1) == 3, 'not run by the grader'\n"
    "" + SQUARE,
    "annotations": "from __future__ import annotations\n"
    "def double(x: NotImported) -> Nothing:\n    return 2 * x\n" + SQUARE,
    "magics": "%matplotlib inline\n!ls\n" + DOUBLE + SQUARE,
    "a line that starts with %": "def double(x):\n    return 2 * (x\n      % 1e9 if (x > 0).all() else x)\n"
    "" + SQUARE,
    "defined twice": "def double(x):\n    return 0\n" + DOUBLE + SQUARE,
    "demonstration that fails": DOUBLE + SQUARE + "show(double(3))\nprint(undefined_name)\n",
    "random": "import numpy as np\n"
    "def double(x):\n    np.random.seed(3)\n    return 2 * x + 0 * np.random.rand()\n" + SQUARE,
    "temporary file": "import tempfile, numpy as np\ndef double(x):\n    with tempfile.TemporaryFile() as f:\n"
    "        np.save(f, x)\n        f.seek(0)\n        return 2 * np.load(f)\n" + SQUARE,
    "threads": "from concurrent.futures import ThreadPoolExecutor\ndef double(x):\n"
    "    with ThreadPoolExecutor(4) as pool:\n        return list(pool.map(lambda r: 2 * r, x))\n" + SQUARE,
    "scipy": "import scipy.ndimage as nd\ndef double(x):\n    return nd.zoom(x, 1, order=0) * 2\n" + SQUARE,
}


@pytest.mark.parametrize("name", HONEST)
def test_right_is_right(grade: Grade, name: str) -> None:
    result = grade(HONEST[name])
    assert result.score == result.max_score == 6, result


def test_no_honest_submission_is_ever_scored_wrong(grade: Grade) -> None:
    """Every right half with a right and with a wrong other half, each with another seed."""
    right = [text for text in HONEST.values() if text.endswith(SQUARE) and text != HONEST["slow"]]
    wrong = "def square(x):\n    return 2 * x\n"
    for seed, text in enumerate(right):
        assert grade(text, seed=seed).score == 6
        spoiled = grade(text.removesuffix(SQUARE) + wrong, seed=1000 + seed)
        assert [e.points for e in spoiled.exercises] == [3, 0], (seed, spoiled)


def cell(source: str, **more: object) -> dict[str, object]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def notebook(*cells: dict[str, object]) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


STUB = 'def double(x):\n    """Twice x."""\n    raise NotImplementedError\n'
D, S = {"id": "small-double"}, {"id": "small-square"}
MARKED = {"metadata": {"dlseg": {"exercise": "small.double"}}}
CELLS = {
    "moved": (notebook(cell(SQUARE, **S), cell(DOUBLE, **D)), "passed", ""),
    "copied, the copy changed": (
        notebook(cell(STUB, **D), cell(DOUBLE, id="x", **MARKED), cell(SQUARE, **S)),
        "passed",
        "2 cells are marked small.double; cell 2 was graded",
    ),
    "copied, the original kept": (
        notebook(cell("def double(x):\n    return x\n", id="x", **MARKED), cell(DOUBLE, **D), cell(SQUARE, **S)),
        "passed",
        "cell 2 was graded",
    ),
    "marks lost": (
        notebook(cell("1", id="other"), cell(DOUBLE, id="new"), cell(SQUARE, **S)),
        "passed",
        "the marked cell is gone; double was found in cell 2",
    ),
    "renamed": (
        notebook(cell("def dubble(x):\n    return 2 * x\n", **D), cell(SQUARE, **S)),
        "missing",
        "does not define double: it defines dubble (was it renamed?)",
    ),
    "deleted": (notebook(cell(SQUARE, **S)), "missing", "no cell is marked small.double and none defines double"),
    "empty": (notebook(cell("", **D), cell(SQUARE, **S)), "missing", "it defines nothing"),
    "blank": (notebook(cell(STUB, **D), cell(SQUARE, **S)), "missing", "still the empty stub"),
    "half blank": (
        notebook(cell("def double(x):\n    y = 2 * x\n    raise NotImplementedError\n", **D), cell(SQUARE, **S)),
        "missing",
        "raises NotImplementedError",
    ),
    "syntax error": (
        notebook(cell("def double(x):\n    return (2 * x\n", **D), cell(SQUARE, **S)),
        "raised",
        "SyntaxError in line 2: '(' was never closed, in cell 1",
    ),
    "null bytes": (
        notebook(cell("def double(x):\n    return 2 * x\0\n", **D), cell(SQUARE, **S)),
        "raised",
        "null bytes",
    ),
    "another cell is broken": (notebook(cell("import ((("), cell(DOUBLE, **D), cell(SQUARE, **S)), "passed", ""),
    "raises": (
        notebook(cell("\n\ndef double(x):\n    return x / undefined\n", **D), cell(SQUARE, **S)),
        "raised",
        "NameError: name 'undefined' is not defined (cell 1, line 4)",
    ),
    "raises while loading": (
        notebook(cell("def double(x, y=1 / 0):\n    return x\n", **D), cell(SQUARE, **S)),
        "raised",
        "ZeroDivisionError: division by zero (cell 1, line 1)",
    ),
    "imports the library": (
        notebook(cell("from dlseg.atrous import x\ndef double(v):\n    return x(v)\n", **D), cell(SQUARE, **S)),
        "raised",
        "exercise cells must stand on their own",
    ),
    "not a function": (notebook(cell("double = 3\n", **D), cell(SQUARE, **S)), "raised", "not callable"),
    "deep nesting": (notebook(cell("double = " + "-" * 200_000 + "1", **D), cell(SQUARE, **S)), "raised", "cell 1"),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_told_apart(grade: Grade, name: str) -> None:
    text, status, words = CELLS[name]
    double, square = grade(text, ".ipynb").exercises
    assert square.status == "passed"
    assert double.status == status and words in double.reason, double


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a notebook"),
        ("[]", "no list of cells"),
        ("[" * 200_000, "not a notebook"),
        ('{"cells": 3}', "no list"),
        (json.dumps({"cells": [cell("x = 1")] * 3000}), "more than 2000 cells"),
        (" " * (21 << 20), "21 MB, more than 20"),
    ],
)
def test_notebooks_that_are_none(grade: Grade, text: str, words: str) -> None:
    result = grade(text, ".ipynb")
    assert result.score == 0 and {e.status for e in result.exercises} == {"missing"}
    assert all(words in e.reason for e in result.exercises), result


def test_partial_credit_and_time(grade: Grade) -> None:
    text = (
        "calls = []\ndef double(x):\n    calls.append(1)\n    while len(calls) > 2:\n        pass\n"
        "    return 2 * x\n" + SQUARE
    )
    double, square = grade(text).exercises
    assert (double.points, double.status, square.status) == (1, "partial", "passed")
    assert [t.status for t in double.tests] == ["passed", "timeout"]
    assert double.reason == "again: small.double took longer than 5 s"


def test_after_a_crash_the_next_test_still_counts(grade: Grade) -> None:
    text = "import os\ndef double(x):\n    if x[0, 0] < -0.5:\n        os._exit(3)\n    return 2 * x\n"
    seeds = [grade(text, seed=seed).exercises[0] for seed in range(12)]
    assert {e.points for e in seeds} >= {0, 2, 3}, seeds
    assert all(t.status in ("passed", "crashed") for e in seeds for t in e.tests)
    assert any("exit code 3" in e.reason for e in seeds)


def test_before_a_crash_the_tests_count(grade: Grade) -> None:
    text = (
        "import os\ncalls = []\ndef double(x):\n    calls.append(1)\n"
        "    if len(calls) > 3:\n        os._exit(3)\n    return 2 * x\n"
    )
    double = grade(text).exercises[0]
    assert (double.points, double.status, [t.status for t in double.tests]) == (1, "partial", ["passed", "crashed"])


def test_the_graders_own_fault_is_called_so(sandbox: Sandbox, double: Exercise, tmp_path: Path) -> None:
    def broken(x: object) -> object:
        raise RuntimeError("the reference is wrong")

    path = tmp_path / "work.py"
    path.write_text(DOUBLE)
    wrong = Exercise("small.double", "double", broken, double.tests)
    unlucky = Exercise("small.inputs", "double", lambda x: x, (Test("t", 1, broken, double.tests[0].tolerance),))
    result = Harness([wrong, double, unlucky], sandbox, 1).grade(Item("work", path))
    assert [e.status for e in result.exercises] == ["grader_error", "passed", "grader_error"]
    assert not result.complete and "the reference is wrong" in result.exercises[0].reason


def test_a_dead_template_is_replaced(sandbox: Sandbox, grade: Grade) -> None:
    assert sandbox._process is not None
    sandbox._process.kill()
    sandbox._process.wait()
    assert grade(DOUBLE + SQUARE).score == 6


def test_refused_levels_say_why() -> None:
    with pytest.raises(ValueError, match=r"isolation: got 'paper walls', expected one of bubblewrap, landlock"):
        Sandbox("paper walls")


@pytest.mark.parametrize(
    ("old", "new"), [("namespaces", "bubblewrap"), ("user", "landlock"), ("limits", "landlock")]
)
def test_former_names_of_levels_still_work(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"'{old}' is now called '{new}'"):
        assert Sandbox(old).level == new
