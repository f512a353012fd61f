"""300 honest notebooks in random style: the course's own, solved, with whatever else people write into theirs.

Sixty each time, ten of every topic, and all of them every night.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlseg.course import build, notebook_source
from dlseg.grading import exercise
from dlseg.grading.exercise import of_topic
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.sandbox.client import Sandbox

COUNT = 300
ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
EXERCISES = exercise.load(ROOT / "dlseg" / "course" / "exercises")
SCRATCH = [
    "x = 3\nx",
    "1 / 0",
    "print(no_such_name)",
    "!ls",
    "files = !echo a b\nlen(files)",
    "%matplotlib inline\n%load_ext autoreload\n%autoreload 2",
    "%timeit -n1 -r1 sum(range(10))",
    "t = %timeit -o sum(range(10))",
    "%%time\ntotal = sum(range(1000))",
    "%%bash\necho hello",
    "%%html\n<b>done</b>",
    "!pip install einops",
    "import numpy as np\nA = np.arange(12).reshape(3, 4)\nA?",
    "np.random.seed(0)\ntorch.manual_seed(1)",
    "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()",
    "plt.imshow(image)\nplt.title('my picture');",
    "from dlseg.figures import *\nheat_panel('a', A)",
    "from dlseg.course import hint\nhint('atrous.conv1d')",
    "log = []\nfor i in range(3):\n    log.append(i)\nlog.append(len(log))",
    "import asyncio\nawait asyncio.sleep(0)",
    "for _ in range(3):\n    display(_)",
    "with open('notes.txt', 'w') as f:\n    f.write('remember')\nopen('notes.txt').read()",
    "from ipywidgets import interact\ninteract(lambda n: n, n=(0, 3));",
    "assert 1 + 1 == 3, 'to be done'",
    "raise SystemExit",
    "import sys\nsys.setrecursionlimit(5000)",
    "globals()['made'] = 5",
    "try:\n    import google.colab\nexcept ImportError:\n    IN_COLAB = False",
    "def scratch(x):\n    global seen\n    seen = x\nscratch(4)\nseen",
    "from dataclasses import dataclass\n@dataclass\nclass Setting:\n    rate: int = 2\nSetting()",
    "del no_such_name",
    "# only a comment",
    "",
    "This is text in a code cell, by mistake",
    "x = (1,",
    "exit()",
]


def styled(name: str, text: str, rng: random.Random) -> tuple[list[str], str]:
    """Cells before the answer's own, and that one: the same answer as other people would write it."""
    plain = f"{text}\n"
    wrapped = f"_{name} = {name}\n"
    return rng.choice(
        [
            ([], plain),
            ([], f"%%time\n{plain}"),
            ([], f"{plain}{name}"),
            ([], f"{plain}\nprint({name}.__name__)\n{name}(no_such_name)"),
            ([], f'"""My answer."""\nimport numpy as np\n\n\n{plain}'),
            ([], f"{plain}{wrapped}def {name}(*a):\n    print(len(a))\n    display(a)\n    return _{name}(*a)\n"),
            ([], f"{plain}{wrapped}{name} = lambda *a, **k: _{name}(*a, **k)\n"),
            ([], f"import functools\n{plain}{name} = functools.partial({name})\n"),
            (
                [],
                f"{plain}{wrapped}class A:\n    def __call__(self, *a):\n        return _{name}(*a)\n{name} = A()",
            ),
            ([plain.replace(f"def {name}(", f"def my_{name}(")], f"def {name}(*a):\n    return my_{name}(*a)\n"),
            (
                [f"KNOWN_{name} = {{}}\ndef known_{name}(f):\n    KNOWN_{name}[0] = f\n    return f"],
                f"@known_{name}\n{plain}{wrapped}def {name}(*a):\n    return KNOWN_{name}[0](*a)\n",
            ),
            (
                [f"STEPS_{name} = []", f"for i in range(2):\n    STEPS_{name}.append(i)"],
                f"{plain}{wrapped}def {name}(*a):\n    assert STEPS_{name}[1] == 1\n    return _{name}(*a)\n",
            ),
            (
                [
                    f"class P_{name}:\n    ready = False",
                    f"def set_up_{name}():\n    P_{name}.ready = True",
                    f"set_up_{name}()",
                ],
                f"{plain}{wrapped}def {name}(*a):\n    if P_{name}.ready:\n        return _{name}(*a)\n",
            ),
        ]
    )


def notebook(topic: str, seed: int) -> str:
    """The student's notebook of a topic, with right answers in a style of their own and other cells between."""
    rng = random.Random(seed)
    (source,) = (NOTEBOOKS / "source").glob(f"*_{topic}.py")
    answers = {cell.id: cell.source for cell in notebook_source.solved(source).cells}
    functions = {e.slug: e.function for e in of_topic(EXERCISES, topic)}
    handed_out = json.loads(build.student_notebook(source))
    cells: list[dict[str, Any]] = []
    for raw in handed_out["cells"]:
        function = functions.get(raw["id"], "")
        if function:
            before, own = styled(function, _unmarked(answers[raw["id"]]), rng)
            cells += [_cell(text, rng) for text in before]
            kept = {key: value for key, value in raw.items() if key != "id" or rng.random() > 0.1}
            cells.append({**kept, "source": own})
        else:
            cells.append(raw)
        cells += [_cell(text, rng) for text in _between(function, rng)]
    return json.dumps({**handed_out, "cells": cells})


def _unmarked(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "### BEGIN" not in line and "### END" not in line)


def _cell(text: str, rng: random.Random) -> dict[str, Any]:
    name = f"{rng.randrange(16**8):08x}"
    return {"cell_type": "code", "id": name, "source": text, "metadata": {}, "outputs": [], "execution_count": 3}


def _between(function: str, rng: random.Random) -> Iterator[str]:
    while rng.random() < 0.35:
        yield rng.choice(SCRATCH)
    if function and rng.random() < 0.15:  # the answer's name is used for something else, below
        yield f"{function} = {function}"
        yield f"print({function})\n{function} = 3"


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1, *(pytest.param(part, marks=pytest.mark.full) for part in range(2, 10))])
def test_no_honest_notebook_is_below_its_points(part: int, sandbox: Sandbox, tmp_path: Path) -> None:
    topics = [t for t in dict.fromkeys(e.topic for e in EXERCISES)]
    harness, lost = Harness(EXERCISES, sandbox, 7 + part), []
    for number in range(part, COUNT, 10):
        topic = topics[number // 10 % len(topics)]
        path = tmp_path / f"{number}_{topic}.ipynb"
        path.write_text(notebook(topic, number), encoding="utf-8")
        result = harness.grade(Item(path.stem, path, stem=path.stem))
        if result.score < result.max_score:
            lost.append(
                f"{path.stem}: "
                + "; ".join(f"{e.id}: {e.reason}" for e in result.exercises if e.points < e.max_points)
            )
    assert not lost, "\n".join(lost)
