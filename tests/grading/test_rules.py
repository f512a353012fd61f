"""Rules on how an answer is written: `check` and the grade find what breaks them, and never honest work."""

import ast
import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlseg.course import check
from dlseg.course.catalogue import catalogue
from dlseg.grading.exercise import Exercise, ExerciseError, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.rules import RULES, broken, broken_by
from dlseg.grading.sandbox.client import Sandbox
from dlseg.grading.tolerance import exact

HEAD = "import numpy as np\nimport torch\nfrom torch.nn import functional as F\nimport scipy.ndimage\n"
POOL = "F.max_pool2d(torch.from_numpy(x)[None], kernel, stride)[0].numpy()"
ATROUS = "def atrous_conv2d(x, weight, rate):\n    "
ENLARGE = "interpolate(torch.from_numpy(scores)[None, None], scale_factor=factor)"
BREAKS = {
    "no torch": [
        f"def f(x, kernel, stride):\n    return {POOL}",
        "import torch as t\ndef f(x):\n    return t.as_tensor(x).amax().numpy()",
        "def f(x):\n    import torch.nn.functional as g\n    return g.relu(x)",
        "from torch import from_numpy as array\ndef f(x):\n    return array(x)",
        "def f(x):\n    return __import__('torch').from_numpy(x)",
        "import importlib\ndef f(x):\n    return importlib.import_module('torch.nn').ReLU()(x)",
        "import sys\ndef f(x):\n    return sys.modules['torch'].from_numpy(x)",
        "t = torch\ndef f(x):\n    return t.from_numpy(x)",
        "def helper(x):\n    return torch.from_numpy(x)\ndef f(x):\n    return helper(x)",
        "def f(x):\n    return eval('torch.from_numpy(x)')",
    ],
    "no dilation": [
        "def f(x, w, rate):\n    return F.conv2d(x, w, dilation=rate)",
        "def f(x, w, rate):\n    return F.conv2d(x, w, None, 1, 0, rate)",
        "def f(x, w, rate):\n    return F.conv2d(x, w, **{'dilation': rate})",
        "def f(x, w, rate):\n    return F.conv2d(x, w, **dict(dilation=rate))",
        "def f(x, w, rate):\n    return getattr(torch.nn, 'Conv2d')(1, 1, 3, dilation=rate)(x)",
        "from functools import partial\ndef f(x, w, rate):\n    return partial(F.conv2d, dilation=rate)(x, w)",
        "def f(x, w, rate):\n    return F.conv2d(*(x, w, None, 1, 0, rate))",
        "def f(x, w, rate):\n    return F.unfold(x, 3, rate)",
        "def f(x, w, rate):\n    named = {}\n    named['dilation'] = rate\n    return F.conv2d(x, w, **named)",
    ],
    "no loop": [
        "def f(x):\n    for row in x:\n        pass\n    return x",
        "def f(x):\n    while x:\n        x -= 1",
        "def f(x):\n    return [row for row in x]",
        "def f(x):\n    return list(map(abs, x))",
        "def f(x):\n    return np.vectorize(abs)(x)",
        "def helper(x):\n    return sum(v for v in x)\ndef f(x):\n    return helper(x)",
    ],
    "no ready-made enlarging": [
        f"def f(scores, factor):\n    return F.{ENLARGE}",
        f"from torch.nn.functional import interpolate as own\ndef f(scores, factor):\n    return own{ENLARGE[11:]}",
        f"def f(scores, factor):\n    return getattr(F, 'inter' + 'polate'){ENLARGE[11:]}",
        f"def f(scores, factor):\n    return getattr(F, 'interpolate'){ENLARGE[11:]}",
        f"def f(scores, factor):\n    return vars(F)['interpolate']{ENLARGE[11:]}",
        "def f(scores, factor):\n    return scipy.ndimage.zoom(scores, factor)",
        f"def f(scores, factor):\n    return torch.nn.functional.{ENLARGE}",
        "large = torch.nn.Upsample\ndef f(scores, factor):\n    return large(scale_factor=factor)(scores)",
    ],
    "no optimiser": [
        "def f(w):\n    return torch.optim.SGD([w], 0.1)",
        "from torch.optim import SGD as steps\ndef f(w):\n    return steps([w], 0.1)",
        "import torch.optim as o\ndef f(w):\n    return o.Adam([w])",
        "from torch import optim\ndef f(w):\n    return optim.SGD([w], 0.1)",
        "def f(w):\n    return getattr(torch, 'optim').SGD([w], 0.1)",
    ],
}
HONEST = {
    "no torch": [
        "def f(x):\n    '''In numpy, not by torch.'''\n    torch_like = x  # import torch\n    return torch_like",
        "def f(x):\n    words = 'import torch'\n    return np.asarray(x) if words else x",
        "def torch_free(x):\n    return x.max()\ndef f(x):\n    return torch_free(x)",
    ],
    "no dilation": [
        "def f(x, w, rate):\n    dilation = rate  # dilation=rate would be too easy\n    return x[:, ::dilation]",
        "def f(x, w, rate):\n    return F.conv2d(x, w, None, 1, 0)",
        "def f(x, w, rate):\n    'no dilation=2'\n    return x.unfold(1, 3, 1)",
    ],
    "no loop": [
        "def f(x):\n    'for while map'\n    format_map = x.max(axis=0)  # for each column\n    return format_map",
        "def f(x):\n    while_true = np.where(x > 0, x, 0)\n    return while_true",
        "def f(x):\n    heat_map = x[::2]\n    return heat_map",
    ],
    "no ready-made enlarging": [
        "def f(scores, factor):\n    return np.interp(np.arange(9) / factor, np.arange(len(scores)), scores)",
        "def f(scores, factor):\n    zoom = factor  # zoom, resize, interpolate\n    return scores * zoom",
        "def interpolate(a, b, t):\n    return (1 - t) * a + t * b\ndef f(s, factor):\n    return interpolate(*s)",
    ],
    "no optimiser": [
        "def f(w):\n    optim = 0.1  # as torch.optim.SGD would\n    return w - optim",
        "def f(w):\n    'torch.optim'\n    return w.detach()",
        "def sgd(w):\n    return torch.zeros_like(w)\ndef f(w):\n    return sgd(w)",
    ],
}
BROKEN = [(rule, text) for rule, texts in BREAKS.items() for text in texts]
KEPT = [(rule, text) for rule, texts in HONEST.items() for text in texts]


def made(text: str) -> Callable[..., Any]:
    """The function f as a notebook's cell makes it: its text can be found."""
    name = f"<cell {hash(text)}>"
    source = HEAD + text
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), space)
    function: Callable[..., Any] = space["f"]
    return function


@pytest.fixture
def graded(sandbox: Sandbox, tmp_path: Path) -> Callable[[str, str], Result]:
    def run(rule: str, text: str) -> Result:
        test = Test("t", 2, lambda rng: (rng.standard_normal(3),), exact("copies"))
        path = tmp_path / "work.py"
        path.write_text("\n".join(f"# %%\n{part}" for part in (HEAD, text)))
        exercise = Exercise("small.f", "f", lambda x: x, (test,), rules=(rule,))
        return Harness([exercise], sandbox, 3).grade(Item("work", path))

    return run


def test_every_rule_has_ways_to_break_it() -> None:
    assert set(BREAKS) == set(HONEST) == set(RULES)
    assert all(len(ways) >= 3 for ways in (*BREAKS.values(), *HONEST.values()))


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_check_finds_it(rule: str, text: str) -> None:
    assert RULES[rule].sentence in broken_by(made(text), [rule])


@pytest.mark.parametrize(("rule", "text"), KEPT)
def test_check_leaves_honest_work_alone(rule: str, text: str) -> None:
    assert broken_by(made(text), [rule]) == ""
    assert rule not in broken(ast.parse(text))


@pytest.mark.parametrize("rule", RULES)
def test_the_grade_finds_it(graded: Callable[[str, str], Result], rule: str) -> None:
    for text in BREAKS[rule]:
        found = graded(rule, text).exercises[0]
        assert found.points == 0 and RULES[rule].sentence in found.reason, text


@pytest.mark.parametrize("rule", RULES)
def test_the_grade_leaves_honest_work_alone(graded: Callable[[str, str], Result], rule: str) -> None:
    for text in HONEST[rule]:
        assert "rule" not in graded(rule, text).exercises[0].reason, text


@pytest.mark.parametrize(
    "later",
    [
        "# %%\ndef helper(x):\n    return torch.from_numpy(x).numpy()",
        "# %%\nnp = torch",
        "# %%\nt = torch\n# %%\ndef helper(x):\n    return t.from_numpy(x).numpy()",
    ],
)
def test_a_helper_that_a_later_cell_defines_anew(graded: Callable[[str, str], Result], later: str) -> None:
    answer = "def helper(x):\n    return np.array(x)\ndef f(x):\n    return helper(x)\n"
    assert graded("no torch", answer).score == 2
    assert graded("no torch", answer + later).score == 0


def test_a_later_cell_of_another_matter_is_none_of_it(graded: Callable[[str, str], Result]) -> None:
    assert graded("no torch", "def f(x):\n    return np.array(x)\n# %%\ny = torch.zeros(3)\n").score == 2


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (
            "pooling.max_pool2d",
            lambda x, kernel, stride: torch.max_pool2d(torch.from_numpy(x)[None], kernel, stride)[0].numpy(),
        ),
        ("atrous.conv2d", lambda x, weight, rate: torch.nn.functional.conv2d(x[None], weight, dilation=rate)[0]),
    ],
)
def test_the_courses_own_rules(name: str, answer: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    verdict = check(name, answer)
    assert verdict.status == "failed" and verdict.points == 0
    assert all(RULES[catalogue()[name].rules[0]].sentence in outcome.message for outcome in verdict.outcomes)


def test_an_unknown_rule_is_a_fault() -> None:
    test = Test("t", 1, lambda rng: (np.zeros(1),), exact("copies"))
    with pytest.raises(ExerciseError, match="rules: got 'no numpy', expected one of no torch"):
        Exercise("small.f", "f", lambda x: x, (test,), rules=("no numpy",))
